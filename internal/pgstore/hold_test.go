package pgstore

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
)

// What the application may do to quest 8, where student2 takes part and nobody is assigned,
// and where student1 has applied.
var operations = map[string]struct {
	statements []string
	healed     bool // for a repair that finds it done
}{
	"approve": {[]string{
		"UPDATE applications_application SET status = 'approved' WHERE quest_id = 8 AND applicant_id = '" + student1 + "'",
		"INSERT INTO quests_questparticipant (quest_id, user_id, status, joined_at, progress_notes) VALUES (8, '" + student1 + "', 'joined', now(), '')",
		"UPDATE quests_quest SET assigned_to_id = '" + student1 + "' WHERE id = 8",
	}, true},
	"kick": {[]string{
		"UPDATE applications_application SET status = 'kicked' WHERE quest_id = 8 AND applicant_id = '" + student2 + "'",
		"UPDATE quests_questparticipant SET status = 'dropped' WHERE quest_id = 8",
		"UPDATE quests_quest SET status = 'open' WHERE id = 8",
	}, true},
	"leave": {[]string{
		"DELETE FROM quests_questparticipant WHERE quest_id = 8",
		"UPDATE quests_quest SET status = 'open' WHERE id = 8",
	}, true},
	"leave alone":   {[]string{"DELETE FROM quests_questparticipant WHERE quest_id = 8"}, true},
	"remove":        {[]string{"UPDATE applications_application SET status = 'rejected' WHERE quest_id = 8 AND applicant_id = '" + student2 + "'"}, false},
	"complete":      {[]string{"UPDATE quests_quest SET status = 'completed' WHERE id = 8", "UPDATE quests_questparticipant SET status = 'completed' WHERE quest_id = 8"}, false},
	"complete part": {[]string{"UPDATE quests_questparticipant SET status = 'completed' WHERE quest_id = 8"}, false},
	"soft delete":   {[]string{"UPDATE quests_quest SET is_deleted = true WHERE id = 8"}, true},
	"delete": {[]string{
		"DELETE FROM quests_questparticipant WHERE quest_id = 8", "DELETE FROM applications_application WHERE quest_id = 8",
		"DELETE FROM quests_quest WHERE id = 8",
	}, true},
	"apply": {[]string{"INSERT INTO applications_application (quest_id, applicant_id, status, applied_at) VALUES (8, '33333333-3333-4333-8333-333333333333', 'pending', now())"}, false},
	"join":  {[]string{"INSERT INTO quests_questparticipant (quest_id, user_id, status, joined_at, progress_notes) VALUES (8, '33333333-3333-4333-8333-333333333333', 'joined', now(), '')"}, false},
}

func applied(t *testing.T) (s *Store, conn *pgx.Conn, dsn string) {
	t.Helper()
	s, conn, dsn = journalled(t)
	exec(t, conn, "INSERT INTO applications_application (quest_id, applicant_id, status, applied_at) VALUES (8, '"+student1+"', 'pending', now())")
	return s, conn, dsn
}

// TestHoldKeepsOthersOut: from the lock to the commit nobody changes the quest, whatever
// the application does, and afterwards it goes on.
func TestHoldKeepsOthersOut(t *testing.T) {
	t.Parallel()
	for name, op := range operations {
		for _, at := range []string{"confirm", "decide"} {
			t.Run(name+" at "+at, func(t *testing.T) {
				t.Parallel()
				s, conn, dsn := applied(t)
				other := connect(t, dsn)
				done := make(chan error, 1)
				start := func() {
					go func() {
						_, err := other.PgConn().Exec(context.WithoutCancel(t.Context()), "BEGIN;"+strings.Join(op.statements, ";")+";COMMIT").ReadAll()
						done <- err
					}()
					waitsForLock(t, conn)
				}
				o := unassigned()
				plan := decide(o)
				_, err := s.Carry(t.Context(), o, func(context.Context, change.LSN) error {
					if at == "confirm" {
						start()
					}
					return nil
				}, func(c *remedy.Case) (remedy.Action, []remedy.Write, error) {
					if at == "decide" {
						start()
					}
					return plan(c)
				})
				if err != nil {
					t.Errorf("the repair: %v", err)
				}
				if err := <-done; err != nil {
					t.Errorf("the application: %v", err)
				}
			})
		}
	}
}

// TestHoldWaitsForOthers: what the application has begun is waited for, and its outcome is
// what the repair decides on.
func TestHoldWaitsForOthers(t *testing.T) {
	t.Parallel()
	for name, op := range operations {
		for n := range op.statements {
			t.Run(name+" from statement "+string(rune('1'+n)), func(t *testing.T) {
				t.Parallel()
				s, conn, dsn := applied(t)
				s.cfg.Attempts = 20
				other := connect(t, dsn)
				exec(t, other, "BEGIN;"+strings.Join(op.statements[:n+1], ";"))
				result := make(chan error, 1)
				o := unassigned()
				go func() { result <- second(s.Carry(context.WithoutCancel(t.Context()), o, nil, decide(o))) }()
				if lone := strings.HasPrefix(op.statements[0], "INSERT"); !lone {
					waitsForLock(t, conn)
				} else if err := <-result; err != nil { // it locks nothing of the quest's before its commit
					t.Fatal(err)
				} else {
					result <- nil
				}
				exec(t, other, strings.Join(append(op.statements[n+1:], "COMMIT"), ";"))
				if err := <-result; op.healed != errors.Is(err, remedy.ErrHealed) || !op.healed && err != nil {
					t.Errorf("want healed %t: %v", op.healed, err)
				}
			})
		}
	}
}
