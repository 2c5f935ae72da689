package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// TestRepairModes: a cause's own mode goes before the general one, which goes no
// further than the cause allows. All can be said in a file, and in the environment.
func TestRepairModes(t *testing.T) {
	c, _, err := Load(write(t, `
repair: {mode: auto, reactivate: true}
rules:
  open_with_participants: {repair: {status_lost: off}}
  approved_but_dropped: {repair: {dropped_out: auto}}
`), []string{"QUESTWATCH_RULES_UNASSIGNED_REPAIR_ASSIGNMENT_LOST=plan"})
	if err == nil {
		err = c.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	modes, err := c.Modes()
	if err != nil {
		t.Fatal(err)
	}
	want := map[rule.Rule]map[rule.Cause]remedy.Mode{
		rule.MissingParticipant:   {rule.ApprovalFailed: remedy.ModeAuto, rule.Unknown: remedy.ModePlan},
		rule.OpenWithParticipants: {rule.Released: remedy.ModePlan},
		rule.Unassigned:           {rule.AssignmentLost: remedy.ModePlan, rule.Released: remedy.ModePlan},
		rule.ApprovedButDropped:   {rule.DroppedOut: remedy.ModeAuto},
	}
	for _, o := range rule.Outcomes {
		mode := want[o.Rule][o.Cause]
		if mode == "" {
			mode = remedy.ModeOff
		}
		if got := modes.Of(o.Rule, o.Cause); got != mode {
			t.Errorf("%s by %s is %s, want %s", o.Rule, o.Cause, got, mode)
		}
	}
}

// TestNeverAutomatic: who wants more than a cause allows hears it at the start.
func TestNeverAutomatic(t *testing.T) {
	for _, o := range rule.Outcomes {
		c := Default()
		_ = c.Rules.each(func(name string, fields ruleFields) error {
			if name == o.Rule.String() {
				*fields.repair[string(o.Cause)] = "auto"
			}
			return nil
		})
		err := c.Finish()
		key := "rules." + o.Rule.String() + ".repair." + string(o.Cause) + ": "
		var mistake *Error
		switch {
		case o.Action == rule.Repair:
			if err != nil {
				t.Errorf("%s by %s: %v", o.Rule, o.Cause, err)
			}
		case !errors.As(err, &mistake), !strings.HasPrefix(err.Error(), key):
			t.Errorf("%s by %s: error %v", o.Rule, o.Cause, err)
		}
	}
	for file, want := range map[string]string{
		"rules: {missing_participant: {repair: {unknown: auto}}}":      "rules.missing_participant.repair.unknown: is never repaired automatically: want off or plan",
		"rules: {missing_participant: {repair: {departed: plan}}}":     "rules.missing_participant.repair.departed: has no repair: want off",
		"rules: {approved_but_dropped: {repair: {dropped_out: plan}}}": "rules.approved_but_dropped.repair.dropped_out: is repaired only where repair.reactivate is true",
		"rules: {unassigned: {repair: {released: sometimes}}}":         "rules.unassigned.repair.released: want off, plan or auto",
		"repair: {mode: Auto}": "repair.mode: want off, plan or auto",
	} {
		c, _, err := Load(write(t, file+"\n"), nil)
		if err == nil {
			err = c.Finish()
		}
		var mistake *Error
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}
