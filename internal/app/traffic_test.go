package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

// traffic writes random transactions from several connections: one quest or many,
// rolled back, with savepoints, rows that change quest, unusual titles. It does
// not care what is right, and goes on when the server crashes.
type traffic struct {
	done      atomic.Int64
	cancel    context.CancelFunc
	writers   sync.WaitGroup
	stoppedBy func()
	pause     time.Duration // between a writer's transactions
}

// startTraffic runs until stop is called, at the latest at the test's end. The
// database must hold the people of testkit.LoadAudit001.
func startTraffic(t *testing.T, dsn string, writers int) *traffic {
	t.Helper()
	return startPacedTraffic(t, dsn, writers, 8*time.Millisecond, 7)
}

func startPacedTraffic(t *testing.T, dsn string, writers int, pause time.Duration, seed uint64) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	tr := &traffic{cancel: cancel, pause: pause}
	for i := range writers {
		tr.writers.Go(func() { tr.write(ctx, dsn, rand.New(rand.NewPCG(uint64(i), seed))) })
	}
	tr.stoppedBy = sync.OnceFunc(func() {
		cancel()
		tr.writers.Wait()
	})
	t.Cleanup(tr.stoppedBy)
	return tr
}

func (tr *traffic) stop() { tr.stoppedBy() }

// more waits for some more transactions.
func (tr *traffic) more(t *testing.T, n int64) {
	t.Helper()
	want := tr.done.Load() + n
	testkit.Eventually(t, 40*time.Second, func() error {
		if done := tr.done.Load(); done < want {
			return fmt.Errorf("%d transactions, want %d", done, want)
		}
		return nil
	})
}

func (tr *traffic) write(ctx context.Context, dsn string, rng *rand.Rand) {
	pause := time.NewTicker(tr.pause)
	defer pause.Stop()
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, dsn)
		for err == nil && ctx.Err() == nil && !conn.IsClosed() {
			if tr.once(ctx, conn, rng) == nil {
				tr.done.Add(1)
			}
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
		}
		if conn != nil {
			conn.Close(context.WithoutCancel(ctx))
		}
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
}

const (
	newQuest = `INSERT INTO quests_quest (title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at,
		updated_at, requirements, resources, slug, is_deleted, creator_id, category_id)
		SELECT $1, 'd', 'initiate', 'open', 1, 0, 0, now(), now(), '', '', gen_random_uuid()::text, false, id, 2 FROM users_user LIMIT 1`
	apply = `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		SELECT 'pending', now(), u.id, q.id FROM (SELECT id FROM users_user ORDER BY random() LIMIT 1) u,
		(SELECT id FROM quests_quest ORDER BY random() LIMIT 1) q`
	approve = `UPDATE applications_application SET status = 'approved', reviewed_at = now()
		WHERE id = (SELECT id FROM applications_application WHERE status = 'pending' ORDER BY random() LIMIT 1)`
	join = `INSERT INTO quests_questparticipant (status, joined_at, progress_notes, quest_id, user_id)
		SELECT 'joined', now(), '', quest_id, applicant_id FROM applications_application WHERE status = 'approved' ORDER BY random() LIMIT 1
		ON CONFLICT DO NOTHING`
	assign = `UPDATE quests_quest SET assigned_to_id = (SELECT user_id FROM quests_questparticipant p WHERE p.quest_id = quests_quest.id LIMIT 1),
		status = 'in-progress', updated_at = clock_timestamp() WHERE id IN (SELECT quest_id FROM quests_questparticipant ORDER BY random() LIMIT 2)`
	leave  = `DELETE FROM quests_questparticipant WHERE id = (SELECT id FROM quests_questparticipant ORDER BY random() LIMIT 1)`
	rename = `UPDATE quests_quest SET title = $1 WHERE id IN (SELECT id FROM quests_quest ORDER BY random() LIMIT 5)`
	shift  = `UPDATE applications_application SET quest_id = (SELECT id FROM quests_quest ORDER BY random() LIMIT 1)
		WHERE id = (SELECT id FROM applications_application ORDER BY random() LIMIT 1)`
	remove = `UPDATE quests_quest SET is_deleted = NOT is_deleted WHERE id = (SELECT id FROM quests_quest ORDER BY random() LIMIT 1)`
)

// manyQuests makes a baseline long.
const manyQuests = `INSERT INTO quests_quest (title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at,
	updated_at, requirements, resources, slug, is_deleted, creator_id, category_id)
	SELECT 'q', 'd', 'initiate', 'open', 1, 0, 0, now(), now(), '', '', 'many-' || n, false, '483ab258-e434-44f3-9da2-73409dd55f55', 2
	FROM generate_series(1, 15000) n`

var titles = []string{"plain", "naïve \"quoted\" \\ back", "tab\tline\nbell\a", "日本 🎉 \u2028", ""}

func (tr *traffic) once(ctx context.Context, conn *pgx.Conn, rng *rand.Rand) error {
	title := titles[rng.IntN(len(titles))]
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // after a commit there is nothing to roll back
	for range 1 + rng.IntN(4) {
		part, err := tx.Begin(ctx)
		if err != nil {
			return err
		}
		statements := []string{apply, apply, approve, approve, join, join, assign, leave, shift, remove}
		switch n := rng.IntN(len(statements) + 2); n {
		case 0:
			_, err = part.Exec(ctx, newQuest, title)
		case 1:
			_, err = part.Exec(ctx, rename, title)
		default:
			_, err = part.Exec(ctx, statements[n-2])
		}
		if err != nil || rng.IntN(10) == 0 {
			err = part.Rollback(ctx)
		} else {
			err = part.Commit(ctx)
		}
		if err != nil {
			return err
		}
	}
	if rng.IntN(10) == 0 {
		return tx.Rollback(ctx)
	}
	return tx.Commit(ctx)
}
