package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestOpenErrors: each mistake has a message of its own that says what to do,
// and none shows the password.
func TestOpenErrors(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t/word"
	dsn := testkit.Database(t)
	conn := connect(t, dsn)
	cluster := testkit.Postgres(t)
	if err := cluster.CreatePasswordRole(t.Context(), "store_reader", secret); err != nil {
		t.Fatal(err)
	}
	db := dsn[strings.LastIndex(dsn, "/")+1 : strings.Index(dsn, "?")]
	exec(t, conn, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO store_reader; REVOKE SELECT ON quests_quest FROM store_reader")
	defer exec(t, conn, "DROP OWNED BY store_reader; DROP ROLE store_reader")
	missingTable, missingColumn := Default(), Default()
	missingTable.Schema.Quest.Table = "app.quests_quest"
	missingColumn.Schema.Application.Status = "state"
	for name, c := range map[string]struct {
		dsn   string
		cfg   Config
		want  []string
		setup bool
	}{
		"malformed": {"postgres://u:" + secret + "@[::1/db", Default(), []string{"malformed", "postgres://"}, true},
		"option":    {"host=localhost password='" + secret + "' sslmode=perhaps", Default(), []string{"sslmode"}, true},
		"down":      {"postgres://u:" + secret[:6] + "@127.0.0.1:1/db", Default(), []string{"127.0.0.1:1", "refused", "running"}, false},
		"host":      {"postgres://u@no-such-host.invalid/db", Default(), []string{"no-such-host.invalid"}, false},
		"password":  {cluster.DSNAs(db, "store_reader", "wrong"), Default(), []string{"store_reader", "password"}, true},
		"role":      {cluster.DSNAs(db, "nobody_there", ""), Default(), []string{"nobody_there", "pg_hba.conf"}, true},
		"database":  {cluster.DSN("no_such_db"), Default(), []string{"no_such_db", "psql --list"}, true},
		"table":     {dsn, missingTable, []string{"app.quests_quest", "public.quests_quest"}, true},
		"column":    {dsn, missingColumn, []string{"application", "column state"}, true},
		"privilege": {cluster.DSNAs(db, "store_reader", secret), Default(), []string{"quests_quest", `GRANT SELECT ON "public"."quests_quest" TO "store_reader"`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), c.dsn, c.cfg)
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			if hint.Of(err) == "" || hint.IsSetup(err) != c.setup {
				t.Fatalf("the error is %v, hint %q, about the set-up %t", err, hint.Of(err), hint.IsSetup(err))
			}
			shown := err.Error() + " " + hint.Of(err)
			for _, want := range c.want {
				if !strings.Contains(shown, want) {
					t.Errorf("the error lacks %q: %s", want, shown)
				}
			}
			if strings.Contains(shown, "s3cr3t") || strings.Contains(shown, "wrong@") {
				t.Errorf("the error shows the password: %s", shown)
			}
		})
	}
}

func TestOpenWithoutNames(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	cfg := Default()
	s := openStore(t, dsn, cfg)
	names, err := s.Usernames(t.Context(), []string{"11111111-1111-4111-8111-111111111111", "99999999-9999-4999-8999-999999999999"})
	if err != nil || len(names) != 1 || names["11111111-1111-4111-8111-111111111111"] != "student1" {
		t.Errorf("names are %v: %v", names, err)
	}
	exec(t, connect(t, dsn), "ALTER TABLE users_user RENAME TO people")
	if _, err := Open(t.Context(), dsn, cfg); err == nil {
		t.Error("a missing user table is no error")
	}
	cfg.NamesOptional = true
	if _, err := openStore(t, dsn, cfg).Usernames(t.Context(), []string{"1"}); err == nil {
		t.Error("names can be read without their table")
	}
}

// TestClock: what committed before the time is below the position, also after
// the connection was lost.
func TestClock(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	s, conn := openStore(t, dsn, Default()), connect(t, dsn)
	at, lsn, xid, err := s.Clock(t.Context())
	if err != nil || time.Since(at).Abs() > time.Minute || lsn == 0 || xid == 0 {
		t.Fatalf("clock is %v %v %d: %v", at, lsn, xid, err)
	}
	if err := s.Heartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	later, lsn2, xid2, err := s.Clock(t.Context())
	if err != nil || !later.After(at) || lsn2 <= lsn || xid2 <= xid {
		t.Errorf("clock is %v %v %d after %v %v %d: %v", later, lsn2, xid2, at, lsn, xid, err)
	}
	terminate(t, s, conn)
	if _, _, _, err := s.Clock(t.Context()); err != nil {
		t.Errorf("the first clock after the connections were lost: %v", err)
	}
	terminate(t, s, conn)
	if err := s.Heartbeat(t.Context()); err != nil {
		t.Errorf("the first heartbeat after the connections were lost: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := s.Clock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context the error is %v", err)
	}
	if _, _, _, err := s.Clock(t.Context()); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// terminate fills the store's pool and ends all its sessions, as a restart of
// the server does.
func terminate(t *testing.T, s *Store, conn *pgx.Conn) {
	t.Helper()
	var idle []*pgxpool.Conn
	for range maxConnections - 1 { // the side connection has the last one
		c, err := s.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	for _, c := range idle {
		c.Release()
	}
	const ours = " FROM pg_stat_activity WHERE application_name = 'questwatch' AND datname = current_database()"
	exec(t, conn, "SELECT pg_terminate_backend(pid)"+ours)
	testkit.Eventually(t, 10*time.Second, func() error {
		n := 0
		if err := conn.QueryRow(t.Context(), "SELECT count(*)"+ours).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("%d sessions are left", n)
		}
		return nil
	})
}

// TestSideIsTriedTwiceAtMost: a server that ends every session does not keep the
// caller, and the error says once what was done.
func TestSideIsTriedTwiceAtMost(t *testing.T) {
	t.Parallel()
	s := openStore(t, testkit.Database(t), Default())
	for _, c := range []struct {
		sql  string
		want int
	}{
		{"SELECT pg_terminate_backend(pg_backend_pid())", 2},
		{"SELECT 1/0", 1},
	} {
		tries := 0
		err := s.onSide(t.Context(), func(conn *pgx.Conn) error {
			tries++
			_, err := conn.Exec(t.Context(), c.sql)
			return err
		})
		if err == nil || tries != c.want {
			t.Errorf("%s: %d tries, want %d: %v", c.sql, tries, c.want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	err := s.onSide(ctx, func(conn *pgx.Conn) error {
		tries++
		cancel()
		_, err := conn.Exec(ctx, "SELECT 1")
		return err
	})
	if !errors.Is(err, context.Canceled) || tries != 1 {
		t.Errorf("with a cancelled context %d tries: %v", tries, err)
	}
	s.pool.Close()
	_, _, _, err = s.Clock(t.Context())
	if err == nil || strings.Count(err.Error(), "clock") != 1 {
		t.Errorf("with a closed pool: %v", err)
	}
}
