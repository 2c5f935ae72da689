package testkit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the cluster of one test binary, started by the first test that asks for a database and stopped by Main.
var shared struct {
	mu      sync.Mutex
	cluster *Cluster
	err     error
	count   atomic.Int64
}

const template = "peerquest_template"

// Postgres returns the cluster that all tests of this binary share. A test that stops or crashes
// its server, or needs settings, takes one of its own with NewCluster.
func Postgres(tb TB) *Cluster {
	tb.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil && shared.err == nil {
		if !underMain.Load() {
			tb.Fatalf("the package's TestMain must call testkit.Main, which stops the shared Postgres")
		}
		shared.cluster, shared.err = startShared()
	}
	if shared.err != nil {
		tb.Fatalf("shared Postgres: %v", shared.err)
	}
	return shared.cluster
}

func startShared() (*Cluster, error) {
	ctx := context.Background()
	c, err := StartPostgres(ctx, PostgresOptions{})
	if err != nil {
		return nil, err
	}
	if err := c.CreateDatabase(ctx, template); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := LoadSchema(ctx, c.DSN(template)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func stopShared() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil {
		return nil
	}
	err := shared.cluster.Close()
	shared.cluster = nil
	return err
}

// Database returns the DSN of a fresh database with PeerQuest's empty schema on the shared cluster, after running
// the given preparations on it, such as LoadAudit001. The test's end drops it, with its replication slots.
func Database(tb TB, prepare ...func(ctx context.Context, dsn string) error) string {
	tb.Helper()
	c := Postgres(tb)
	ctx := context.Background()
	name := fmt.Sprintf("test_%d", shared.count.Add(1))
	sql := fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template)
	if err := exec1(ctx, c.DSN("postgres"), "create database", sql); err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if err := c.dropDatabase(ctx, name); err != nil {
			tb.Logf("drop database %s: %v", name, err)
		}
	})
	for _, p := range prepare {
		if err := p(ctx, c.DSN(name)); err != nil {
			tb.Fatalf("prepare database: %v", err)
		}
	}
	return c.DSN(name)
}

// NewCluster starts a cluster of the test's own and closes it at the test's end.
func NewCluster(tb TB, opts PostgresOptions) *Cluster {
	tb.Helper()
	c, err := StartPostgres(context.Background(), opts)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Logf("close Postgres: %v", err)
		}
	})
	return c
}

// dropDatabase ends who is still connected. A database with a slot cannot be dropped, and a slot in use cannot
// either, so the walsender goes first; its slot is free a moment later.
func (c *Cluster) dropDatabase(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return poll(10*time.Second, func() error {
		_, err := conn.Exec(ctx, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
			WHERE database = $1 AND active_pid IS NOT NULL`, name)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
			WHERE database = $1`, name)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		return err
	})
}
