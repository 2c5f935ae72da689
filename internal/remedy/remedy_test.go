package remedy

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// anyQuest draws a quest with few people, so that they meet.
func anyQuest(t *rapid.T) *quest.Quest {
	user := rapid.Map(rapid.Uint32Range(1, 4), func(u uint32) quest.User { return quest.User(u) })
	q := &quest.Quest{
		ID: 1, Exists: true,
		Status:   quest.Status(rapid.Uint8Range(0, 3).Draw(t, "status")),
		Assigned: quest.User(rapid.Uint32Range(0, 4).Draw(t, "assigned")),
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "applications") {
		q.Applications = append(q.Applications, quest.Application{
			ID: int64(i + 1), User: user.Draw(t, "applicant"), Status: quest.ApplicationStatus(rapid.Uint8Range(1, 4).Draw(t, "application")),
		})
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "participants") {
		q.Participants = append(q.Participants, quest.Participant{
			ID: int64(i + 1), User: user.Draw(t, "participant"), Status: quest.ParticipantStatus(rapid.Uint8Range(1, 4).Draw(t, "state")),
			Joined: rapid.Int64Range(0, 3).Draw(t, "joined"),
		})
	}
	return q
}

func copyOf(q *quest.Quest) *quest.Quest {
	c := *q
	c.Participants = slices.Clone(q.Participants)
	return &c
}

// TestPlansMend: a plan carried out ends its violation and, unless it does what the
// original did, begins no other: only who joins a completed quest is found at work on
// it. Its inverse brings the quest back.
func TestPlansMend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := anyQuest(t)
		p := Policy{
			Original: rapid.Bool().Draw(t, "original"), IncludeUnknown: true,
			IncludeCompleted: rapid.Bool().Draw(t, "completed"), Reactivate: rapid.Bool().Draw(t, "reactivate"),
		}
		judge := rule.Judge
		if p.Original {
			judge = rule.Original
		}
		before := judge(nil, q)
		for _, v := range before {
			plan, leftAlone := For(q, &v, p)
			if (len(plan.Writes) == 0) != (leftAlone != "") {
				t.Fatalf("%s: writes %v, left alone %q", v.Rule, plan.Writes, leftAlone)
			}
			after := copyOf(q)
			if err := Apply(plan.Writes, after); err != nil {
				t.Fatal(err)
			}
			for _, left := range judge(nil, after) {
				if leftAlone == "" && left.Rule == v.Rule && left.User == v.User {
					t.Fatalf("%s of %d is still violated after %v", v.Rule, v.User, plan.Writes)
				}
				if was := func(b rule.Violation) bool { return b.Rule == left.Rule && b.User == left.User }; !p.Original &&
					!slices.ContainsFunc(before, was) && (left.Rule != rule.ActiveAfterCompletion || !p.IncludeCompleted) {
					t.Fatalf("%s of %d begins with %v", left.Rule, left.User, plan.Writes)
				}
			}
			if err := Apply(Inverse(plan.Writes), after); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(q, after, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("the inverse of %v does not bring the quest back:\n%s", plan.Writes, diff)
			}
			if !p.Original {
				keepsAssignee(t, q, plan.Writes)
			}
		}
	})
}

func keepsAssignee(t *rapid.T, q *quest.Quest, writes []Write) {
	for _, w := range writes {
		if w.Kind != SetAssignee || w.WasAssigned == 0 {
			continue
		}
		for _, p := range q.Participants {
			if p.User == w.WasAssigned && p.Active() {
				t.Fatalf("an active assignee is displaced by %+v", w)
			}
		}
	}
}

func TestCreateParticipant(t *testing.T) {
	for _, c := range []struct {
		name     string
		quest    quest.Quest
		original bool
		want     []Kind
	}{
		{"open and empty", quest.Quest{Status: quest.Open}, true, []Kind{InsertParticipant, SetAssignee, SetStatus}},
		{"open with a dropped one", quest.Quest{Status: quest.Open, Participants: []quest.Participant{{ID: 1, User: 2, Status: quest.Dropped}}}, true, []Kind{InsertParticipant, SetAssignee}},
		{"completed", quest.Quest{Status: quest.Completed}, true, []Kind{InsertParticipant, SetAssignee}},
		{"assigned to another", quest.Quest{Status: quest.InProgress, Assigned: 2}, true, []Kind{InsertParticipant, SetAssignee}},
		{"assigned to them", quest.Quest{Status: quest.InProgress, Assigned: 1}, true, []Kind{InsertParticipant}},
		{"native, open with a dropped one", quest.Quest{Status: quest.Open, Participants: []quest.Participant{{ID: 1, User: 2, Status: quest.Dropped}}}, false, []Kind{InsertParticipant, SetAssignee, SetStatus}},
		{"native, assignee active", quest.Quest{Assigned: 2, Participants: []quest.Participant{{ID: 1, User: 2, Status: quest.Joined}}}, false, []Kind{InsertParticipant}},
		{"native, assignee dropped", quest.Quest{Assigned: 2, Participants: []quest.Participant{{ID: 1, User: 2, Status: quest.Dropped}}}, false, []Kind{InsertParticipant, SetAssignee}},
		{"native, assignee approved too", quest.Quest{Assigned: 2, Applications: []quest.Application{{ID: 1, User: 2, Status: quest.Approved}}}, false, []Kind{InsertParticipant}},
	} {
		v := rule.Violation{Rule: rule.MissingParticipant, Cause: rule.ApprovalFailed, User: 1}
		plan, _ := For(&c.quest, &v, Policy{Original: c.original})
		var kinds []Kind
		for _, w := range plan.Writes {
			kinds = append(kinds, w.Kind)
		}
		if !slices.Equal(kinds, c.want) {
			t.Errorf("%s: writes are %v, want %v", c.name, kinds, c.want)
		}
	}
}

func TestLeftAlone(t *testing.T) {
	q := &quest.Quest{Status: quest.Open, Participants: []quest.Participant{{ID: 1, User: 1, Status: quest.Joined}, {ID: 2, User: 2, Status: quest.Dropped}}}
	for _, c := range []struct {
		rule   rule.Rule
		cause  rule.Cause
		policy Policy
		mended bool
	}{
		{rule.MissingParticipant, rule.Departed, Policy{IncludeUnknown: true}, false},
		{rule.MissingParticipant, rule.Departed, Policy{Original: true}, true},
		{rule.MissingParticipant, rule.Unknown, Policy{}, false},
		{rule.MissingParticipant, rule.Unknown, Policy{IncludeUnknown: true}, true},
		{rule.MissingParticipant, rule.ApprovalFailed, Policy{}, true},
		{rule.OpenWithParticipants, rule.StatusLost, Policy{}, true},
		{rule.Unassigned, rule.Released, Policy{}, false},
		{rule.Unassigned, rule.Released, Policy{IncludeReleased: true}, true},
		{rule.ApprovedButDropped, rule.DroppedOut, Policy{}, false},
		{rule.ApprovedButDropped, rule.DroppedOut, Policy{Reactivate: true}, true},
		{rule.ApprovedButDropped, rule.DroppedOut, Policy{Reactivate: true, Original: true}, false},
		{rule.OrphanParticipant, rule.Unknown, Policy{Original: true, IncludeUnknown: true}, false},
		{rule.DuplicateParticipant, rule.Duplicated, Policy{Original: true}, false},
	} {
		plan, leftAlone := For(q, &rule.Violation{Rule: c.rule, Cause: c.cause, User: 2}, c.policy)
		if mended := len(plan.Writes) > 0; mended != c.mended || (leftAlone == "") != c.mended {
			t.Errorf("%s by %s under %+v: mended %t, %q", c.rule, c.cause, c.policy, mended, leftAlone)
		}
	}
}

// TestPlansAreAsTheRulesSay: what is repaired or may be has a plan, and nothing
// else, whatever the policy.
func TestPlansAreAsTheRulesSay(t *testing.T) {
	q := &quest.Quest{Status: quest.Open, Participants: []quest.Participant{{ID: 1, User: 1, Status: quest.Joined}}}
	for _, o := range rule.Outcomes {
		for _, p := range []Policy{{}, {IncludeUnknown: true, IncludeReleased: true}} {
			want := o.Action == rule.Repair || o.Action == rule.OnRequest && p.IncludeUnknown
			plan, why := For(q, &rule.Violation{Rule: o.Rule, Cause: o.Cause, User: 2}, p)
			if planned := len(plan.Writes) > 0; planned != want || (why == "") != want {
				t.Errorf("%s by %s under %+v: planned %t, %q", o.Rule, o.Cause, p, planned, why)
			}
		}
	}
}

func TestPreconditions(t *testing.T) {
	for _, w := range []Write{
		{Kind: InsertParticipant, Participant: Provisional, User: 1},
		{Kind: InsertParticipant, Participant: 5, User: 3},
		{Kind: DeleteParticipant, Participant: 5, User: 2},
		{Kind: DeleteParticipant, Participant: 6, User: 1},
		{Kind: ReactivateParticipant, Participant: 5, User: 2, State: quest.Joined},
		{Kind: ReactivateParticipant, Participant: 6, User: 1, State: quest.Joined},
		{Kind: ReactivateParticipant, Participant: 5, User: 1, WasState: quest.Dropped, State: quest.Joined},
		{Kind: SetAssignee, WasAssigned: 1, Assign: 2},
		{Kind: SetStatus, WasStatus: quest.Completed, Status: quest.Open},
	} {
		q := &quest.Quest{Status: quest.Open, Participants: []quest.Participant{{ID: 5, User: 1, Joined: math.MinInt64}}}
		if err := Apply([]Write{w}, q); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%+v: %v", w, err)
		}
	}
	if err := Apply([]Write{{}}, &quest.Quest{}); err == nil {
		t.Error("a write of no kind is no error")
	}
}
