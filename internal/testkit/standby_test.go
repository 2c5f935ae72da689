package testkit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestStandbyFollowsAndTakesOver(t *testing.T) {
	primary := testkit.NewCluster(t, testkit.PostgresOptions{})
	standby := testkit.NewStandby(t, primary, "")
	if _, err := connect(t, primary.DSN("postgres")).Exec(t.Context(), "CREATE TABLE t AS SELECT 1 AS n"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		if count(t, standby.DSN("postgres"), "SELECT count(*) FROM pg_class WHERE relname = 't'") != 1 {
			return errors.New("the table has not arrived")
		}
		return nil
	})
	conn := connect(t, standby.DSN("postgres"))
	if _, err := conn.Exec(t.Context(), "INSERT INTO t VALUES (2)"); err == nil {
		t.Error("the standby takes writes")
	}
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO t VALUES (2)"); err != nil {
		t.Error(err)
	}
}

func TestProxyRedirects(t *testing.T) {
	a, b := testkit.NewCluster(t, testkit.PostgresOptions{}), testkit.Postgres(t)
	p, err := testkit.NewProxy(a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dsn := "postgres://postgres@" + p.Addr() + "/postgres?sslmode=disable"
	const port = "SELECT current_setting('port')::int"
	before := connect(t, dsn)
	p.Redirect(b.Addr())
	if got := count(t, dsn, port); got != b.Port() {
		t.Errorf("a new connection leads to port %d, want %d", got, b.Port())
	}
	var got int
	if err := before.QueryRow(t.Context(), port).Scan(&got); err != nil || got != a.Port() {
		t.Errorf("the old connection leads to port %d, %v; want %d", got, err, a.Port())
	}
}
