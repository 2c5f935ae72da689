package event_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// repaired is what a repair says of its transaction.
func repaired() change.Repaired {
	return change.Repaired{
		Namespace: "questwatch", Entry: 12, Finding: "0b2c", Rule: "missing_participant", Cause: "approval_failed",
		Action: "create_participant", QuestID: 42, UserID: alice, Actor: "questwatch", Automatic: true, Violated: 1782912152000,
	}
}

func told() event.Told {
	return event.Told{At: 1782912155700, Position: event.Position{Sequence: 18, Index: 2}, Where: drift.Where{
		Epoch: 1, Transaction: change.Transaction{ID: 761, CommitLSN: 24024100, Time: 1782912155600, Message: 3},
	}}
}

func TestRepairGolden(t *testing.T) {
	_, opened := tracked(t, drift.FromStream)
	applied, undone := repaired(), repaired()
	undone.Entry, undone.Undoes, undone.Actor, undone.Automatic = 13, 12, "anna", false
	about := event.Remedy{
		Finding: opened[0].Finding.ID, Rule: rule.Unassigned, Cause: rule.AssignmentLost, Action: "assign_earliest", QuestID: 42, Automatic: true,
	}
	halt := event.Halt{
		Reason: "breaker", Severity: event.Critical, Since: 1782912155000,
		Opened: 51, LimitOpened: 50, Quests: 900, LimitPercent: 1,
	}
	resumed := halt
	resumed.Until, resumed.Actor = 1782912255000, "anna"
	for _, c := range []struct {
		file, subject, kind string
		event               event.Event
		positioned          bool
	}{
		{"repair_planned", "planned.missing_participant.42", "planned", event.OfPlan(&opened[1], "create_participant", true, event.Position{Sequence: 18, Index: 2}), true},
		{"repair_applied", "applied.missing_participant.42", "applied", event.OfRepaired(&applied, rule.MissingParticipant, told()), true},
		{"repair_undone", "undone.missing_participant.42", "undone", event.OfRepaired(&undone, rule.MissingParticipant, told()), true},
		{"repair_skipped", "skipped.unassigned.42", "skipped", event.OfSkipped("questwatch", &event.NotRepaired{
			Remedy: about, Reason: "healed", Actor: "questwatch", Time: 1782912155000,
		}), false},
		{"repair_failed", "failed.unassigned.42", "failed", event.OfFailed("questwatch", &event.NotRepaired{
			Remedy: about, Reason: "refused", Error: "permission denied for table quests_quest", Actor: "questwatch", Time: 1782912155000,
		}), false},
		{"repair_halted", "halted.breaker._", "halted", event.OfHalt("questwatch", &halt), false},
		{"repair_resumed", "resumed.breaker._", "resumed", event.OfHalt("questwatch", &resumed), false},
	} {
		t.Run(c.file, func(t *testing.T) {
			if got := c.event.Subject("questwatch"); got != "questwatch.events.repair."+c.subject {
				t.Errorf("subject %s", got)
			}
			if got := c.event.Type(); got != "dev.questwatch.repair."+c.kind+".v1" {
				t.Errorf("type %s", got)
			}
			data, err := c.event.Encode("questwatch")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.file, data)
			if _, err := event.PositionOf(data); (err == nil) != c.positioned || (positioned(c.event) == 1) != c.positioned {
				t.Errorf("found by %d of Positioned, position %v", positioned(c.event), err)
			}
			if c.positioned {
				checkEnvelope(t, &c.event, data)
			}
		})
	}
}

// The id of an event is made of what makes it one, so that it can be published again.
func TestRepairIDs(t *testing.T) {
	seen := map[string]string{}
	one := func(what string, e event.Event) {
		if other, taken := seen[e.ID]; taken {
			t.Errorf("%s has the id of %s", what, other)
		}
		seen[e.ID] = what
	}
	r, at := repaired(), told()
	of := func() event.Event { return event.OfRepaired(&r, rule.MissingParticipant, at) }
	one("a repair", of())
	at.Position.Sequence, at.At = 19, 0 // the stream has lost its end and got it back
	if again := of(); seen[again.ID] == "" {
		t.Error("the id depends on where in the stream it is told")
	}
	r.Entry++
	one("another entry", of())
	r.Undoes = 1
	one("an undoing", of())
	r.Undoes, r.Namespace = 0, "other"
	one("another namespace", of())
	at.Where.Transaction.CommitLSN++
	one("another transaction", of())
	at.Where.Transaction.Message++
	one("another message", of())
	n := event.NotRepaired{Remedy: event.Remedy{Finding: "a"}, Time: 1}
	one("skipped", event.OfSkipped("ns", &n))
	one("failed", event.OfFailed("ns", &n))
	n.Time++
	one("failed again", event.OfFailed("ns", &n))
	n.Finding = "b"
	one("another finding's", event.OfFailed("ns", &n))
	one("halted", event.OfHalt("ns", &event.Halt{Since: 1}))
	one("resumed", event.OfHalt("ns", &event.Halt{Since: 1, Until: 2}))
	one("halted later", event.OfHalt("ns", &event.Halt{Since: 2}))
}

// What the stream did not see begin has no time from commit to commit, and nothing
// has it that takes a repair back.
func TestTimeToRepair(t *testing.T) {
	for _, c := range []struct {
		violated change.Millis
		undoes   int64
		want     bool
	}{{1782912152000, 0, true}, {0, 0, false}, {1782912152000, 3, false}} {
		r := repaired()
		r.Violated, r.Undoes = c.violated, c.undoes
		at := told()
		after := event.OfRepaired(&r, rule.MissingParticipant, at).Data.(event.Repaired).AfterCommitMS
		if (after != nil) != c.want || after != nil && *after != 3600 {
			t.Errorf("%+v: %v", c, after)
		}
	}
}
