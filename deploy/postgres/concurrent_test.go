package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/testkit"
)

// Quest 5 of AUDIT-001 is in progress with one participant, the assignee; student1 has applied for it and joined it.
const (
	// somebody is taken in. The quest is in progress and assigned, so nothing else is written.
	joins = `INSERT INTO quests_questparticipant (quest_id, user_id, status, joined_at, progress_notes) VALUES (5,'` + student2 + `','joined',now(),'')`
	// the last one leaves.
	lastLeaves = `DELETE FROM quests_questparticipant WHERE quest_id = 5; UPDATE quests_quest SET status = 'open', assigned_to_id = NULL WHERE id = 5`
	// the application of somebody who takes part already is approved, as application 12.
	approves = `UPDATE applications_application SET status = 'approved' WHERE id = 12`
	// that participant, who is not approved, is removed.
	removes = `DELETE FROM quests_questparticipant WHERE quest_id = 5 AND user_id = '` + student1 + `'`
	// as the application writes it, with the quest.
	joinsAndSaves = joins + `; UPDATE quests_quest SET assigned_to_id = '` + student2 + `' WHERE id = 5`
)

// drift names what stands in the tables after both have committed.
const drift = `SELECT CASE WHEN q.status = 'open' THEN 'open with participants' END FROM quests_quest q
		WHERE q.id = 5 AND q.status = 'open' AND EXISTS (SELECT FROM quests_questparticipant p WHERE p.quest_id = q.id AND p.status <> 'dropped')
	UNION ALL SELECT 'unassigned' FROM quests_quest q
		WHERE q.id = 5 AND q.assigned_to_id IS NULL AND EXISTS (SELECT FROM quests_questparticipant p WHERE p.quest_id = q.id AND p.status <> 'dropped')
	UNION ALL SELECT 'approved without participant' FROM applications_application a
		WHERE a.id = 12 AND a.status = 'approved' AND NOT EXISTS (
			SELECT FROM quests_questparticipant p WHERE p.quest_id = a.quest_id AND p.user_id = a.applicant_id)
	ORDER BY 1`

// TestConcurrent lets both write, one be judged, the other commit, and one commit. COMMIT judges before the commit is there for
// others to see; SET CONSTRAINTS makes that moment as long as a test needs, as a synchronous standby may.
//
// Without locks both see the other's rows as they were, both are let through, and the tables are wrong: that is what the
// pack cannot catch.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	const committed, serialization = "committed", "40001"
	asked := participant("5", student1, "joined") + application("5", student1, "pending")
	for _, c := range []struct {
		name, prepare string
		level         pgx.TxIsoLevel
		sections      string
		one, other    string
		outcomes      [2]string
		drift         string
	}{
		{
			"one joins, the last leaves", "", pgx.ReadCommitted, "",
			joins, lastLeaves,
			[2]string{committed, committed},
			"open with participants, unassigned",
		},
		{
			"one is approved, and removed", asked, pgx.ReadCommitted, "",
			approves, removes,
			[2]string{committed, committed},
			"approved without participant",
		},
		{
			"one joins, the last leaves, with locks", "", pgx.ReadCommitted, "3",
			joins, lastLeaves,
			[2]string{"questwatch_participant_in_open_quest", committed},
			"",
		},
		{
			"one is approved, and removed, with locks", asked, pgx.ReadCommitted, "3",
			approves, removes,
			[2]string{"questwatch_approved_takes_part", committed},
			"",
		},
		{
			"one joins, the last leaves, serializable", "", pgx.Serializable, "",
			joins, lastLeaves,
			[2]string{serialization, committed},
			"",
		},
		{ // No more than the approval and then the removal, which nothing forbids.
			"one is approved, and removed, serializable", asked, pgx.Serializable, "",
			approves, removes,
			[2]string{committed, committed},
			"approved without participant",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			one, other, watcher := connect(t, dsn), connect(t, dsn), connect(t, dsn)
			do(t, watcher, c.prepare)
			apply(t, watcher, append([]string{"2.1", "2.2", "2.3", "2.4", "2.5"}, strings.Fields(c.sections)...)...)
			begin := "BEGIN ISOLATION LEVEL " + string(c.level)
			do(t, one, begin, c.one)
			do(t, other, begin, c.other)
			judged := make(chan string, 1)
			go func() { judged <- outcome(one, "SET CONSTRAINTS ALL IMMEDIATE") }()
			var got [2]string
			if c.sections == "" {
				got[0] = <-judged
			} else {
				waits(t, watcher, one)
			}
			got[1] = outcome(other, "COMMIT")
			if c.sections != "" {
				got[0] = <-judged
			}
			if got[0] == committed {
				got[0] = outcome(one, "COMMIT")
			}
			if got != c.outcomes {
				t.Errorf("outcomes %q, want %q", got, c.outcomes)
			}
			if now := strings.Join(query[string](t, watcher, drift), ", "); now != c.drift {
				t.Errorf("the tables show %q, want %q", now, c.drift)
			}
		})
	}
}

// TestQuestRowIsALock: where both write the quest's row, as most of the application's workflows do, one waits for the other,
// sees what it did, and is refused, without locks of ours.
func TestQuestRowIsALock(t *testing.T) {
	t.Parallel()
	for _, order := range [][2]string{{joinsAndSaves, lastLeaves}, {lastLeaves, joinsAndSaves}} {
		dsn := testkit.Database(t, testkit.LoadAudit001)
		one, other, watcher := connect(t, dsn), connect(t, dsn), connect(t, dsn)
		apply(t, watcher, "2.1", "2.2", "2.3", "2.4", "2.5")
		do(t, one, "BEGIN", order[0])
		second := make(chan string, 1)
		do(t, other, "BEGIN")
		go func() {
			if got := outcome(other, order[1]); got != "committed" {
				second <- got
				return
			}
			second <- outcome(other, "COMMIT")
		}()
		waits(t, watcher, other)
		if got := outcome(one, "COMMIT"); got != "committed" {
			t.Errorf("the first: %s", got)
		}
		if got := <-second; !slices.Contains([]string{
			"questwatch_participant_in_open_quest", "questwatch_open_quest_with_participants", "questwatch_unassigned_quest_with_participants",
		}, got) {
			t.Errorf("the second: %s", got)
		}
		if now := query[string](t, watcher, drift); len(now) > 0 {
			t.Errorf("the tables show %q", now)
		}
	}
}

// outcome is what came of statements: committed, the constraint that refused them, or the SQLSTATE.
func outcome(db *pgx.Conn, sql string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := db.PgConn().Exec(ctx, sql).ReadAll()
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return "committed"
	case errors.As(err, &pg) && pg.ConstraintName != "":
		return pg.ConstraintName
	case errors.As(err, &pg):
		return pg.Code
	}
	return err.Error()
}

// waits returns when a connection waits for a lock.
func waits(t *testing.T, watcher, db *pgx.Conn) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		var waiting bool
		err := watcher.QueryRow(t.Context(), "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1", db.PgConn().PID()).Scan(&waiting)
		if err == nil && !waiting {
			return errors.New("it does not wait for a lock")
		}
		return err
	})
}
