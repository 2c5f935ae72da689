package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

// People of AUDIT-001. student2 is approved for quest 1 and has no participant; quest 8 is
// assigned to nobody though student2 takes part.
const (
	student1 = "11111111-1111-4111-8111-111111111111"
	student2 = "22222222-2222-4222-8222-222222222222"
)

// journalled is a database with AUDIT-001 and a journal.
func journalled(t *testing.T) (s *Store, conn *pgx.Conn, dsn string) {
	t.Helper()
	dsn = testkit.Database(t, testkit.LoadAudit001)
	s, conn = openStore(t, dsn, Default()), connect(t, dsn)
	setUp(t, s)
	return s, conn, dsn
}

func setUp(t *testing.T, s *Store) {
	t.Helper()
	if changed, err := s.Setup(t.Context()); err != nil || !changed {
		t.Fatalf("set up: %t, %v", changed, err)
	}
}

func orderOf(r rule.Rule, quest int64, user string) *remedy.Order {
	return &remedy.Order{
		Namespace: "questwatch", Instance: "test", Finding: fmt.Sprintf("%s-%d", r, quest), Rule: r, Cause: rule.ApprovalFailed,
		Quest: quest, User: user, Actor: "somebody", Reason: "a test's", Violated: 1_700_000_000_000,
	}
}

var everything = remedy.Policy{IncludeUnknown: true, IncludeReleased: true, Reactivate: true}

// missing is the order for quest 1, automatic for quest 8's assignment.
func missing() *remedy.Order { return orderOf(rule.MissingParticipant, 1, student2) }

func unassigned() *remedy.Order {
	o := orderOf(rule.Unassigned, 8, "")
	o.Cause, o.Automatic = rule.AssignmentLost, true
	return o
}

// decide plans for the order's violation where it is still there.
func decide(o *remedy.Order) func(*remedy.Case) (remedy.Action, []remedy.Write, error) {
	return func(c *remedy.Case) (remedy.Action, []remedy.Write, error) {
		for _, v := range rule.Judge(nil, &c.Quest) {
			if v.Rule == o.Rule && c.People[v.User].ID == o.User {
				plan, why := remedy.For(&c.Quest, &v, everything)
				if why != "" {
					return "", nil, errors.New(why)
				}
				return plan.Action, plan.Writes, nil
			}
		}
		return "", nil, remedy.ErrHealed
	}
}

func carry(t *testing.T, s *Store, o *remedy.Order) *remedy.Entry {
	t.Helper()
	e, err := s.Carry(t.Context(), o, nil, decide(o))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func one[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return v
}

// questOf is the quest's row and participants as the application wrote them.
func questOf(t *testing.T, conn *pgx.Conn, id int64) string {
	t.Helper()
	return one[string](t, conn, fmt.Sprintf(`SELECT concat_ws(' ', q.status, coalesce(q.assigned_to_id::text, 'nobody'), q.updated_at,
		(SELECT string_agg(p.user_id || ':' || p.status, ',' ORDER BY p.id) FROM quests_questparticipant p WHERE p.quest_id = q.id))
		FROM quests_quest q WHERE id = %d`, id))
}

func TestCarry(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	exec(t, conn, "SELECT pg_create_logical_replication_slot('carry', 'test_decoding')")
	defer exec(t, conn, "SELECT pg_drop_replication_slot('carry')")
	before := one[string](t, conn, "SELECT pg_current_wal_insert_lsn()::text")
	var confirmed change.LSN
	o := missing()
	e, err := s.Carry(t.Context(), o, func(_ context.Context, lsn change.LSN) error {
		confirmed = lsn
		return nil
	}, decide(o))
	if err != nil {
		t.Fatal(err)
	}
	if lsn, _ := change.ParseLSN(before); confirmed < lsn {
		t.Errorf("confirmed at %v, before %v", confirmed, lsn)
	}
	if e.Action != remedy.CreateParticipant || e.ID == 0 || e.XID == 0 || e.At == 0 || len(e.Rows) != 2 {
		t.Errorf("the entry is %+v", e)
	}
	if got := questOf(t, conn, 1); !strings.HasPrefix(got, "in-progress "+student2) || !strings.HasSuffix(got, student2+":joined") {
		t.Errorf("quest 1 is %s", got)
	}
	// The journal has it as it was returned, with the images of the rows.
	listed, err := s.Journal(t.Context(), remedy.Filter{})
	if err != nil || len(listed) != 1 {
		t.Fatalf("the journal has %d entries: %v", len(listed), err)
	}
	if diff := cmp.Diff(*e, listed[0], cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the journal's entry differs:\n%s", diff)
	}
	participant, quest := e.Rows[0], e.Rows[1]
	if participant.Before != nil || *participant.After["user_id"] != student2 || *participant.After["progress_notes"] != "" || participant.After["id"] == nil ||
		quest.ID != 1 || *quest.Before["status"] != "open" || *quest.After["status"] != "in-progress" || quest.Before["assigned_to_id"] != nil || len(quest.After) != 3 {
		t.Errorf("the images are %v, %v", participant, quest)
	}
	// The message is in the same transaction.
	said := one[string](t, conn, `SELECT split_part(data, 'content:', 2) FROM pg_logical_slot_peek_changes('carry', NULL, NULL)
		WHERE data LIKE '%transactional: 1 prefix: questwatch.repair,%'`)
	got, err := change.ParseRepaired(said)
	want := change.Repaired{
		Namespace: "questwatch", Entry: e.ID, Finding: o.Finding, Rule: "missing_participant", Cause: "approval_failed", Action: "create_participant",
		QuestID: 1, UserID: student2, Actor: "somebody", Violated: 1_700_000_000_000,
	}
	if err != nil || got != want {
		t.Errorf("the message is %+v: %v", got, err)
	}
}

func TestCarryRefuses(t *testing.T) {
	t.Parallel()
	s, conn, dsn := journalled(t)
	carry(t, s, missing())
	again := missing()
	if _, err := s.Carry(t.Context(), again, nil, decide(again)); !errors.Is(err, remedy.ErrRepaired) {
		t.Errorf("the same finding again: %v", err)
	}
	again.Finding = "another"
	if _, err := s.Carry(t.Context(), again, nil, decide(again)); !errors.Is(err, remedy.ErrHealed) {
		t.Errorf("another finding of what is repaired: %v", err)
	}
	again.Automatic = true
	if _, err := s.Carry(t.Context(), again, nil, decide(again)); !errors.Is(err, remedy.ErrRepeated) {
		t.Errorf("automatic, within a day: %v", err)
	}
	healed := orderOf(rule.OpenWithParticipants, 4, "")
	if _, err := s.Carry(t.Context(), healed, nil, decide(healed)); !errors.Is(err, remedy.ErrHealed) {
		t.Errorf("what is not violated: %v", err)
	}
	gone := orderOf(rule.MissingParticipant, 999, student2)
	if _, err := s.Carry(t.Context(), gone, nil, decide(gone)); !errors.Is(err, remedy.ErrHealed) {
		t.Errorf("a quest that is gone: %v", err)
	}
	behind := unassigned()
	if _, err := s.Carry(t.Context(), behind, func(context.Context, change.LSN) error { return remedy.ErrBehind }, decide(behind)); !errors.Is(err, remedy.ErrBehind) {
		t.Errorf("a stream that is behind: %v", err)
	}
	if n := one[int64](t, conn, "SELECT count(*) FROM questwatch.repair"); n != 1 {
		t.Errorf("the journal has %d entries", n)
	}
	without := openStore(t, testkit.Database(t), Default())
	if _, err := without.Carry(t.Context(), missing(), nil, decide(missing())); !errors.Is(err, remedy.ErrNoJournal) {
		t.Errorf("without a journal: %v", err)
	}
	_ = dsn
}

// TestRepetition: what was repaired a day ago may be repaired again by itself, what was
// undone never.
func TestRepetition(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	old := func(finding string) {
		exec(t, conn, `INSERT INTO questwatch.repair (at, namespace, instance, finding, rule, cause, action, quest, person, actor, reason, automatic, rows)
			VALUES (now() - interval '25 hours', 'questwatch', '', '`+finding+`', 'unassigned', '', '', 8, '', '', '', true, '[]')`)
	}
	old("a day old")
	first := carry(t, s, unassigned())
	if _, err := s.Undo(t.Context(), first.ID, "somebody", ""); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "ALTER TABLE questwatch.repair DISABLE TRIGGER ALL; UPDATE questwatch.repair SET at = at - interval '48 hours'; ALTER TABLE questwatch.repair ENABLE TRIGGER ALL")
	next := unassigned()
	next.Finding = "next"
	if _, err := s.Carry(t.Context(), next, nil, decide(next)); !errors.Is(err, remedy.ErrRepeated) {
		t.Errorf("what was undone: %v", err)
	}
	next.Namespace = "elsewhere"
	carry(t, s, next)
}

// TestTwoAtOnce: of many who carry the same finding out, one does.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	s, conn, dsn := journalled(t)
	stores := []*Store{s, openStore(t, dsn, Default())}
	const each = 4
	results := make(chan error)
	for _, s := range stores {
		for range each {
			go func() {
				o := missing()
				_, err := s.Carry(t.Context(), o, nil, decide(o))
				results <- err
			}()
		}
	}
	done := 0
	for range each * len(stores) {
		switch err := <-results; {
		case err == nil:
			done++
		case !errors.Is(err, remedy.ErrRepaired):
			t.Errorf("one of those who came later: %v", err)
		}
	}
	if n := one[int64](t, conn, "SELECT count(*) FROM quests_questparticipant WHERE quest_id = 1"); done != 1 || n != 1 {
		t.Errorf("%d did, and there are %d participants", done, n)
	}
}

func TestIneffective(t *testing.T) {
	t.Parallel()
	for name, trigger := range map[string]string{
		"before": `CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.assigned_to_id := OLD.assigned_to_id; RETURN NEW; END $$;
			CREATE TRIGGER undo BEFORE UPDATE ON quests_quest FOR EACH ROW EXECUTE FUNCTION undo()`,
		"after": `CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				UPDATE quests_quest SET assigned_to_id = NULL WHERE id = NEW.id; RETURN NULL; END $$;
			CREATE TRIGGER undo AFTER UPDATE ON quests_quest FOR EACH ROW WHEN (NEW.assigned_to_id IS NOT NULL) EXECUTE FUNCTION undo()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, conn, _ := journalled(t)
			exec(t, conn, trigger)
			was := questOf(t, conn, 8)
			_, err := s.Carry(t.Context(), unassigned(), nil, decide(unassigned()))
			if !errors.Is(err, remedy.ErrIneffective) || !strings.Contains(err.Error(), "assigned_to_id of public.quests_quest, row 8") {
				t.Errorf("the error is %v", err)
			}
			nothingDone(t, conn, 8, was)
		})
	}
}

func nothingDone(t *testing.T, conn *pgx.Conn, quest int64, was string) {
	t.Helper()
	if now := questOf(t, conn, quest); now != was {
		t.Errorf("quest %d is %s, was %s", quest, now, was)
	}
	if n := one[int64](t, conn, "SELECT count(*) FROM questwatch.repair"); n != 0 {
		t.Errorf("the journal has %d entries", n)
	}
}

// TestTriggerRaises: the error is the trigger's, and nothing is left.
func TestTriggerRaises(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	exec(t, conn, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not on a Sunday'; END $$;
		CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON quests_quest DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	was := questOf(t, conn, 1)
	if _, err := s.Carry(t.Context(), missing(), nil, decide(missing())); err == nil || !strings.Contains(err.Error(), "not on a Sunday") {
		t.Errorf("the error is %v", err)
	}
	nothingDone(t, conn, 1, was)
}

func TestCarryWaitsForTheLock(t *testing.T) {
	t.Parallel()
	s, conn, dsn := journalled(t)
	s.cfg.LockTimeout, s.cfg.Attempts = 50*time.Millisecond, 2
	was := questOf(t, conn, 1)
	for _, table := range []string{"quests_quest WHERE id", "applications_application WHERE quest_id"} {
		exec(t, conn, "BEGIN; SELECT FROM "+table+" = 1 FOR UPDATE")
		_, err := s.Carry(t.Context(), missing(), nil, decide(missing()))
		exec(t, conn, "ROLLBACK")
		if !errors.Is(err, errBusy) {
			t.Errorf("with %s locked: %v", table, err)
		}
	}
	nothingDone(t, conn, 1, was)
	carry(t, s, missing())
	_ = dsn
}
