package pgsource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

const (
	stored  = `ALTER TABLE quests_quest ADD loud text GENERATED ALWAYS AS (title || '!') STORED`
	virtual = `ALTER TABLE quests_quest ADD loud text GENERATED ALWAYS AS (title || '!') VIRTUAL`
)

// Whatever the table's generated columns and who made the publication: the
// application's statements go on to work, after every single step too, and arrive.
func TestGeneratedColumns(t *testing.T) {
	for name, prepare := range map[string][]string{
		"no publication":         {stored},
		"a publication of ours":  {stored, `CREATE PUBLICATION questwatch FOR TABLE quests_quest`},
		"a publication of all":   {stored, `CREATE PUBLICATION questwatch FOR ALL TABLES`},
		"added when it ran":      {`CREATE PUBLICATION questwatch FOR TABLE quests_quest`, `ALTER TABLE quests_quest REPLICA IDENTITY FULL`, stored},
		"without generated ones": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			run(t, dsn, prepare...)
			s := open(t, settings(t, dsn))
			_, setup, err := s.Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range setup {
				if err := s.Set(t.Context(), setup[i:i+1]); err != nil {
					t.Fatal(err)
				}
				run(t, dsn, fmt.Sprintf(`UPDATE quests_quest SET title = '%d'`, i))
			}
			from := setUp(t, s)
			run(t, dsn, `UPDATE quests_quest SET title = 'x' WHERE id = 1`, `DELETE FROM quests_quest WHERE id = 9999`)
			got := transactions(t, s, from, 1)[0]
			if len(got) != 1 || !strings.Contains(string(got[0].Change.After), `"title":"x"`) {
				t.Errorf("streamed %+v", got)
			}
		})
	}
}

// A column that the rules need must be in what is streamed.
func TestGeneratedColumnIsStreamed(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	run(t, dsn, stored)
	c := settings(t, dsn)
	c.Schema.Quest.Title = "loud"
	s := open(t, c)
	if version(t, dsn) < 180000 {
		_, _, err := s.Check(t.Context())
		says(t, err, true, "column loud is generated", "tables.quest.columns", "Postgres 18")
		return
	}
	from := setUp(t, s)
	run(t, dsn, `UPDATE quests_quest SET title = 'x' WHERE id = 1`)
	if got := transactions(t, s, from, 1)[0]; len(got) != 1 || !strings.Contains(string(got[0].Change.After), `"loud":"x!"`) {
		t.Errorf("streamed %+v", got)
	}
}

func TestVirtualColumn(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	err := attempt(t, dsn, virtual)
	if version(t, dsn) < 180000 {
		if err == nil {
			t.Error("this server has virtual columns after all")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	before := ask[string](t, dsn, everything)
	_, _, err = open(t, settings(t, dsn)).Check(t.Context())
	says(t, err, true, "column loud is virtual", "every UPDATE")
	if after := ask[string](t, dsn, everything); after != before {
		t.Errorf("the check changed %q to %q", before, after)
	}
}

// Other publications may not bear the identity that we need.
func TestPublicationOfOthers(t *testing.T) {
	for name, c := range map[string]struct {
		since   int
		prepare []string
	}{
		"with a column list": {150000, []string{`CREATE PUBLICATION other FOR TABLE quests_quest (id)`}},
		"without generated":  {180000, []string{stored, `CREATE PUBLICATION other FOR TABLE quests_quest`}},
		"of all tables":      {180000, []string{stored, `CREATE PUBLICATION other FOR ALL TABLES`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t)
			if version(t, dsn) < c.since {
				// Older servers do not know it, or take no harm.
				_ = attempt(t, dsn, c.prepare...)
				setUp(t, open(t, settings(t, dsn)))
				run(t, dsn, `UPDATE quests_quest SET title = 'x'`)
				return
			}
			run(t, dsn, c.prepare...)
			_, _, err := open(t, settings(t, dsn)).Check(t.Context())
			says(t, err, true, `publication "other"`, "every UPDATE", "without a column list")
			run(t, dsn, `ALTER PUBLICATION other SET (publish = 'insert')`)
			setUp(t, open(t, settings(t, dsn)))
			run(t, dsn, `UPDATE quests_quest SET title = 'x'`)
		})
	}
}
