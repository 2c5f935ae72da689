package pgsource

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

const everything = `
	SELECT string_agg(relname || '=' || relreplident::text, ' ' ORDER BY relname) ||
		coalesce((SELECT string_agg(pubname, ' ') FROM pg_publication), '') ||
		coalesce((SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables), '')
	FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`

const (
	identity    = `ALTER TABLE "public"."quests_quest" REPLICA IDENTITY FULL`
	publication = `CREATE PUBLICATION "questwatch" FOR TABLE "public"."quests_quest", "public"."applications_application", "public"."quests_questparticipant"`
)

func TestTablesCannotBeStreamed(t *testing.T) {
	for name, c := range map[string]struct {
		prepare string
		change  func(*Config)
		parts   []string
	}{
		"table is missing":         {`DROP TABLE applications_application CASCADE`, nil, []string{"applications_application", "does not exist", "tables.application.table"}},
		"table is a view":          {`ALTER TABLE applications_application RENAME TO a; CREATE VIEW applications_application AS SELECT * FROM a`, nil, []string{"not an ordinary table"}},
		"column is missing":        {`ALTER TABLE quests_quest DROP COLUMN assigned_to_id, DROP COLUMN title`, nil, []string{"no column title, assigned_to_id", "tables.quest.columns"}},
		"setup is forbidden":       {``, func(c *Config) { c.Setup = false }, []string{"forbidden", identity, publication}},
		"publication lacks UPDATE": {`CREATE PUBLICATION questwatch FOR ALL TABLES WITH (publish = 'insert, delete')`, nil, []string{"leaves out some operations", `ALTER PUBLICATION "questwatch" SET (publish`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t)
			run(t, dsn, c.prepare)
			config := settings(t, dsn)
			if c.change != nil {
				c.change(&config)
			}
			before := ask[string](t, dsn, everything)
			_, _, err := open(t, config).Check(t.Context())
			says(t, err, true, c.parts...)
			if after := ask[string](t, dsn, everything); after != before {
				t.Errorf("the check changed %q to %q", before, after)
			}
		})
	}
}

// Servers before 15 know no publications that leave out rows or columns.
func TestPublicationLeavesOut(t *testing.T) {
	for name, c := range map[string]struct {
		publication string
		parts       []string
	}{
		"rows":    {`CREATE PUBLICATION questwatch FOR TABLE quests_quest WHERE (id > 5), applications_application, quests_questparticipant`, []string{"leaves out rows or columns of quests_quest", "without WHERE"}},
		"columns": {`CREATE PUBLICATION questwatch FOR TABLE quests_quest, applications_application (id), quests_questparticipant`, []string{"leaves out rows or columns of applications_application"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t)
			err := attempt(t, dsn, c.publication)
			if version(t, dsn) < 150000 {
				if codeOf(err) != "42601" {
					t.Errorf("this server knows it after all: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			before := ask[string](t, dsn, everything)
			_, _, err = open(t, settings(t, dsn)).Check(t.Context())
			says(t, err, true, c.parts...)
			if after := ask[string](t, dsn, everything); after != before {
				t.Errorf("the check changed %q to %q", before, after)
			}
		})
	}
}

func TestPublicationIsCompleted(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	run(t, dsn, `CREATE PUBLICATION questwatch FOR TABLE quests_quest`)
	s := open(t, settings(t, dsn))
	setUp(t, s)
	want := "applications_application quests_quest quests_questparticipant"
	if got := ask[string](t, dsn, `SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables`); got != want {
		t.Errorf("published: %s", got)
	}
}

// A role that may replicate and read, and owns nothing, is told what the owner
// must do, and has changed nothing.
func TestRoleOwnsNothing(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	as := grant(t, dsn, "streamer", "REPLICATION")
	s := open(t, settings(t, as))
	before := ask[string](t, dsn, everything)
	_, _, err := s.Check(t.Context())
	says(t, err, true, "lacks the right", identity, publication)
	if after := ask[string](t, dsn, everything); after != before {
		t.Errorf("%q became %q", before, after)
	}
	run(t, dsn, strings.Split(strings.TrimSpace(statementsOf(t, err)), ";")...)
	if _, setup, err := s.Check(t.Context()); err != nil || len(setup) != 0 {
		t.Errorf("after the owner did it: %s, %v", setup, err)
	}
}

// The tables are the role's and the publication is somebody else's.
func TestRoleOwnsTablesOnly(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	as := grant(t, dsn, "owner", "REPLICATION")
	config, err := pgx.ParseConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	run(t, dsn, `CREATE PUBLICATION questwatch FOR TABLE quests_quest`)
	for _, table := range []string{"quests_quest", "applications_application", "quests_questparticipant"} {
		run(t, dsn, `ALTER TABLE `+table+` OWNER TO `+config.User)
	}
	before := ask[string](t, dsn, everything)
	_, _, err = open(t, settings(t, as)).Check(t.Context())
	says(t, err, true, "lacks the right", `ALTER PUBLICATION "questwatch" ADD TABLE "public"."applications_application"`)
	if after := ask[string](t, dsn, everything); after != before {
		t.Errorf("%q became %q", before, after)
	}
}

func TestRoleMayNotRead(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	as := grant(t, dsn, "blind", "REPLICATION")
	config, err := pgx.ParseConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	run(t, dsn, `REVOKE SELECT ON quests_questparticipant FROM `+config.User)
	_, _, err = open(t, settings(t, as)).Check(t.Context())
	says(t, err, true, "may not read it", `GRANT SELECT ON "public"."quests_questparticipant" TO "`+config.User+`"`)
}

// The streamed columns are enough; with all of them streamed all are.
func TestRoleMayReadSomeColumns(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	as := grant(t, dsn, "squints", "REPLICATION")
	config, err := pgx.ParseConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	run(t, dsn, `REVOKE SELECT ON quests_questparticipant FROM `+config.User+`;
		GRANT SELECT (id, quest_id, user_id, status, joined_at) ON quests_questparticipant TO `+config.User)
	c := settings(t, as)
	if _, _, err = open(t, c).Check(t.Context()); err != nil && strings.Contains(err.Error(), "may not read it") {
		t.Errorf("with the streamed columns: %v", err)
	}
	c.AllColumns = true
	_, _, err = open(t, c).Check(t.Context())
	says(t, err, true, "may not read it")
}

// Row security would leave rows out of the baseline, in silence.
func TestRoleSeesSomeRowsOnly(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	as := grant(t, dsn, "partial", "REPLICATION")
	run(t, dsn, `ALTER TABLE quests_quest ENABLE ROW LEVEL SECURITY`, `CREATE POLICY upper_half ON quests_quest USING (id > 5)`)
	_, _, err := open(t, settings(t, as)).Check(t.Context())
	says(t, err, true, "row security", "BYPASSRLS")
}
