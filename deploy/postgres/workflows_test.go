package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

// The application's workflows, and by which sections each is refused: as it writes today, and as it wrote before its fix.
var workflows = []struct{ name, steps, today, pieces string }{
	{"approve", "approve", "", "2.1 2.2 2.4"},
	{"approve another", "approve, apply, approve", "", "2.1 2.2 2.4"},
	{"approve two at once", "apply, approve two", "", either},
	{"approve fails", "roll back, roll back", "", ""},
	{"reject", "reject", "", ""},
	{"reject, apply again, approve", "reject, apply again, approve", "", "2.1 2.2 2.4"},
	{"kick the last", "approve, kick", "", "2.1 2.2 2.4"},
	{"kick one of two", "approve, apply, approve, kick", "", "2.1 2.2 2.4"},
	{"kick, approve another", "approve, kick, apply, approve", "2.2", "2.1 2.2 2.4"},
	{"kick one of two, approve another", "approve, apply, approve, kick, apply, approve", "", "2.1 2.2 2.4"},
	{"kick, approve again", "approve, approve after kick", "2.2", "2.1 2.2 2.4"},
	{"leave, the last", "approve, leave", "", "2.1 2.2 2.4"},
	{"leave, one of two", "approve, apply, approve, leave", "", "2.1 2.2 2.4"},
	{"leave, approve another", "approve, leave, apply, approve", "", "2.1 2.2 2.4"},
	{"leave, save, complete", "approve, apply, approve, leave, edit, complete", "", "2.1 2.2 2.4"},
	{"remove endpoint", "approve, remove endpoint", "", "2.1 2.2 2.4"},
	{"join without application", "join", "2.2 2.4", "2.2 2.4"},
	{"unassign", "approve, unassign", "2.3 2.5", "2.1 2.2 2.3 2.4 2.5"},
	{"complete", "approve, complete", "", "2.1 2.2 2.4"},
	{"edit", "edit, approve, edit", "", "2.1 2.2 2.4"},
	{"soft delete", "approve, soft delete", "", "2.1 2.2 2.4"},
	{"soft delete, then go on", "approve, soft delete, unassign, apply, approve", "", "2.1 2.2 2.4"},
	{"hard delete", "approve, apply, hard delete", "", "2.1 2.2 2.4"},
	// What goes wrong, and should be refused.
	{"participant lost", "lose participant", "2.1", "2.1"},
	{"status lost", "lose status", "2.2", "2.1 2.2 2.4"},
	{"assignment lost", "lose assignment", "2.4", "2.1 2.2 2.4"},
}

var triggers = map[string]string{
	"2.1": "questwatch_approved_takes_part", "2.2": "questwatch_participant_in_open_quest",
	"2.3": "questwatch_open_quest_with_participants", "2.4": "questwatch_participant_in_unassigned_quest",
	"2.5": "questwatch_unassigned_quest_with_participants",
}

// either is where it depends on who comes first: in pieces, one of the two saves a quest that the other has moved on.
const either = "either"

// TestWorkflows tries every workflow under every section, a few times: who is kicked or leaves is drawn.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	for name := range pack(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t)
			apply(t, connect(t, dsn), name)
			for _, style := range []struct {
				name  string
				share float64
			}{{"today", 0}, {"in pieces", 1}} {
				stage, err := peerquest.NewStage(t.Context(), peerquest.Config{DSN: dsn, AutocommitShare: style.share, PauseScale: -1, Seed: uint64(style.share)})
				if err != nil {
					t.Fatal(err)
				}
				defer stage.Close()
				for _, w := range workflows {
					by := w.today
					if style.share == 1 {
						by = w.pieces
					}
					if by == either {
						continue
					}
					want := ""
					if slices.Contains(strings.Fields(by), name) {
						want = "23514 " + triggers[name]
					}
					for range 4 {
						if got := refused(t, stage.Play(t.Context(), strings.Split(w.steps, ", ")...)); got != want {
							t.Errorf("%s, %s: refused by %q, want %q", w.name, style.name, got, want)
							break
						}
					}
				}
			}
		})
	}
}

// TestTrafficUnderPack: what is said to refuse nothing, under the application's whole traffic as it writes today.
func TestTrafficUnderPack(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	apply(t, connect(t, dsn), "1.1", "1.2", "1.3", "1.4", "2.1", "3")
	sim := peerquest.New(peerquest.Config{DSN: dsn, Seed: 7, Workers: 4, PauseScale: 0.1, Grace: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if err := sim.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if n := sim.Transactions(); n < 100 {
		t.Errorf("%d transactions", n)
	}
	for _, e := range sim.Truth() {
		if e.Rule == peerquest.MissingParticipant && e.Kind == peerquest.Injected {
			t.Errorf("an approval failed under 2.1: %+v", e)
		}
	}
}
