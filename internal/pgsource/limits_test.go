package pgsource

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

// A snapshot outlives all limits that the server has for its sessions.
func TestSnapshotIsNotLimited(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	s := open(t, settings(t, dsn))
	for _, limit := range []string{"transaction_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"} {
		if ask[int](t, dsn, `SELECT count(*) FROM pg_settings WHERE name = $1`, limit) == 0 {
			if v := version(t, dsn); v >= 170000 {
				t.Errorf("server %d does not know %s", v, limit)
			}
			continue
		}
		run(t, dsn, fmt.Sprintf(`ALTER DATABASE %s SET %s = '300ms'`, s.Database(), limit))
		snap, err := s.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		outlive(t, dsn, limit != "idle_session_timeout")
		reader, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT "+literal(snap.Name)); err != nil {
			t.Errorf("%s: the snapshot is gone: %v", limit, err)
		}
		reader.Close(context.WithoutCancel(t.Context()))
		if err := snap.Persist(t.Context()); err != nil {
			t.Errorf("%s: %v", limit, err)
		}
		snap.Close(context.WithoutCancel(t.Context()))
		run(t, dsn, fmt.Sprintf(`ALTER DATABASE %s RESET %s`, s.Database(), limit))
	}
}

// outlive returns when the server has ended a connection that was opened now and
// that the limit holds for.
func outlive(t *testing.T, dsn string, inTransaction bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	pid := conn.PgConn().PID()
	if inTransaction {
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		if ask[int](t, dsn, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1`, pid) > 0 {
			return errors.New("the server does not keep to its limit")
		}
		return nil
	})
}
