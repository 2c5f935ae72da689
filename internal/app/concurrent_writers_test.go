package app

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

func TestTwoWritersOnOneQuest(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	var writers sync.WaitGroup
	for _, user := range []string{"11111111-1111-4111-8111-111111111111", "33333333-3333-4333-8333-333333333333"} {
		writers.Go(func() { joinAndLeave(t, dsn, user) })
	}
	writers.Wait()
	if s := r.verify(t); s.transactions < 120 {
		t.Errorf("only %d transactions", s.transactions)
	}
}

// joinAndLeave has one person come to quest 1 and go, again and again.
func joinAndLeave(t *testing.T, dsn, user string) {
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for range 40 {
		for _, sql := range []string{
			`WITH a AS (INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
				VALUES ('approved', now(), $1, 1)), q AS (UPDATE quests_quest SET assigned_to_id = $1, status = 'in-progress' WHERE id = 1)
			INSERT INTO quests_questparticipant (status, joined_at, progress_notes, quest_id, user_id) VALUES ('joined', now(), '', 1, $1)`,
			`WITH p AS (DELETE FROM quests_questparticipant WHERE quest_id = 1 AND user_id = $1)
			DELETE FROM applications_application WHERE quest_id = 1 AND applicant_id = $1`,
		} {
			if _, err := conn.Exec(t.Context(), sql, user); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

// The simulator's faults are found, each with the transaction that began it, and
// nothing else is.
func TestSimulatedPeerQuest(t *testing.T) {
	for name, share := range map[string]float64{"atomic": 0, "autocommit": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.DropUniqueParticipant)
			r := start(t, settings(t, dsn), dsn)
			r.ready(t)
			sim := peerquest.New(peerquest.Config{
				DSN: dsn, Seed: 5, Workers: 4, AutocommitShare: share, InjectShare: 0.15, PauseScale: 0.2, Grace: time.Second, Rate: 100,
			})
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			if err := sim.Run(ctx); err != nil {
				t.Fatal(err)
			}
			r.verify(t)
			o := peerquest.Match(sim.Truth(), reported(r.findings(t)))
			if len(o.Missed)+len(o.WrongCause)+len(o.FalseAlarms)+len(o.Untrue) > 0 || o.Found == 0 {
				t.Errorf("found %d, missed %+v, found as something else %+v, not so %+v", o.Found, o.Missed, o.WrongCause, append(o.FalseAlarms, o.Untrue...))
			}
		})
	}
}
