package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/testkit"
)

// repairQuests makes a loader of open quests 1001 to 1000+n, each with an application
// of student1, numbered ten times the quest and one, and one of student2, and two.
func repairQuests(n int) func(context.Context, string) error {
	return func(ctx context.Context, dsn string) error {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		_, err = conn.Exec(ctx, fmt.Sprintf(`INSERT INTO quests_quest (id, title, description, difficulty, status, xp_reward, gold_reward, commission_fee,
			created_at, updated_at, requirements, resources, slug, is_deleted, creator_id, category_id)
			SELECT n, 'Quest ' || n, 'd', 'initiate', 'open', 1, 0, 0, now(), now(), '', '', 'quest-' || n, false, %[1]s, 2
			FROM generate_series(1001, 1000 + %[3]d) n;
			INSERT INTO applications_application (id, status, applied_at, applicant_id, quest_id)
			SELECT n * 10 + 1, 'pending', '2026-06-01Z'::timestamptz, %[2]s::uuid, n FROM generate_series(1001, 1000 + %[3]d) n
			UNION ALL SELECT n * 10 + 2, 'pending', '2026-06-01Z'::timestamptz, %[1]s::uuid, n FROM generate_series(1001, 1000 + %[3]d) n`, student2, student1, n))
		return err
	}
}

// repairing is a configuration that repairs automatically, without brakes.
func repairing(t testing.TB, dsn string) config.Config {
	t.Helper()
	c := settings(t, dsn)
	c.Repair.Mode = string(remedy.ModeAuto)
	c.Repair.PerMinute, c.Repair.PerRule = 100_000, 100_000
	c.Repair.Breaker = config.Breaker{Opened: 100_000, Percent: 100}
	return c
}

// faulty is SQL that leaves quest q with what a repair of an action is for: an
// approval that lost its participant, the quest's status, or its assignee.
func faulty(a remedy.Action, q int) string {
	first := 10*q + 1
	switch a {
	case remedy.SetInProgress:
		return approved(first) + joined(q, first, student1) + setQuest(q, "assigned_to_id = "+student1)
	case remedy.AssignEarliest:
		return approved(first) + joined(q, first, student1) + setQuest(q, "status = 'in-progress'")
	}
	return approved(first)
}

// ruleOf is the rule that a repair is for.
func ruleOf(a remedy.Action) string {
	return map[remedy.Action]string{
		remedy.CreateParticipant: "missing_participant", remedy.SetInProgress: "open_with_participants", remedy.AssignEarliest: "unassigned",
	}[a]
}

// opened reports whether a finding of the rule is open in a quest.
func (r *running) opened(rule string, quest int) (open bool) {
	_ = repairState{r.App}.Look(func(v *repair.View) error {
		if v == nil {
			return nil
		}
		for _, f := range v.Open() {
			open = open || f.Quest == int64(quest) && f.Violation.Rule.String() == rule
		}
		return nil
	})
	return open
}

func (r *running) waitOpen(t *testing.T, rule string, quest int) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		if !r.opened(rule, quest) {
			return fmt.Errorf("no %s in quest %d", rule, quest)
		}
		return nil
	})
}

// calm waits until everything has been judged, and what is to be repaired has been.
func (r *running) calm(t *testing.T) {
	t.Helper()
	for before := int64(-1); before != r.RepairStatus().Applied; {
		before = r.RepairStatus().Applied
		var at time.Time
		query(t, r.dsn, "SELECT clock_timestamp() + interval '1300 ms'", &at) // the grace is a second
		testkit.Eventually(t, 60*time.Second, func() error {
			s := r.RepairStatus()
			switch {
			case r.StreamTime().Before(at):
				return fmt.Errorf("stream time is %s, want %s", r.StreamTime(), at)
			case s.Waiting > 0:
				return fmt.Errorf("%d findings are waiting: %+v", s.Waiting, s)
			}
			return nil
		})
	}
}

// journalOf is the journal, the oldest first.
func journalOf(t *testing.T, dsn string) (entries []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `SELECT format('%s %s %s', action, quest, CASE WHEN undoes IS NULL THEN actor ELSE 'undone' END)
		FROM questwatch.repair ORDER BY id`)
	if err == nil {
		entries, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// shape is what the tables have of a quest, times aside.
func shape(t *testing.T, dsn string, quest int) (text string) {
	t.Helper()
	query(t, dsn, shapeOf(quest), &text)
	return short(text)
}

func shapeOf(quest int) string {
	return fmt.Sprintf(`SELECT concat_ws(' ',
		(SELECT concat_ws(',', status, coalesce(assigned_to_id::text, 'nobody'), is_deleted) FROM quests_quest WHERE id = %[1]d),
		(SELECT string_agg(user_id || '=' || status, ',' ORDER BY id) FROM quests_questparticipant WHERE quest_id = %[1]d),
		(SELECT string_agg(id || '=' || status, ',' ORDER BY id) FROM applications_application WHERE quest_id = %[1]d))`, quest)
}

// short names the two students by their numbers.
func short(text string) string {
	return strings.NewReplacer(strings.Trim(student1, "'"), "1", strings.Trim(student2, "'"), "2").Replace(text)
}

// repairWords are the events of the repair group so far: what, detail, quest, and the
// reason of what was not repaired.
func (r *running) repairWords(t *testing.T) (words []string) {
	t.Helper()
	err := r.Bus().ConsumeEvents(t.Context(), []string{r.Bus().EventSubject("repair.>")}, 0, func(m bus.Message) error {
		var e struct {
			Data struct {
				Reason string `json:"reason"`
			} `json:"data"`
		}
		decode(t, m.Data, &e)
		word := strings.TrimPrefix(m.Subject, r.Bus().EventSubject("repair."))
		words = append(words, strings.TrimSpace(strings.ReplaceAll(word, ".", " ")+" "+e.Data.Reason))
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return words
}

// gated holds up every repair within its transaction, when it has written everything,
// until its quest's gate is opened. Who stands there has an advisory lock: atGate.
func gated(t *testing.T, dsn string) (open func(quest int)) {
	t.Helper()
	exec1(t, dsn, "CREATE TABLE gate (quest bigint)", `CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock_shared(4711, NEW.quest::int);
			WHILE NOT EXISTS (SELECT FROM gate WHERE quest = NEW.quest OR quest = 0) LOOP PERFORM pg_sleep(0.01); END LOOP;
			RETURN NEW;
		END $$`, "CREATE TRIGGER gate BEFORE INSERT ON questwatch.repair FOR EACH ROW EXECUTE FUNCTION wait_at_gate()")
	return func(quest int) { exec1(t, dsn, fmt.Sprintf("INSERT INTO gate VALUES (%d)", quest)) }
}

// atGate waits until a repair of a quest has written all it writes, and is held up.
func atGate(t *testing.T, dsn string, quest int) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		var there bool
		query(t, dsn, fmt.Sprintf(`SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 4711 AND objid = %d
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`, quest), &there)
		if !there {
			return fmt.Errorf("no repair of quest %d has written", quest)
		}
		return nil
	})
}

// setUpJournal is questwatch setup.
func setUpJournal(t *testing.T, c config.Config) {
	t.Helper()
	store, err := OpenForRepair(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// blocked waits until somebody waits for a lock that a session holds.
func blocked(t *testing.T, dsn string, pid uint32) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		var waits bool
		query(t, dsn, fmt.Sprintf("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %d = ANY(pg_blocking_pids(pid)))", pid), &waits)
		if !waits {
			return fmt.Errorf("nobody waits for session %d", pid)
		}
		return nil
	})
}

// count counts a text in a list.
func count(list []string, text string) (n int) {
	for _, one := range list {
		if one == text {
			n++
		}
	}
	return n
}
