package app

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/testkit"
)

// approvalFails is a failure that must be found after whatever came before.
const approvalFails = `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
	VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', 6)`

const failedApproval = "missing_participant 6 22222222-2222-4222-8222-222222222222"

// finds waits for the failure.
func (r *running) finds(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 60*time.Second, func() error {
		if f := byWhat(r.findings(t))[failedApproval]; f == nil || f.resolved {
			return fmt.Errorf("the failed approval is not found; %q", r.Reasons())
		}
		return nil
	})
}

// baselines waits until as many have been taken.
func (r *running) baselines(t *testing.T, want int) {
	t.Helper()
	testkit.Eventually(t, 60*time.Second, func() error {
		if got := len(r.controls(t, "baseline_end")); got < want {
			return fmt.Errorf("%d baselines, want %d; %q", got, want, r.Reasons())
		}
		return nil
	})
}

// agrees checks that findings and state are those of the tables. The stream's rows
// need not follow from one another: a table that is rewritten says nothing in the
// log.
func (r *running) agrees(t *testing.T) {
	t.Helper()
	r.ready(t)
	r.settle(t)
	r.verifyFindings(t)
	r.verifyState(t)
	r.halt(t)
}

// Columns are altered in every way while the program streams. Afterwards the
// stream amounts to the tables, and so does the checker's state. Where rows that
// nobody wrote can have other values, a new baseline says so.
func TestColumnsAlteredWhileStreaming(t *testing.T) {
	t.Parallel()
	const touch = `UPDATE quests_quest SET title = title || '!' WHERE id IN (1, 2)`
	for name, c := range map[string]struct {
		sql []string
		// baseline says that another one follows, schema what schema_changed says.
		baseline bool
		schema   []string
	}{
		"every value rewritten":    {[]string{`ALTER TABLE quests_quest ALTER title TYPE text USING upper(title) || id`, touch}, true, []string{"retyped title"}},
		"in one transaction":       {[]string{`BEGIN; ` + touch + `; ALTER TABLE quests_quest ALTER title TYPE text USING upper(title); ` + touch + `; COMMIT`}, true, []string{"retyped title"}},
		"rewritten, same type":     {[]string{`ALTER TABLE quests_quest ALTER status TYPE varchar(20) USING CASE WHEN id > 5 THEN 'open' ELSE status END`}, true, nil},
		"an enum":                  {[]string{`CREATE TYPE quest_status AS ENUM ('open', 'in-progress', 'completed'); ALTER TABLE quests_quest ALTER status TYPE quest_status USING status::quest_status`, touch}, true, []string{"retyped status"}},
		"a number of another size": {[]string{`ALTER TABLE applications_application ALTER id TYPE integer`, `UPDATE applications_application SET status = status`}, true, []string{"retyped id"}},
		"made anew elsewhere": {[]string{
			touch, `BEGIN; ALTER TABLE quests_quest ADD headline varchar(255); UPDATE quests_quest SET headline = upper(title);
			ALTER TABLE quests_quest DROP title; ALTER TABLE quests_quest RENAME headline TO title; COMMIT`, touch,
		}, true, []string{"retyped title"}},
		"nothing that matters": {[]string{
			`ALTER TABLE quests_quest ADD a int DEFAULT 7, ADD b timestamptz DEFAULT clock_timestamp(), ADD c int GENERATED ALWAYS AS (id * 2) STORED`, touch,
			`BEGIN; ` + touch + `; ALTER TABLE quests_quest DROP a; ` + touch + `; COMMIT`, `ALTER TABLE quests_quest RENAME b TO d`, touch,
			`VACUUM FULL quests_quest`, touch, `CLUSTER quests_quest USING quests_quest_pkey`, touch,
			`CREATE TABLE seats (LIKE quests_questparticipant INCLUDING DEFAULTS) PARTITION BY RANGE (id)`,
			`ALTER TABLE quests_questparticipant ALTER id DROP IDENTITY IF EXISTS`, // no partition has one from Postgres 17 on
			`ALTER TABLE seats ATTACH PARTITION quests_questparticipant FOR VALUES FROM (MINVALUE) TO (MAXVALUE)`,
			`UPDATE seats SET status = 'completed' WHERE id = 1`, `UPDATE quests_questparticipant SET status = 'joined' WHERE id = 1`,
		}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			exec1(t, dsn, `ALTER TABLE quests_quest ALTER status TYPE varchar(20)`)
			r := start(t, settings(t, dsn), dsn)
			r.ready(t)
			r.settle(t)
			// So that the stream has met the tables.
			exec1(t, dsn, touch, `UPDATE applications_application SET status = status`)
			r.settle(t)
			exec1(t, dsn, c.sql...)
			if c.baseline {
				r.baselines(t, 2)
				r.since = 1
			}
			exec1(t, dsn, approvalFails)
			r.finds(t)
			if n := len(r.controls(t, "baseline_end")); (n > 1) != c.baseline {
				t.Errorf("%d baselines", n)
			}
			if n := len(r.controls(t, "gap")); n > 0 {
				t.Errorf("%d gaps: nothing was lost", n)
			}
			if c.baseline {
				r.agrees(t)
			} else {
				r.verify(t)
			}
			if got := r.schemas(t); !slices.Equal(got, c.schema) {
				t.Errorf("schema changes %q, want %q", got, c.schema)
			}
		})
	}
}

// schemaRecord is what a control record says of tables and columns.
type schemaRecord struct {
	Control string   `json:"control"`
	Columns []string `json:"columns"`
	Missing []string `json:"missing"`
	Retyped []string `json:"retyped"`
	// Entities are those that changed, or that were emptied.
	Entities []string `json:"entities"`
}

// controls reads all control records that there are.
func (r *running) controls(t *testing.T, kind string) (all []schemaRecord) {
	t.Helper()
	err := r.Bus().ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
		if !bytes.HasPrefix(m.Data, []byte(`{"control":"`+kind+`"`)) {
			return nil
		}
		var c schemaRecord
		decode(t, m.Data, &c)
		all = append(all, c)
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return all
}

// schemas lists what the schema_changed records say of types and lacks.
func (r *running) schemas(t *testing.T) (list []string) {
	t.Helper()
	for _, c := range r.controls(t, "schema_changed") {
		text := ""
		if len(c.Retyped) > 0 {
			text += " retyped " + strings.Join(c.Retyped, " ")
		}
		if len(c.Missing) > 0 {
			text += " missing " + strings.Join(c.Missing, " ")
		}
		list = append(list, strings.TrimSpace(text))
	}
	return list
}

// A column that the rules need goes, or becomes something that they cannot read.
// Nothing is judged meanwhile; the program says what is wrong, and goes on by
// itself when it is mended.
func TestColumnsThatTheRulesCannotDoWithout(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		breaks, mends string
		says, schema  string
		before        int // the first server that is not troubled by it
	}{
		"status becomes a number": {
			`ALTER TABLE applications_application ALTER status TYPE int USING CASE status WHEN 'approved' THEN 1 ELSE 0 END`,
			`ALTER TABLE applications_application ALTER status TYPE varchar(15) USING CASE status WHEN 1 THEN 'approved' ELSE 'pending' END`,
			"its column status is of a type that the rules cannot read", "retyped status missing status", 0,
		},
		"joined_at becomes a date": {
			`ALTER TABLE quests_questparticipant ALTER joined_at TYPE date`, `ALTER TABLE quests_questparticipant ALTER joined_at TYPE timestamptz`,
			"its column joined_at is of a type", "retyped joined_at missing joined_at", 0,
		},
		"title dropped and made anew": {
			`ALTER TABLE quests_quest DROP title`, `ALTER TABLE quests_quest ADD title varchar(200) NOT NULL DEFAULT 'none'`,
			"it has no column title", "missing title", 0,
		},
		"title generated": {
			`ALTER TABLE quests_quest DROP title; ALTER TABLE quests_quest ADD title text GENERATED ALWAYS AS (status || 'x') STORED`,
			`ALTER TABLE quests_quest ALTER title DROP EXPRESSION`,
			"its column title is generated", "missing title", 180000,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			if c.before != 0 && serverVersion(t, dsn) >= c.before {
				return
			}
			r := start(t, settings(t, dsn), dsn)
			r.ready(t)
			const touch = `UPDATE quests_quest SET is_deleted = is_deleted; UPDATE applications_application SET applied_at = applied_at;
				UPDATE quests_questparticipant SET status = status`
			exec1(t, dsn, touch)
			r.settle(t)
			before := len(r.findings(t))
			exec1(t, dsn, c.breaks, touch)
			testkit.Eventually(t, 30*time.Second, func() error {
				if reasons := strings.Join(r.Reasons(), "; "); !strings.Contains(reasons, c.says) {
					return fmt.Errorf("reasons %q lack %q", reasons, c.says)
				}
				return nil
			})
			if after := len(r.findings(t)); after != before {
				t.Errorf("%d findings became %d", before, after)
			}
			if got := r.schemas(t); !slices.Equal(got, []string{c.schema}) {
				t.Errorf("schema changes %q, want %q", got, c.schema)
			}
			exec1(t, dsn, c.mends, approvalFails)
			r.finds(t)
			r.since = 1
			r.agrees(t)
		})
	}
}
