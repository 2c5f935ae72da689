package pgsource

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestCheckFindsNothingMissing(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	s := open(t, settings(t, dsn))
	server, setup, err := s.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if server.System == "" || server.Timeline == 0 || server.Version < minVersion {
		t.Errorf("server %+v", server)
	}
	if len(setup) != 4 {
		t.Errorf("setup: %s", setup)
	}
	if err := s.Set(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), setup); err != nil { // as a second instance would that checked at the same time
		t.Error(err)
	}
	if _, setup, err = s.Check(t.Context()); err != nil || len(setup) != 0 {
		t.Errorf("second check: %s, %v", setup, err)
	}
}

func TestServerIsNotLogical(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, testkit.PostgresOptions{Settings: map[string]string{"wal_level": "replica"}})
	_, _, err := open(t, settings(t, c.DSN("postgres"))).Check(t.Context())
	says(t, err, true, "wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'")
}

// grant makes a role with a password that may log in and read, and more if told.
func grant(t *testing.T, dsn, name string, attributes ...string) (as string) {
	t.Helper()
	cluster := testkit.Postgres(t)
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name += "_" + conn.Database
	if err := cluster.CreatePasswordRole(t.Context(), name, "s3cret", attributes...); err != nil {
		t.Fatal(err)
	}
	run(t, dsn, fmt.Sprintf(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO %s`, name))
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), dsn)
		if err == nil {
			_, err = conn.Exec(context.Background(), fmt.Sprintf("REASSIGN OWNED BY %[1]s TO postgres; DROP OWNED BY %[1]s; DROP ROLE %[1]s", name))
			err = errors.Join(err, conn.Close(context.Background()))
		}
		if err != nil {
			t.Errorf("drop role: %v", err)
		}
	})
	return cluster.DSNAs(conn.Database, name, "s3cret")
}

func TestRoleMayNotReplicate(t *testing.T) {
	t.Parallel()
	as := grant(t, testkit.Database(t), "reader")
	s := open(t, settings(t, as))
	_, _, err := s.Check(t.Context())
	says(t, err, true, "may not replicate", `ALTER ROLE "reader_test_`, "REPLICATION")
	_, err = s.Snapshot(t.Context())
	says(t, err, true, "ALTER ROLE")
}

func TestConnectionsRefused(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	cluster := testkit.Postgres(t)
	as := grant(t, dsn, "locked", "REPLICATION")
	config, err := pgx.ParseConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := testkit.NewProxy(cluster.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := proxy.Close(); err != nil { // nobody listens there now
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dsn   string
		setup bool
		parts []string
	}{
		"wrong password":   {cluster.DSNAs(config.Database, config.User, "s3cret-not"), true, []string{"28P01", "check user and password"}},
		"unknown database": {cluster.DSN("nowhere"), true, []string{"3D000", "check the database's name"}},
		"unknown role":     {cluster.DSNAs(config.Database, "nobody", "s3cret"), true, []string{"28000", "check user and password"}},
		"server is down":   {fmt.Sprintf("postgres://u:s3cret@%s/db?sslmode=disable", proxy.Addr()), false, []string{"refused", "check that a Postgres server listens"}},
		"no such host":     {"postgres://u:s3cret@nowhere.invalid/db", false, []string{"nowhere.invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, settings(t, c.dsn))
			_, _, err := s.Check(t.Context())
			says(t, err, c.setup, c.parts...)
			_, err = s.Snapshot(t.Context())
			says(t, err, c.setup, c.parts...)
			_, err = s.Slot(t.Context())
			says(t, err, c.setup, c.parts...)
		})
	}
}

func TestGarbageDSN(t *testing.T) {
	for _, dsn := range []string{
		"postgres://u:s3cret@:x:y/db", "postgres://u:s3cret@h:port/db", "postgres://u:p/s3cret@h/db", "postgres://u:%zz-s3cret@h/db",
		"host=h password='s3cret", "password=my s3cret host=h", "s3cret", "host=h port=s3cret", "host=h sslmode=s3cret",
		"postgres://u:s3cret@h/db?sslmode=bad", "postgres://u:s3cret@h/db?connect_timeout=s3cret", "host=h connect_timeout=s3cret",
		"postgres://u@h/db?target_session_attrs=s3cret", "postgres://u:s3cret@h/db?sslrootcert=/no/such",
		"host=h password=s3cret\\", "postgres://u:s3cret@h:1,h2:s3cret/db", "service=s3cret", "host=h min_protocol_version=s3cret",
		"postgres://u:s3cret@h/db?sslcert=/no/such&sslkey=/no/such&sslpassword=s3cret",
	} {
		c := Config{DSN: dsn, Schema: change.PeerQuest()}
		if _, err := New(c); err != nil {
			says(t, err, true, "connection string")
			continue
		}
		t.Logf("accepted: %s", dsn)
	}
}

func TestTableLocked(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), `BEGIN; LOCK TABLE quests_quest IN ROW EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	s := open(t, settings(t, dsn))
	_, setup, err := s.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err = s.Set(t.Context(), setup)
	says(t, err, false, "55P03", "a long transaction holds the table", `ALTER TABLE "public"."quests_quest" REPLICA IDENTITY FULL`)
	if took := time.Since(began); took < 1500*time.Millisecond || took > 6*time.Second {
		t.Errorf("waited %v for the lock", took)
	}
	if n := ask[int](t, dsn, `SELECT count(*) FROM pg_publication`); n != 0 {
		t.Error("a publication was made for tables without their identity")
	}
}
