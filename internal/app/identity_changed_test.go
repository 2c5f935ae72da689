package app

import (
	"slices"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

// The replica identity is changed while the program streams. What the log then
// says of a row is not enough: a gap is declared, and a baseline taken, and no
// wrong value gets into the stream.
func TestIdentityChangedWhileStreaming(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string][]string{
		"index":            {`ALTER TABLE applications_application REPLICA IDENTITY USING INDEX applications_application_pkey`, `UPDATE applications_application SET status = 'rejected' WHERE id = 1`},
		"nothing":          {`ALTER TABLE applications_application REPLICA IDENTITY NOTHING`},
		"default, deleted": {`ALTER TABLE applications_application REPLICA IDENTITY DEFAULT`, `DELETE FROM applications_application WHERE id = 1`},
		// Nobody sees this but the log.
		"for a moment": {`BEGIN; SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE applications_application REPLICA IDENTITY DEFAULT; UPDATE applications_application SET quest_id = 2 WHERE id = 1;
			ALTER TABLE applications_application REPLICA IDENTITY FULL; COMMIT`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			r := start(t, settings(t, dsn), dsn)
			r.ready(t)
			r.settle(t)
			exec1(t, dsn, append(sql, approvalFails)...)
			r.finds(t)
			r.since = 1
			s := r.verify(t)
			if gaps := s.reasons("gap"); len(gaps) == 0 || slices.ContainsFunc(gaps, func(g string) bool { return g != "log_unreadable" && g != "publication_changed" }) {
				t.Errorf("gaps %q", gaps)
			}
			var identity string
			query(t, dsn, `SELECT relreplident::text FROM pg_class WHERE relname = 'applications_application'`, &identity)
			if identity != "f" {
				t.Errorf("the identity is %q", identity)
			}
		})
	}
}

// A table is put away and another takes its name. The new one is streamed from
// a baseline on, and what is written to the old one is nobody's business.
func TestTableSwapped(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	exec1(t, dsn, `UPDATE quests_questparticipant SET status = status`)
	r.settle(t)
	exec1(t, dsn, `BEGIN; ALTER TABLE quests_questparticipant RENAME TO seats; CREATE TABLE quests_questparticipant (LIKE seats INCLUDING ALL);
		INSERT INTO quests_questparticipant SELECT * FROM seats WHERE id > 3; UPDATE quests_questparticipant SET status = 'completed'; COMMIT`,
		`UPDATE seats SET status = 'dropped'`, approvalFails)
	r.baselines(t, 2)
	r.finds(t)
	r.since = 1
	s := r.verify(t)
	if gaps := s.reasons("gap"); !slices.Contains(gaps, "publication_changed") {
		t.Errorf("gaps %q: what was written before the table was published is not in the log", gaps)
	}
}
