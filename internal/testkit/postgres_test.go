package testkit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func count(t *testing.T, dsn, sql string) int {
	t.Helper()
	var n int
	if err := connect(t, dsn).QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestClusterKeepsCommittedRowsOverCrash(t *testing.T) {
	c := testkit.NewCluster(t, testkit.PostgresOptions{
		Dir: filepath.Join(t.TempDir(), "pg"), Settings: map[string]string{"max_replication_slots": "5"},
	})
	dsn := c.DSN("postgres")
	conn := connect(t, dsn)
	if _, err := conn.Exec(t.Context(), "CREATE TABLE t AS SELECT 1 AS n; CREATE TABLE u ()"); err != nil {
		t.Fatal(err)
	}
	if got := count(t, dsn, "SELECT current_setting('max_replication_slots')::int"); got != 5 {
		t.Errorf("max_replication_slots = %d", got)
	}
	for _, stop := range []func() error{
		c.Kill,
		func() error { return c.Stop(testkit.Immediate) },
		func() error { return c.Stop(testkit.Fast) },
	} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.Connect(t.Context(), dsn); err == nil {
			t.Fatal("the server still answers")
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if got := count(t, dsn, "SELECT n FROM t"); got != 1 {
			t.Errorf("n = %d after restart", got)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(c.LogFile())); err != nil {
		t.Errorf("the caller's folder: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(c.LogFile()), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := c.Start(); err == nil {
		t.Error("a closed cluster started")
	}
}

func TestClusterEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := testkit.StartPostgres(ctx, testkit.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	testkit.Eventually(t, 10*time.Second, func() error {
		conn, err := pgx.Connect(context.Background(), c.DSN("postgres"))
		if err != nil {
			return nil
		}
		_ = conn.Close(context.Background())
		return errors.New("server still answers")
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(c.LogFile())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder: %v", err)
	}
}

func TestPasswordRole(t *testing.T) {
	c := testkit.Postgres(t)
	if err := c.CreatePasswordRole(t.Context(), "reader", "it's secret", "REPLICATION"); err != nil {
		t.Fatal(err)
	}
	connect(t, c.DSNAs("postgres", "reader", "it's secret"))
	for _, wrong := range []string{"", "secret"} {
		if _, err := pgx.Connect(t.Context(), c.DSNAs("postgres", "reader", wrong)); err == nil {
			t.Errorf("password %q was accepted", wrong)
		}
	}
	connect(t, fmt.Sprintf("host=%s port=%d user=reader dbname=postgres", c.SocketDir(), c.Port()))
}

func TestMissingProgramsSayWhatToInstall(t *testing.T) {
	t.Setenv(testkit.PostgresBinEnv, t.TempDir())
	_, err := testkit.StartPostgres(t.Context(), testkit.PostgresOptions{})
	if !errors.Is(err, testkit.ErrNoPostgres) || !strings.Contains(hint.Of(err), "apt-get install postgresql") {
		t.Errorf("error = %v", err)
	}
}

func TestDatabase(t *testing.T) {
	a := testkit.Database(t, testkit.LoadAudit001, testkit.DropUniqueParticipant)
	b := testkit.Database(t)
	if got := count(t, a, "SELECT count(*) FROM applications_application"); got != 11 {
		t.Errorf("%d applications", got)
	}
	if got := count(t, b, "SELECT count(*) FROM applications_application"); got != 0 {
		t.Errorf("%d applications in the second database", got)
	}
	if got := count(t, a, "SELECT count(*) FROM pg_constraint WHERE conname LIKE '%102f66b3_uniq'"); got != 0 {
		t.Error("the unique constraint is still there")
	}
}

func TestDatabaseIsDroppedWithItsSlots(t *testing.T) {
	var dsn string
	t.Run("test with slot", func(t *testing.T) {
		dsn = testkit.Database(t)
		count(t, dsn, "SELECT count(*) FROM pg_create_logical_replication_slot('s', 'pgoutput')")
	})
	if _, err := pgx.Connect(t.Context(), dsn); err == nil {
		t.Error("the database is still there")
	}
	if got := count(t, testkit.Postgres(t).DSN("postgres"), "SELECT count(*) FROM pg_replication_slots"); got != 0 {
		t.Errorf("%d slots left", got)
	}
}
