package pgstore

import (
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestSetupIsIdempotent: by the program or by hand, by many at once, once or often.
func TestSetupIsIdempotent(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn := connect(t, dsn)
	before := schemaOf(t, conn, "public")
	s := openStore(t, dsn, Default())
	if there, err := s.HasJournal(t.Context()); there || err != nil {
		t.Errorf("there is a journal already: %v", err)
	}
	var group sync.WaitGroup
	for range 4 {
		store := openStore(t, dsn, Default())
		group.Go(func() {
			if _, err := store.Setup(t.Context()); err != nil {
				t.Errorf("one of several at once: %v", err)
			}
		})
	}
	group.Wait()
	made := schemaOf(t, conn, "questwatch")
	e := carry(t, s, missing())
	exec(t, conn, SetupSQL(&s.cfg.Schema))
	if changed, err := s.Setup(t.Context()); changed || err != nil {
		t.Errorf("set up again: %t, %v", changed, err)
	}
	if now := schemaOf(t, conn, "questwatch"); now != made {
		t.Errorf("the schema is\n%s\nand was\n%s", now, made)
	}
	if now := schemaOf(t, conn, "public"); now != before {
		t.Errorf("the application's tables have changed:\n%s\nand were\n%s", now, before)
	}
	if log, err := s.Journal(t.Context(), remedy.Filter{}); err != nil || len(log) != 1 || log[0].ID != e.ID {
		t.Errorf("the journal is %v: %v", log, err)
	}
	if there, err := s.HasJournal(t.Context()); !there || err != nil {
		t.Errorf("there is no journal: %v", err)
	}
}

// schemaOf lists what a schema consists of.
func schemaOf(t *testing.T, conn *pgx.Conn, schema string) string {
	t.Helper()
	return one[string](t, conn, `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type, is_nullable, column_default) FROM information_schema.columns WHERE table_schema = '`+schema+`'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = '`+schema+`'
		UNION ALL SELECT pg_get_triggerdef(g.oid) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid WHERE c.relnamespace = '`+schema+`'::regnamespace AND NOT tgisinternal
		UNION ALL SELECT pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '') FROM pg_proc p WHERE p.pronamespace = '`+schema+`'::regnamespace
		UNION ALL SELECT conname || pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE c.connamespace = '`+schema+`'::regnamespace) x (line)`)
}

func TestSetupRefusesLaterVersions(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	exec(t, conn, "INSERT INTO questwatch.version VALUES (2)")
	_, setup := s.Setup(t.Context())
	_, has := s.HasJournal(t.Context())
	_, carried := s.Carry(t.Context(), missing(), nil, decide(missing()))
	_, byHand := conn.PgConn().Exec(t.Context(), SetupSQL(&s.cfg.Schema)).ReadAll()
	exec(t, conn, "ROLLBACK")
	for name, err := range map[string]error{"setup": setup, "journal": has, "carry": carried, "by hand": byHand} {
		if err == nil || !strings.Contains(err.Error(), "of version 2, later than version 1") {
			t.Errorf("%s: %v", name, err)
		}
		if name != "by hand" && !hint.IsSetup(err) {
			t.Errorf("%s: %v has no advice", name, err)
		}
	}
	if sqlState(byHand) != laterSchema || setupError("", byHand) == nil || hint.Of(setupError("", byHand)) == "" {
		t.Errorf("by hand: %v", byHand)
	}
}

// TestSetupForOtherTables: a function that locks other tables than ours is not used, and
// setup mends it.
func TestSetupForOtherTables(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	exec(t, conn, `CREATE SCHEMA "an ""old"" site"; ALTER TABLE quests_quest SET SCHEMA "an ""old"" site"`)
	s.cfg.Schema.Quest.Table = `an "old" site.quests_quest`
	s.tables = tablesOf(&s.cfg.Schema)
	if _, err := s.Carry(t.Context(), missing(), nil, decide(missing())); !hint.IsSetup(err) || hint.Of(err) != "run questwatch setup" {
		t.Errorf("before setup: %v", err)
	}
	setUp(t, s)
	carry(t, s, missing())
}

// TestSetupByTheWrongRole: it says what to do, at once, and leaves nothing behind.
func TestSetupByTheWrongRole(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn := connect(t, dsn)
	exec(t, conn, `CREATE ROLE not_owner LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO not_owner`)
	defer exec(t, conn, "DROP OWNED BY not_owner; DROP ROLE not_owner")
	s := openStore(t, strings.Replace(dsn, "//postgres@", "//not_owner@", 1), Default())
	defer s.Close()
	for _, grant := range []string{"", "DO $$ BEGIN EXECUTE 'GRANT CREATE ON DATABASE ' || current_database() || ' TO not_owner'; END $$"} {
		exec(t, conn, grant)
		if _, err := s.Setup(t.Context()); !hint.IsSetup(err) || !strings.Contains(hint.Of(err), "setup --print") {
			t.Errorf("after %q: %v", grant, err)
		}
	}
	if n := one[int64](t, conn, "SELECT count(*) FROM pg_namespace WHERE nspname = 'questwatch'"); n != 0 {
		t.Error("half a schema is left")
	}
}

// TestJournalIsOnlyAddedTo: not even the owner changes it by mistake.
func TestJournalIsOnlyAddedTo(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	carry(t, s, missing())
	for _, sql := range []string{
		"UPDATE questwatch.repair SET actor = 'nobody'", "DELETE FROM questwatch.repair", "TRUNCATE questwatch.repair CASCADE",
		"UPDATE questwatch.brake SET halted = true", "DELETE FROM questwatch.brake", "TRUNCATE questwatch.brake",
	} {
		if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "is only ever added to") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
