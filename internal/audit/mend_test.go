package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

// interrupted is a database in which something happens just before a repair.
type interrupted struct {
	*pgstore.Store
	before func(questID int64)
}

func (d *interrupted) Repair(
	ctx context.Context, o *remedy.Order, decide func(*remedy.Case) ([]remedy.Part, error),
) (remedy.Receipt, error) {
	d.before(o.Quest)
	return d.Store.Repair(ctx, o, decide)
}

func TestHealedMeanwhile(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn := connect(t, dsn)
	db := &interrupted{Store: open(t, dsn), before: func(id int64) {
		switch id {
		case 1: // the application does what was forgotten
			exec(t, conn, `BEGIN; INSERT INTO quests_questparticipant (quest_id,user_id,status,joined_at,progress_notes)
				VALUES (1,'`+student2+`','joined',now(),''); UPDATE quests_quest SET status='in-progress', assigned_to_id='`+student2+`' WHERE id=1; COMMIT`)
		case 2: // the quest goes away with everything in it
			exec(t, conn, `BEGIN; DELETE FROM applications_application WHERE quest_id=2; DELETE FROM quests_quest WHERE id=2; COMMIT`)
		case 8: // half of it: somebody else is assigned
			exec(t, conn, `UPDATE quests_quest SET assigned_to_id='`+student3+`' WHERE id=8`)
		}
	}}
	result, err := audit.Run(t.Context(), db, audit.Config{Compat: true, Fix: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	r := read(t, result)
	for _, f := range []audit.Format{audit.Text, audit.HTML} {
		var out strings.Builder
		if err := result.Write(&out, f, audit.View{}); err != nil || !strings.Contains(strings.ToLower(out.String()), "healed by others") ||
			!strings.Contains(out.String(), "DELETE FROM") {
			t.Errorf("the %s report lacks what was healed or how to undo: %v", f, err)
		}
	}
	if len(r.Skipped) != 3 || r.Stats.IssuesFound != 2 || r.Stats.IssuesFixed != 2 || r.Err != nil {
		t.Errorf("skipped %d, statistics %+v, %v", len(r.Skipped), r.Stats, r.Err)
	}
	if n := one[int64](t, conn, "SELECT count(*) FROM quests_questparticipant WHERE quest_id = 1"); n != 1 {
		t.Errorf("quest 1 has %d participants, want 1", n)
	}
	if got := one[string](t, conn, "SELECT assigned_to_id::text FROM quests_quest WHERE id = 8"); got != student3 {
		t.Errorf("quest 8 is assigned to %s", got)
	}
}

func TestLockHeldTooLong(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn := connect(t, dsn)
	exec(t, conn, "BEGIN; SELECT 1 FROM quests_quest WHERE id = 2 FOR UPDATE")
	r := run(t, open(t, dsn), audit.Config{Compat: true, Fix: true})
	exec(t, conn, "ROLLBACK")
	if status(r.Err) != 3 || r.Stats.IssuesFixed != 4 || r.Stats.IssuesFound != 5 || r.Status != "inconsistent" {
		t.Errorf("status %d, statistics %+v", status(r.Err), r.Stats)
	}
	for _, f := range r.Findings {
		if f.QuestID == 2 && (f.Fixed || !strings.Contains(f.Detail, "lock")) {
			t.Errorf("quest 2: fixed %t, detail %q", f.Fixed, f.Detail)
		}
	}
}

// TestLockReleasedInTime: a conflict that passes is tried again, and the repair
// sees what the other one committed.
func TestLockReleasedInTime(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn, watcher := connect(t, dsn), connect(t, dsn)
	exec(t, conn, "BEGIN; UPDATE quests_quest SET status = 'completed' WHERE id = 2")
	done := make(chan error, 1)
	db := &interrupted{Store: open(t, dsn), before: func(id int64) {
		if id != 2 {
			return
		}
		go func() {
			testkit.Eventually(t, testPatience, func() error {
				if one[int64](t, watcher, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") == 0 {
					return errors.New("nobody waits for the lock")
				}
				return nil
			})
			done <- conn.PgConn().Exec(context.Background(), "COMMIT").Close()
		}()
	}}
	r := run(t, db, audit.Config{Compat: true, Fix: true})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if r.Err != nil || r.Stats.IssuesFixed != 5 {
		t.Errorf("statistics %+v, %v", r.Stats, r.Err)
	}
	if got := one[string](t, conn, "SELECT status FROM quests_quest WHERE id = 2"); got != "completed" {
		t.Errorf("quest 2 is %s: the repair wrote what it had read before the lock", got)
	}
}

func TestReadOnlyRole(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn := connect(t, dsn)
	exec(t, conn, `CREATE ROLE audit_reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO audit_reader`)
	defer exec(t, conn, "DROP OWNED BY audit_reader; DROP ROLE audit_reader")
	reader := strings.Replace(dsn, "//postgres@", "//audit_reader@", 1)
	db := open(t, reader)
	if n := run(t, db, audit.Config{Compat: true, Fix: true, DryRun: true}).Stats.IssuesFound; n != 5 {
		t.Errorf("the reader's dry run finds %d issues", n)
	}
	before := tablesHash(t, conn)
	_, err := audit.Run(t.Context(), db, audit.Config{Compat: true, Fix: true}, nil)
	advice := hint.Of(err)
	if !hint.IsSetup(err) || !strings.Contains(advice, `GRANT UPDATE ON "public"."quests_quest" TO "audit_reader"`) ||
		!strings.Contains(advice, "GRANT INSERT") {
		t.Errorf("the error is %v", err)
	}
	if tablesHash(t, conn) != before {
		t.Error("the reader's repair wrote something")
	}
}

func TestUnknownUser(t *testing.T) {
	t.Parallel()
	_, err := audit.Run(t.Context(), open(t, testkit.Database(t)), audit.Config{User: "Nobody"}, nil)
	if !errors.Is(err, pgstore.ErrUnknownUser) || !hint.IsSetup(err) || !strings.Contains(err.Error(), "Nobody") {
		t.Errorf("the error is %v", err)
	}
}

// TestOtherSchema: integer user ids, other names of tables and columns, other
// words, several for one role, a second schema, and required columns.
func TestOtherSchema(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	conn := connect(t, dsn)
	exec(t, conn, `CREATE SCHEMA "My App";
		CREATE TABLE "My App".people (uid integer PRIMARY KEY, login text NOT NULL);
		CREATE TABLE "My App"."Task" (task_id integer PRIMARY KEY, state text NOT NULL, "owner" integer);
		CREATE TABLE "My App".bids (bid_id serial PRIMARY KEY, task integer NOT NULL, bidder integer NOT NULL, state text NOT NULL);
		CREATE TABLE "My App".members (id serial PRIMARY KEY, task integer NOT NULL, person integer NOT NULL, state text NOT NULL,
			note varchar(10) NOT NULL, since timestamp);
		INSERT INTO "My App".people VALUES (7,'Bob'), (8,'alice');
		INSERT INTO "My App"."Task" VALUES (1,'offen',NULL), (2,'offen',NULL);
		INSERT INTO "My App".bids (task,bidder,state) VALUES (1,7,'ja'), (1,8,'ja'), (2,8,'nein');
		INSERT INTO "My App".members (task,person,state,note,since) VALUES (2,8,'dabei','','2025-01-01')`)
	cfg := pgstore.Default()
	cfg.Schema = change.Schema{
		Quest:       change.QuestTable{Table: "My App.Task", ID: "task_id", Status: "state", AssignedTo: "owner"},
		Application: change.ApplicationTable{Table: "My App.bids", ID: "bid_id", QuestID: "task", User: "bidder", Status: "state"},
		Participant: change.ParticipantTable{Table: "My App.members", ID: "id", QuestID: "task", User: "person", Status: "state", JoinedAt: "since"},
		User:        change.UserTable{Table: "My App.people", ID: "uid", Username: "login"},
	}
	cfg.Statuses = quest.Statuses{
		Quest:       map[string]quest.Status{"offen": quest.Open, "aktiv": quest.InProgress, "läuft": quest.InProgress, "im Gang": quest.InProgress},
		Application: map[string]quest.ApplicationStatus{"ja": quest.Approved},
		Participant: map[string]quest.ParticipantStatus{"aktiv": quest.Joined, "dabei": quest.Joined, "weg": quest.Dropped},
		Started:     "läuft", Joined: "dabei",
	}
	db := openWith(t, dsn, cfg)
	fix := run(t, db, audit.Config{Compat: true, Fix: true})
	if s := fix.Stats; s.IssuesFound != 5 || s.IssuesFixed != 4 || s.ByRule["orphan_participant"] != 1 || s.Participants != 3 || s.UsersAudited != 2 {
		t.Fatalf("statistics are %+v, findings %+v", s, fix.Findings)
	}
	if got := one[string](t, conn, `SELECT string_agg(state || coalesce("owner", 0), ',' ORDER BY task_id) FROM "My App"."Task"`); got != "läuft8,läuft8" {
		t.Errorf("the tasks are %s", got)
	}
	if got := one[string](t, conn, `SELECT string_agg(DISTINCT state, ',') FROM "My App".members`); got != "dabei" {
		t.Errorf("the members are %s", got)
	}
	exec(t, conn, strings.Join(fix.Undo, "\n"))
	if n := one[int64](t, conn, `SELECT count(*) FROM "My App".members`); n != 1 {
		t.Errorf("%d members after undo", n)
	}
	if r := run(t, db, audit.Config{Compat: true, User: "alice"}); r.Stats.IssuesFound != 4 || r.Findings[0].Rule != rule.MissingParticipant {
		t.Errorf("alice: %+v", r.Stats)
	}
	exec(t, conn, `INSERT INTO "My App"."Task" VALUES (3,'im Gang',7), (4,'egal',7); INSERT INTO "My App".bids (task,bidder,state) VALUES (9,7,'?')`)
	native := run(t, db, audit.Config{User: "Bob"}).Stats.ByRule
	if native["assignee_not_participant"] != 2 || native["idle_in_progress"] != 1 || native["dangling_reference"] != 1 || native["missing_participant"] != 1 {
		t.Errorf("Bob: %+v", native)
	}
	if n := run(t, db, audit.Config{}).Stats.ByRule["idle_in_progress"]; n != 1 {
		t.Errorf("%d tasks are idle", n)
	}
	exec(t, conn, `ALTER TABLE "My App".members ADD COLUMN level integer NOT NULL DEFAULT 1; ALTER TABLE "My App".members ALTER COLUMN level DROP DEFAULT`)
	_, err := audit.Run(t.Context(), openWith(t, dsn, cfg), audit.Config{Compat: true, Fix: true}, nil)
	if err == nil || !strings.Contains(err.Error(), "column level") {
		t.Errorf("a required column without a value: %v", err)
	}
}
