package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
)

// tableRows reads the streamed columns of the three tables.
func tableRows(t *testing.T, dsn string) map[string]map[int64]string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), "SET timezone = 'UTC'"); err != nil {
		t.Fatal(err)
	}
	schema := change.PeerQuest()
	all := map[string]map[int64]string{}
	for _, e := range change.Entities {
		list := "t." + strings.Join(schema.Columns(e), ", t.")
		rows, err := conn.Query(t.Context(), "SELECT id, to_json(r)::text FROM (SELECT "+list+" FROM "+schema.Table(e)+" t) r")
		if err != nil {
			t.Fatal(err)
		}
		table, id, text := map[int64]string{}, int64(0), ""
		if _, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error {
			table[id] = canonical(t, []byte(text), "", nil)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		all[e.String()] = table
	}
	return all
}

// tenRules states the rules once more, in SQL.
const tenRules = `
WITH q AS (SELECT * FROM quests_quest WHERE NOT is_deleted),
a AS (SELECT quest_id, applicant_id FROM applications_application WHERE status = 'approved'),
p AS (SELECT * FROM quests_questparticipant),
n AS (SELECT DISTINCT q.id, q.status, q.assigned_to_id FROM q JOIN p ON p.quest_id = q.id AND p.status <> 'dropped')
SELECT DISTINCT 'missing_participant ' || a.quest_id || ' ' || a.applicant_id FROM a JOIN q ON q.id = a.quest_id
	WHERE NOT EXISTS (SELECT FROM p WHERE p.quest_id = a.quest_id AND p.user_id = a.applicant_id)
UNION ALL SELECT DISTINCT 'orphan_participant ' || p.quest_id || ' ' || p.user_id FROM p JOIN q ON q.id = p.quest_id
	WHERE p.status <> 'dropped' AND NOT EXISTS (SELECT FROM a WHERE a.quest_id = p.quest_id AND a.applicant_id = p.user_id)
UNION ALL SELECT 'open_with_participants ' || id || ' ' FROM n WHERE status = 'open'
UNION ALL SELECT 'unassigned ' || id || ' ' FROM n WHERE assigned_to_id IS NULL
UNION ALL SELECT 'duplicate_participant ' || p.quest_id || ' ' || p.user_id FROM p JOIN q ON q.id = p.quest_id
	GROUP BY p.quest_id, p.user_id HAVING count(*) > 1
UNION ALL SELECT 'assignee_not_participant ' || id || ' ' || assigned_to_id FROM q WHERE assigned_to_id IS NOT NULL
	AND NOT EXISTS (SELECT FROM p WHERE p.quest_id = q.id AND p.user_id = q.assigned_to_id AND p.status <> 'dropped')
UNION ALL SELECT 'idle_in_progress ' || id || ' ' FROM q WHERE status = 'in-progress' AND id NOT IN (SELECT id FROM n)
UNION ALL SELECT DISTINCT 'approved_but_dropped ' || a.quest_id || ' ' || a.applicant_id FROM a JOIN q ON q.id = a.quest_id
	JOIN p ON p.quest_id = a.quest_id AND p.user_id = a.applicant_id
	WHERE NOT EXISTS (SELECT FROM p WHERE p.quest_id = a.quest_id AND p.user_id = a.applicant_id AND p.status <> 'dropped')
UNION ALL SELECT DISTINCT 'active_after_completion ' || q.id || ' ' FROM q JOIN p ON p.quest_id = q.id
	WHERE q.status = 'completed' AND p.status IN ('joined', 'in_progress')
UNION ALL SELECT DISTINCT 'dangling_reference ' || r.quest_id || ' ' FROM
	(SELECT quest_id FROM applications_application UNION SELECT quest_id FROM p) r
	WHERE NOT EXISTS (SELECT FROM quests_quest WHERE id = r.quest_id)`

// violated is what the tables violate now.
func violated(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), tenRules)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// verifyKept waits until the findings in the bucket are those of the tables.
func (r *running) verifyKept(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	testkit.Eventually(t, 20*time.Second, func() error {
		bucket := r.Bus().Findings()
		ids, err := bucket.Keys(t.Context())
		if err != nil {
			return err
		}
		kept := []string{}
		for _, id := range ids {
			e, err := bucket.Get(t.Context(), id)
			if err != nil {
				return err
			}
			var f finding
			decode(t, e.Value, &f.Finding)
			kept = append(kept, f.name())
		}
		slices.Sort(kept)
		if diff := cmp.Diff(violated(t, conn), kept); diff != "" {
			return fmt.Errorf("tables (-) and kept findings (+) differ:\n%.3000s", diff)
		}
		return nil
	})
}

// name says what is violated, as tenRules does.
func (f *finding) name() string {
	user := ""
	if f.UserID != nil {
		user = *f.UserID
	}
	return fmt.Sprint(f.Rule, " ", f.QuestID, " ", user)
}

// finding is a finding as its events tell of it.
type finding struct {
	event.Finding
	what     string // as in tenRules
	resolved bool
}

// verifyFindings waits until the findings that are open are those of the tables,
// and so is the bucket.
func (r *running) verifyFindings(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	testkit.Eventually(t, 20*time.Second, func() error {
		want, got, ids := violated(t, conn), []string{}, []string{}
		for id, f := range r.findings(t) {
			if !f.resolved && f.Transaction.Epoch >= r.since {
				got, ids = append(got, f.what), append(ids, id)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("tables (-) and open findings (+) differ:\n%.3000s", diff)
		}
		kept, err := r.Bus().Findings().Keys(t.Context())
		if err != nil {
			return err
		}
		slices.Sort(ids)
		slices.Sort(kept)
		if diff := cmp.Diff(ids, kept); diff != "" && len(ids)+len(kept) > 0 {
			return fmt.Errorf("open findings (-) and their bucket (+) differ:\n%.3000s", diff)
		}
		return nil
	})
}

// findings reads all drift events so far, by finding. Nothing may be said twice.
func (r *running) findings(t *testing.T) map[string]*finding {
	t.Helper()
	all := map[string]*finding{}
	ids := map[string]bool{}
	err := r.Bus().ConsumeEvents(t.Context(), nil, 0, func(m bus.Message) error {
		var e struct {
			ID   string          `json:"id"`
			Type string          `json:"type"`
			Data json.RawMessage `json:"data"`
		}
		decode(t, m.Data, &e)
		if ids[e.ID] {
			t.Errorf("event %s comes twice", e.ID)
		}
		ids[e.ID] = true
		opened := strings.HasSuffix(e.Type, ".drift.opened.v1")
		if !opened && !strings.HasSuffix(e.Type, ".drift.resolved.v1") {
			return nil
		}
		f := &finding{resolved: !opened}
		decode(t, e.Data, &f.Finding)
		f.what = f.name()
		if all[f.Finding.Finding] == nil != opened {
			t.Errorf("finding %s: %s out of turn", f.Finding.Finding, e.Type)
		}
		all[f.Finding.Finding] = f
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return all
}
