package peerquest_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

// The comparison itself must be able to fail.
func TestMatch(t *testing.T) {
	key := peerquest.Key{Rule: peerquest.Unassigned, QuestID: 7}
	expected := peerquest.Expectation{Rule: key.Rule, QuestID: 7, Cause: "assignment_lost", Severity: "warning", XID: 9, Kind: peerquest.Injected}
	uncertain, unread := expected, expected
	uncertain.Kind, uncertain.Cause = peerquest.Uncertain, ""
	unread.XID = 0
	right := peerquest.Finding{Key: key, Cause: "assignment_lost", Severity: "warning", XID: 9}
	changed := func(change func(f *peerquest.Finding)) peerquest.Finding {
		f := right
		change(&f)
		return f
	}
	for name, test := range map[string]struct {
		truth                                        peerquest.Expectation
		found                                        []peerquest.Finding
		hit, missed, wrongCause, falseAlarms, untrue int
	}{
		"found":             {expected, []peerquest.Finding{right}, 1, 0, 0, 0, 0},
		"missed":            {expected, nil, 0, 1, 0, 0, 0},
		"other transaction": {expected, []peerquest.Finding{changed(func(f *peerquest.Finding) { f.XID = 8 })}, 0, 1, 0, 1, 0},
		"other quest":       {expected, []peerquest.Finding{changed(func(f *peerquest.Finding) { f.QuestID = 8 })}, 0, 1, 0, 1, 0},
		"other cause":       {expected, []peerquest.Finding{changed(func(f *peerquest.Finding) { f.Cause = "unknown" })}, 0, 0, 1, 1, 0},
		"other severity":    {expected, []peerquest.Finding{changed(func(f *peerquest.Finding) { f.Severity = "info" })}, 0, 0, 1, 0, 1},
		"no transaction":    {unread, []peerquest.Finding{right}, 1, 0, 0, 0, 0},
		"uncertain":         {uncertain, nil, 0, 0, 0, 0, 0},
		"uncertain, found":  {uncertain, []peerquest.Finding{right}, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := peerquest.Match([]peerquest.Expectation{test.truth}, test.found)
			if o.Found != test.hit || len(o.Missed) != test.missed || len(o.WrongCause) != test.wrongCause ||
				len(o.FalseAlarms) != test.falseAlarms || len(o.Untrue) != test.untrue {
				t.Errorf("%+v", o)
			}
		})
	}
}
