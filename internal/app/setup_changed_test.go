package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// The schema and the set-up change while the program runs. It says that it is
// not ready and why, mends what it may, and watches again by itself when the
// database fits again, with a failure that came in between found.
func TestSetUpChangesWhileRunning(t *testing.T) {
	t.Parallel()
	const fails = `UPDATE applications_application SET status = 'approved' WHERE id = 7001`
	for name, c := range map[string]struct {
		breaks, mends []string
		says          string // why it is not ready meanwhile, where it cannot mend it
		gaps          []string
	}{
		"column renamed": {
			breaks: []string{`ALTER TABLE quests_quest RENAME COLUMN title TO title2`, `UPDATE quests_quest SET title2 = 'x' WHERE id = 6`, fails},
			mends:  []string{`ALTER TABLE quests_quest RENAME COLUMN title2 TO title`},
			says:   "no column title",
		},
		"replica identity changed": {
			breaks: []string{`ALTER TABLE applications_application REPLICA IDENTITY DEFAULT`, fails},
			gaps:   []string{"log_unreadable", "publication_changed"},
		},
		"publication dropped": {
			breaks: []string{`DROP PUBLICATION questwatch`, fails},
			gaps:   []string{"log_unreadable", "publication_changed"},
		},
		"table left the publication": {
			breaks: []string{`ALTER PUBLICATION questwatch DROP TABLE applications_application`, fails},
			gaps:   []string{"publication_changed"},
		},
		"operation left the publication": {
			breaks: []string{`ALTER PUBLICATION questwatch SET (publish = 'insert, delete, truncate')`, fails},
			mends:  []string{`ALTER PUBLICATION questwatch SET (publish = 'insert, update, delete, truncate')`},
			says:   "leaves out some operations",
			gaps:   []string{"publication_changed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			r := start(t, settings(t, dsn), dsn)
			r.ready(t)
			exec1(t, dsn, `INSERT INTO applications_application (id, status, applied_at, applicant_id, quest_id)
				VALUES (7001, 'pending', now(), '22222222-2222-4222-8222-222222222222', 6)`)
			r.settle(t)
			exec1(t, dsn, c.breaks...)
			if c.says != "" {
				testkit.Eventually(t, 30*time.Second, func() error {
					if reasons := strings.Join(r.Reasons(), "; "); !strings.Contains(reasons, c.says) {
						return fmt.Errorf("reasons %q lack %q", reasons, c.says)
					}
					return nil
				})
			}
			exec1(t, dsn, c.mends...)
			const missing = "missing_participant 6 22222222-2222-4222-8222-222222222222"
			testkit.Eventually(t, 60*time.Second, func() error {
				if f := byWhat(r.findings(t))[missing]; f == nil || f.resolved {
					return fmt.Errorf("the failed approval is not found; %q", r.Reasons())
				}
				return nil
			})
			r.ready(t)
			if len(c.gaps) == 0 {
				// Rows that lack a column meanwhile are no images of those before.
				r.settle(t)
				r.verifyFindings(t)
				return
			}
			r.since = 1
			s := r.verify(t)
			for _, gap := range s.reasons("gap") {
				if !slices.Contains(c.gaps, gap) {
					t.Errorf("gap %q, want one of %q", gap, c.gaps)
				}
			}
			if len(s.reasons("gap")) == 0 {
				t.Error("no gap was declared")
			}
		})
	}
}
