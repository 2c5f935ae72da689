package remedy

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// TestModes: in the zero Modes all are off, and nothing is automatic that must not be.
func TestModes(t *testing.T) {
	var zero Modes
	plan, auto := NewModes(ModePlan, true), NewModes(ModeAuto, true)
	automatic := 0
	for _, o := range rule.Outcomes {
		if zero.Of(o.Rule, o.Cause) != ModeOff {
			t.Errorf("%s by %s is %s where nothing is set", o.Rule, o.Cause, zero.Of(o.Rule, o.Cause))
		}
		if plan.Of(o.Rule, o.Cause) == ModeAuto {
			t.Errorf("%s by %s is automatic where all are planned", o.Rule, o.Cause)
		}
		if auto.Of(o.Rule, o.Cause) == ModeAuto {
			automatic++
			if o.Action != rule.Repair {
				t.Errorf("%s by %s is automatic", o.Rule, o.Cause)
			}
		}
		for _, mode := range []Mode{ModeOff, ModePlan, ModeAuto} {
			m := NewModes(ModeOff, false)
			err := m.Set(o.Rule, o.Cause, mode)
			allowed := mode == ModeOff || o.Action == rule.Repair || o.Action == rule.OnRequest && mode == ModePlan
			if (err == nil) != allowed || err == nil && m.Of(o.Rule, o.Cause) != mode {
				t.Errorf("%s by %s is set to %s: %v, is %s", o.Rule, o.Cause, mode, err, m.Of(o.Rule, o.Cause))
			}
		}
	}
	if automatic != 3 {
		t.Errorf("%d causes are automatic", automatic)
	}
	if err := auto.Set(rule.ApprovedButDropped, rule.DroppedOut, ModeAuto); err != nil || auto.Of(rule.ApprovedButDropped, rule.DroppedOut) != ModeAuto {
		t.Errorf("people cannot be brought back automatically: %v", err)
	}
}

// proposed is a quest with what there can be a plan for.
func proposed() *quest.Quest {
	return &quest.Quest{ID: 1, Exists: true, Status: quest.Open, Participants: []quest.Participant{
		{ID: 1, User: 1, Status: quest.Joined}, {ID: 2, User: 3, Status: quest.Dropped},
	}}
}

func found(r rule.Rule, c rule.Cause, u quest.User, from drift.Origin) *drift.Finding {
	return &drift.Finding{
		ID: "f", Quest: 1, User: map[quest.User]string{2: "bob", 3: "cid"}[u], Violation: rule.Violation{Rule: r, Cause: c, User: u},
		Where: drift.Where{Origin: from, Transaction: change.Transaction{Time: 7}},
	}
}

func TestPropose(t *testing.T) {
	off, plan, auto := NewModes(ModeOff, true), NewModes(ModePlan, true), NewModes(ModeAuto, true)
	failed := found(rule.MissingParticipant, rule.ApprovalFailed, 2, drift.FromStream)
	completed := proposed()
	completed.Status = quest.Completed
	released := proposed()
	released.Released = 5
	for name, c := range map[string]struct {
		modes *Modes
		quest *quest.Quest
		f     *drift.Finding
		want  Proposal
	}{
		"off":       {&off, proposed(), failed, Proposal{LeftAlone: switchedOff}},
		"plan":      {&plan, proposed(), failed, Proposal{Plan: Plan{Action: CreateParticipant}, Waits: waitsForMode}},
		"auto":      {&auto, proposed(), failed, Proposal{Plan: Plan{Action: CreateParticipant}, Automatic: true}},
		"completed": {&auto, completed, failed, Proposal{Plan: Plan{Action: CreateParticipant}, Waits: isCompleted}},
		"gone":      {&auto, nil, failed, Proposal{LeftAlone: isGone}},
		"baseline": {
			&auto, proposed(), found(rule.OpenWithParticipants, rule.StatusLost, 0, drift.FromBaseline),
			Proposal{Plan: Plan{Action: SetInProgress}, Waits: waitsAsDated},
		},
		"unknown": {
			&auto, proposed(), found(rule.MissingParticipant, rule.Unknown, 2, drift.FromBaseline),
			Proposal{Plan: Plan{Action: CreateParticipant}, Waits: unknownWhy},
		},
		"released": {
			&auto, proposed(), found(rule.Unassigned, rule.Released, 0, drift.FromStream),
			Proposal{Plan: Plan{Action: AssignEarliest}, Waits: onPurpose},
		},
		"released since": {
			&auto, released, found(rule.OpenWithParticipants, rule.StatusLost, 0, drift.FromStream),
			Proposal{Plan: Plan{Action: SetInProgress}, Waits: onPurpose},
		},
		"left":    {&auto, proposed(), found(rule.MissingParticipant, rule.Departed, 2, drift.FromStream), Proposal{LeftAlone: hasLeft}},
		"flagged": {&auto, proposed(), found(rule.OrphanParticipant, rule.Revoked, 1, drift.FromStream), Proposal{LeftAlone: noAction}},
		"dropped": {
			&auto, proposed(), found(rule.ApprovedButDropped, rule.DroppedOut, 3, drift.FromStream),
			Proposal{Plan: Plan{Action: Reactivate}, Waits: waitsForMode},
		},
	} {
		got := c.modes.Propose(c.quest, c.f)
		if planned := len(got.Writes) > 0; planned != (got.LeftAlone == "") {
			t.Errorf("%s: writes %v, left alone %q", name, got.Writes, got.LeftAlone)
		}
		got.Writes = nil
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestDecide: what is written is what the rows show now, for the order's person and
// cause; a number of the one who ordered means nothing there.
func TestDecide(t *testing.T) {
	c := &Case{Quest: *proposed(), People: []Person{{}, {ID: "ann"}, {ID: "bob"}, {ID: "cid"}}}
	c.Quest.Applications = []quest.Application{{ID: 1, User: 1, Status: quest.Approved}, {ID: 2, User: 2, Status: quest.Approved}}
	c.Quest.Assigned = 1
	var judged rule.Policy
	modes := NewModes(ModeAuto, false)
	o := OrderFor(found(rule.MissingParticipant, rule.ApprovalFailed, 2, drift.FromStream), CreateParticipant)
	if o.Violated != 7 || o.User != "bob" || o.Finding != "f" || o.Quest != 1 {
		t.Errorf("order %+v", o)
	}
	if late := OrderFor(found(rule.MissingParticipant, rule.Unknown, 2, drift.FromBaseline), CreateParticipant); late.Violated != 0 {
		t.Errorf("a baseline's is dated: %+v", late)
	}
	action, writes, err := Decide(c, &o, &judged, modes.Policy(false))
	want := []Kind{InsertParticipant, SetStatus}
	if kinds := kindsOf(writes); err != nil || action != CreateParticipant || !slices.Equal(kinds, want) || writes[0].User != 2 {
		t.Errorf("%s, %+v, %v", action, writes, err)
	}
	healed := *c
	healed.Quest.Participants = append(slices.Clone(c.Quest.Participants), quest.Participant{ID: 9, User: 2, Status: quest.Dropped})
	if _, _, err := Decide(&healed, &o, &judged, modes.Policy(false)); !errors.Is(err, ErrHealed) {
		t.Errorf("healed: %v", err)
	}
	deleted := *c
	deleted.Quest.Deleted = true
	if _, _, err := Decide(&deleted, &o, &judged, modes.Policy(false)); !errors.Is(err, ErrHealed) {
		t.Errorf("deleted: %v", err)
	}
	done := *c
	done.Quest.Status = quest.Completed
	var left LeftAlone
	if _, _, err := Decide(&done, &o, &judged, modes.Policy(false)); !errors.As(err, &left) || string(left) != isCompleted {
		t.Errorf("completed: %v", err)
	}
	if _, writes, err := Decide(&done, &o, &judged, modes.Policy(true)); err != nil || len(writes) == 0 {
		t.Errorf("completed, and asked for: %+v, %v", writes, err)
	}
	another := o
	another.User = "eve"
	if _, _, err := Decide(c, &another, &judged, modes.Policy(false)); !errors.Is(err, ErrHealed) {
		t.Errorf("of somebody else: %v", err)
	}
}

func kindsOf(writes []Write) (kinds []Kind) {
	for _, w := range writes {
		kinds = append(kinds, w.Kind)
	}
	return kinds
}

// TestSuggestions: whatever has no repair has a suggestion, and nothing else has.
func TestSuggestions(t *testing.T) {
	for _, o := range rule.Outcomes {
		none := o.Action == rule.Repair || o.Action == rule.OnRequest
		if text := Suggest(o.Rule, o.Cause); (text == "") != none {
			t.Errorf("%s by %s: %q", o.Rule, o.Cause, text)
		}
	}
	for s := range suggestions {
		if s.cause == "" {
			continue
		}
		if a := rule.ActionFor(s.rule, s.cause); a != rule.Flag && a != rule.Never {
			t.Errorf("%s by %s is suggested something and has action %s", s.rule, s.cause, a)
		}
	}
}
