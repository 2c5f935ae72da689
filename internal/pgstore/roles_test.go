package pgstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// TestRoles: the roles of deploy/postgres/roles.sql can do what they are for, and
// nothing else.
func TestRoles(t *testing.T) {
	t.Parallel()
	_, conn, dsn := journalled(t)
	sql, err := os.ReadFile(filepath.Join("..", "..", "deploy", "postgres", "roles.sql"))
	if err != nil {
		t.Fatal(err)
	}
	exec(t, conn, string(sql))
	exec(t, conn, string(sql))
	defer exec(t, conn, "DROP OWNED BY questwatch_read, questwatch_repair; DROP ROLE questwatch_read, questwatch_repair")
	reader := openStore(t, strings.Replace(dsn, "//postgres@", "//questwatch_read@", 1), Default())
	repairer := openStore(t, strings.Replace(dsn, "//postgres@", "//questwatch_repair@", 1), Default())
	defer repairer.Close()
	defer reader.Close()

	t.Run("repair", func(t *testing.T) { repairsAndUndoes(t, repairer, conn) })
	t.Run("read", func(t *testing.T) { readsAlone(t, reader, conn) })
	t.Run("nothing more", func(t *testing.T) {
		for _, sql := range []string{
			"UPDATE quests_quest SET title = '' WHERE id = 1", "UPDATE quests_quest SET is_deleted = true", "DELETE FROM quests_quest",
			"INSERT INTO quests_quest (id) VALUES (99)", "SELECT description FROM quests_quest", "TRUNCATE quests_quest",
			"UPDATE applications_application SET status = 'approved'", "SELECT FROM applications_application FOR UPDATE",
			"DELETE FROM applications_application", "INSERT INTO applications_application (id) VALUES (99)",
			"UPDATE quests_questparticipant SET user_id = user_id", "UPDATE quests_questparticipant SET quest_id = 1", "TRUNCATE quests_questparticipant",
			"SELECT password FROM users_user", "UPDATE users_user SET username = ''", "SELECT FROM quests_questcategory",
			"UPDATE questwatch.repair SET actor = ''", "DELETE FROM questwatch.repair", "TRUNCATE questwatch.repair", "DROP TABLE questwatch.repair",
			"INSERT INTO questwatch.repair (at) VALUES (now())", "INSERT INTO questwatch.brake (at) VALUES (now())",
			"UPDATE questwatch.brake SET ends = NULL", "INSERT INTO questwatch.version VALUES (2)", "CREATE TABLE questwatch.mine ()",
			"CREATE OR REPLACE FUNCTION questwatch.hold(quest bigint) RETURNS void LANGUAGE sql AS ''", "DROP FUNCTION questwatch.hold",
		} {
			isRefused(t, repairer, sql)
			isRefused(t, reader, sql)
		}
		for _, sql := range []string{
			"SELECT questwatch.hold(1)", "UPDATE quests_quest SET status = 'open'", "UPDATE quests_questparticipant SET status = 'dropped'",
			"DELETE FROM quests_questparticipant", "SELECT FROM quests_quest FOR UPDATE", "SELECT progress_notes FROM quests_questparticipant",
			"INSERT INTO questwatch.brake (namespace, halted, actor, reason) VALUES ('questwatch', false, '', '')",
		} {
			isRefused(t, reader, sql)
		}
	})
}

func isRefused(t *testing.T, s *Store, sql string) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), sql); sqlState(err) != noPrivilege {
		t.Errorf("%s: %v", sql, err)
	}
}

func repairsAndUndoes(t *testing.T, s *Store, conn *pgx.Conn) {
	ctx := t.Context()
	if err := s.Writable(ctx); err != nil {
		t.Error(err)
	}
	if changed, err := s.Setup(ctx); err != nil || changed {
		t.Errorf("setup where all is there: %t, %v", changed, err)
	}
	for _, o := range []*remedy.Order{missing(), unassigned(), dropped(t, conn)} {
		was := questOf(t, conn, o.Quest)
		e := carry(t, s, o)
		if questOf(t, conn, o.Quest) == was {
			t.Errorf("%s: nothing was done", o.Rule)
		}
		if _, err := s.Undo(ctx, e.ID, "somebody", ""); err != nil {
			t.Errorf("undo %s: %v", o.Rule, err)
		}
		if now := questOf(t, conn, o.Quest); now != was {
			t.Errorf("undone, the quest is %s, was %s", now, was)
		}
	}
	if err := s.Stop(ctx, "questwatch", remedy.Brake{Actor: "somebody"}); err != nil {
		t.Error(err)
	}
	if err := s.Resume(ctx, "questwatch", "somebody"); err != nil {
		t.Error(err)
	}
	if b, err := s.Brake(ctx, "questwatch"); b != nil || err != nil {
		t.Errorf("the brake is %v: %v", b, err)
	}
	order := remedy.Order{Namespace: "questwatch", Quest: 2, Actor: "audit"}
	if _, err := s.Repair(ctx, &order, parts(rule.MissingParticipant)); err != nil {
		t.Errorf("as an audit repairs: %v", err)
	}
}

// readsAlone: everything but repairing works, and that says what is missing.
func readsAlone(t *testing.T, s *Store, conn *pgx.Conn) {
	ctx := t.Context()
	was := questOf(t, conn, 8)
	nothing := func(*remedy.Case) error { return nil }
	for name, err := range map[string]error{
		"survey":    s.Survey(ctx, remedy.Scope{Assignees: true}, func(remedy.Census) error { return nil }, nothing),
		"heartbeat": s.Heartbeat(ctx),
		"moment":    s.Moment(ctx, func(m *Moment) error { _, err := m.Digests(ctx, []int64{1}, 100); return err }),
		"range": s.Moment(ctx, func(m *Moment) error {
			return m.Range(ctx, 1, 100, func(int64, []change.Change) error { return nil })
		}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if log, err := s.Journal(ctx, remedy.Filter{}); err != nil || len(log) == 0 {
		t.Errorf("the journal has %d entries: %v", len(log), err)
	}
	if _, err := s.Brake(ctx, "questwatch"); err != nil {
		t.Error(err)
	}
	if _, err := s.Script(ctx, 1, nil, func(quest.User) string { return "" }); err != nil {
		t.Error(err)
	}
	o := unassigned()
	o.Finding = "readers'"
	o.Automatic = false
	for name, err := range map[string]error{
		"writable": s.Writable(ctx),
		"carry":    second(s.Carry(ctx, o, nil, decide(o))),
		"undo":     second(s.Undo(ctx, 1, "", "")),
		"stop":     s.Stop(ctx, "questwatch", remedy.Brake{}),
	} {
		if !hint.IsSetup(err) && !errors.Is(err, remedy.ErrUndone) || name == "writable" && !strings.Contains(hint.Of(err), "GRANT EXECUTE ON FUNCTION questwatch.hold(bigint)") {
			t.Errorf("%s: %v (%s)", name, err, hint.Of(err))
		}
	}
	if now := questOf(t, conn, 8); now != was {
		t.Errorf("the reader changed quest 8 to %s", now)
	}
}

func second[T any](_ T, err error) error { return err }

// dropped has student2 approved for quest 6 and dropped out of it.
func dropped(t *testing.T, conn *pgx.Conn) *remedy.Order {
	t.Helper()
	exec(t, conn, `INSERT INTO applications_application (quest_id, applicant_id, status, applied_at) VALUES (6, '`+student2+`', 'approved', now());
		INSERT INTO quests_questparticipant (quest_id, user_id, status, joined_at, progress_notes) VALUES (6, '`+student2+`', 'dropped', now(), 'my notes')`)
	return orderOf(rule.ApprovedButDropped, 6, student2)
}

// parts repairs all that a rule finds.
func parts(r rule.Rule) func(*remedy.Case) ([]remedy.Part, error) {
	return func(c *remedy.Case) (all []remedy.Part, err error) {
		for _, v := range rule.Judge(nil, &c.Quest) {
			if v.Rule == r {
				plan, _ := remedy.For(&c.Quest, &v, everything)
				all = append(all, remedy.Part{Rule: v.Rule, Cause: v.Cause, Action: plan.Action, User: v.User, Writes: plan.Writes})
			}
		}
		return all, nil
	}
}
