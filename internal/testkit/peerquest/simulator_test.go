package peerquest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// tenRules states the rules once more, in SQL.
const tenRules = `
WITH q AS (SELECT * FROM quests_quest WHERE NOT is_deleted),
a AS (SELECT quest_id, applicant_id FROM applications_application WHERE status = 'approved'),
p AS (SELECT * FROM quests_questparticipant),
n AS (SELECT DISTINCT q.id, q.status, q.assigned_to_id FROM q JOIN p ON p.quest_id = q.id AND p.status <> 'dropped')
SELECT DISTINCT 'missing_participant', a.quest_id, a.applicant_id::text FROM a JOIN q ON q.id = a.quest_id
	WHERE NOT EXISTS (SELECT FROM p WHERE p.quest_id = a.quest_id AND p.user_id = a.applicant_id)
UNION ALL SELECT DISTINCT 'orphan_participant', p.quest_id, p.user_id::text FROM p JOIN q ON q.id = p.quest_id
	WHERE p.status <> 'dropped' AND NOT EXISTS (SELECT FROM a WHERE a.quest_id = p.quest_id AND a.applicant_id = p.user_id)
UNION ALL SELECT 'open_with_participants', id, '' FROM n WHERE status = 'open'
UNION ALL SELECT 'unassigned', id, '' FROM n WHERE assigned_to_id IS NULL
UNION ALL SELECT 'duplicate_participant', p.quest_id, p.user_id::text FROM p JOIN q ON q.id = p.quest_id
	GROUP BY p.quest_id, p.user_id HAVING count(*) > 1
UNION ALL SELECT 'assignee_not_participant', id, assigned_to_id::text FROM q WHERE assigned_to_id IS NOT NULL
	AND NOT EXISTS (SELECT FROM p WHERE p.quest_id = q.id AND p.user_id = q.assigned_to_id AND p.status <> 'dropped')
UNION ALL SELECT 'idle_in_progress', id, '' FROM q WHERE status = 'in-progress' AND id NOT IN (SELECT id FROM n)
UNION ALL SELECT DISTINCT 'approved_but_dropped', a.quest_id, a.applicant_id::text FROM a JOIN q ON q.id = a.quest_id
	JOIN p ON p.quest_id = a.quest_id AND p.user_id = a.applicant_id
	WHERE NOT EXISTS (SELECT FROM p WHERE p.quest_id = a.quest_id AND p.user_id = a.applicant_id AND p.status <> 'dropped')
UNION ALL SELECT DISTINCT 'active_after_completion', q.id, '' FROM q JOIN p ON p.quest_id = q.id
	WHERE q.status = 'completed' AND p.status IN ('joined', 'in_progress')
UNION ALL SELECT DISTINCT 'dangling_reference', r.quest_id, '' FROM
	(SELECT quest_id FROM applications_application UNION SELECT quest_id FROM p) r
	WHERE NOT EXISTS (SELECT FROM quests_quest WHERE id = r.quest_id)`

func violations(t *testing.T, dsn string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), tenRules)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		var k peerquest.Key
		err := r.Scan(&k.Rule, &k.QuestID, &k.UserID)
		return fmt.Sprint(k), err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

// standing lists the truth's violations that have not ended.
func standing(truth []peerquest.Expectation) []string {
	var keys []string
	for _, e := range truth {
		if e.EndedAt.IsZero() {
			keys = append(keys, fmt.Sprint(e.Key()))
		}
	}
	slices.Sort(keys)
	return keys
}

func runFor(t *testing.T, sim *peerquest.Simulator, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := sim.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestTruthMatchesTables(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  peerquest.Config
		drop bool
	}{
		{"mixed", peerquest.Config{Seed: 1, Workers: 8, AutocommitShare: 0.5, InjectShare: 0.15, PauseScale: 0.3, Grace: time.Second}, true},
		{"atomic and fast", peerquest.Config{Seed: 2, Workers: 4, InjectShare: 0.15, PauseScale: -1, Grace: time.Second, Rate: 400}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.cfg.DSN = testkit.Database(t)
			if c.drop {
				if err := testkit.DropUniqueParticipant(t.Context(), c.cfg.DSN); err != nil {
					t.Fatal(err)
				}
			}
			sim := peerquest.New(c.cfg)
			runFor(t, sim, 8*time.Second)
			truth := sim.Truth()
			if diff := cmp.Diff(violations(t, c.cfg.DSN), standing(truth)); diff != "" {
				t.Errorf("tables (-) and truth (+) differ:\n%s", diff)
			}
			checkVariety(t, truth, c.drop)
			t.Logf("%d transactions, %d changes, %d expectations", sim.Transactions(), sim.Changes(), len(truth))
		})
	}
}

// checkVariety looks whether the run had everything in it that it is there for.
func checkVariety(t *testing.T, truth []peerquest.Expectation, duplicates bool) {
	t.Helper()
	causes, uncertain, healed := map[string]int{}, 0, 0
	for _, e := range truth {
		causes[e.Rule+" "+e.Cause]++
		if e.Kind == peerquest.Uncertain {
			uncertain++
			t.Logf("uncertain: %+v", e)
		}
		if !e.EndedAt.IsZero() {
			healed++
		}
	}
	t.Logf("%v, %d healed", causes, healed)
	want := []string{
		"missing_participant approval_failed", "missing_participant departed", "orphan_participant revoked",
		"open_with_participants status_lost", "unassigned assignment_lost",
	}
	if duplicates {
		want = append(want, "duplicate_participant duplicated", "dangling_reference quest_missing", "assignee_not_participant assignee_left", "assignee_not_participant never_joined",
			"idle_in_progress idle", "approved_but_dropped dropped_out", "active_after_completion unfinished")
	}
	for _, w := range want {
		if causes[w] == 0 {
			t.Errorf("no %s", w)
		}
	}
	if healed == 0 {
		t.Error("no violation was ended")
	}
	if uncertain > 5+len(truth)/20 {
		t.Errorf("%d uncertain expectations without a fault of the server", uncertain)
	}
}

func TestServerCrashLeavesTruthRight(t *testing.T) {
	c := testkit.NewCluster(t, testkit.PostgresOptions{})
	dsn := c.DSN("postgres")
	if err := testkit.LoadSchema(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	sim := peerquest.New(peerquest.Config{
		DSN: dsn, Seed: 3, Workers: 6, AutocommitShare: 0.3, InjectShare: 0.1, PauseScale: 0.2, Grace: time.Second,
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	for range 3 {
		before := sim.Transactions()
		testkit.Eventually(t, 20*time.Second, func() error {
			if n := sim.Transactions() - before; n < 100 {
				return fmt.Errorf("%d transactions", n)
			}
			return nil
		})
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(violations(t, dsn), standing(sim.Truth())); diff != "" {
		t.Errorf("tables (-) and truth (+) differ:\n%s", diff)
	}
}
