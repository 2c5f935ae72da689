package testkit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// NewStandby makes a physical standby of a cluster and closes it at the test's end.
// The cluster is stopped for a moment, to be copied: nobody should be connected.
//
// The standby reaches its primary at via, a host:port such as a Proxy's, or directly
// for "". It holds a replication slot there, `standby`. From Postgres 17 on it copies
// logical slots that have the failover property.
func NewStandby(tb TB, primary *Cluster, via string) *Cluster {
	tb.Helper()
	c, err := startStandby(context.Background(), primary, via)
	if err != nil {
		tb.Fatalf("start standby: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Logf("close standby: %v", err)
		}
	})
	return c
}

func startStandby(ctx context.Context, primary *Cluster, via string) (c *Cluster, err error) {
	settings, err := primary.standbySettings(via)
	if err != nil {
		return nil, err
	}
	const slot = `SELECT pg_create_physical_replication_slot('standby', true)`
	if err := exec1(ctx, primary.DSN("postgres"), "create slot", slot); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "questwatch-pg-")
	if err != nil {
		return nil, fmt.Errorf("make folder for Postgres: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := primary.Stop(Fast); err != nil {
		return nil, err
	}
	if err := primary.copyTo(dir); err != nil {
		return nil, err
	}
	if err := primary.Start(); err != nil {
		return nil, err
	}
	c, err = StartPostgres(ctx, PostgresOptions{Dir: dir, BinDir: primary.bin, Settings: settings})
	if err != nil {
		return nil, err
	}
	c.ownsDir = true
	return c, nil
}

func (c *Cluster) standbySettings(via string) (map[string]string, error) {
	if via == "" {
		via = c.Addr()
	}
	host, port, err := net.SplitHostPort(via)
	if err != nil {
		return nil, fmt.Errorf("read the primary's address: %w", err)
	}
	settings := map[string]string{
		"primary_conninfo":             fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable", host, port),
		"primary_slot_name":            "standby",
		"hot_standby_feedback":         "on",
		"wal_receiver_status_interval": "1",
		"wal_retrieve_retry_interval":  "100ms",
	}
	version, err := os.ReadFile(filepath.Join(c.dataDir(), "PG_VERSION"))
	if err != nil {
		return nil, fmt.Errorf("read the primary's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(version)))
	if err != nil {
		return nil, fmt.Errorf("read the primary's version: %w", err)
	}
	if major >= 17 {
		settings["sync_replication_slots"] = "on"
	}
	maps.Copy(settings, c.settings)
	return settings, nil
}

// copyTo makes a folder for a standby of a stopped cluster.
func (c *Cluster) copyTo(dir string) error {
	if err := handOver(dir, c.cred); err != nil {
		return err
	}
	data := filepath.Join(dir, filepath.Base(c.dataDir()))
	cmd := exec.Command("cp", "-a", c.dataDir(), data)
	cmd.Dir = c.dir
	if c.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("copy the data: %w: %s", err, out)
	}
	// Slots are the primary's own.
	slots, err := filepath.Glob(filepath.Join(data, "pg_replslot", "*"))
	for _, slot := range slots {
		err = errors.Join(err, os.RemoveAll(slot))
	}
	if err != nil {
		return fmt.Errorf("remove the primary's slots: %w", err)
	}
	signal := filepath.Join(data, "standby.signal") // the server removes it when it is promoted
	err = os.WriteFile(signal, nil, 0o600)
	if err == nil && c.cred != nil {
		err = os.Chown(signal, int(c.cred.Uid), int(c.cred.Gid))
	}
	if err != nil {
		return fmt.Errorf("make it a standby: %w", err)
	}
	return nil
}

// Promote makes a primary of a standby, and returns when it takes writes.
func (c *Cluster) Promote(ctx context.Context) error {
	const sql = `DO $$ BEGIN IF NOT pg_promote(true, 60) THEN RAISE 'it was not promoted in time'; END IF; END $$`
	return exec1(ctx, c.DSN("postgres"), "promote", sql)
}
