package pgstore

import (
	"errors"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

// A baseline outlives all limits that the server has for its sessions.
func TestBaselineIsNotLimited(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	s := openStore(t, dsn, Default())
	admin := connect(t, dsn)
	for _, limit := range []string{"transaction_timeout", "idle_in_transaction_session_timeout"} {
		var known bool
		if err := admin.QueryRow(t.Context(), `SELECT current_setting($1, true) IS NOT NULL`, limit).Scan(&known); err != nil {
			t.Fatal(err)
		}
		if !known { // transaction_timeout, before 17
			continue
		}
		exec(t, admin, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET `+limit+` = ''300ms''', current_database()); END $$`)
		s.pool.Reset() // the limits are those of when a session began
		limited := connect(t, dsn)
		quests, waited := 0, false
		err := s.Baseline(t.Context(), "", peerQuestColumns(), false, func(int64, []change.Change) error {
			if quests++; waited {
				return nil
			}
			waited = true
			exec(t, limited, "BEGIN")
			testkit.Eventually(t, 20*time.Second, func() error {
				var there bool
				if err := admin.QueryRow(t.Context(), `SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $1`, limited.PgConn().PID()).Scan(&there); err != nil {
					return err
				}
				if there {
					return errors.New("the server does not keep to its limit")
				}
				return nil
			})
			return nil
		})
		if err != nil || quests != 11 {
			t.Errorf("%s: %d quests, %v", limit, quests, err)
		}
		exec(t, admin, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET `+limit+`', current_database()); END $$`)
	}
}
