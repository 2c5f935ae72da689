package pgsource

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// followsSQL tells whether a slot follows a failover, or that the server knows
// nothing of the kind.
const followsSQL = `SELECT coalesce(to_jsonb(s) ->> 'failover', 'unknown') FROM pg_replication_slots s WHERE slot_name = $1`

func TestSlotFollowsFailover(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	c := settings(t, dsn)
	s := open(t, c)
	want := "unknown"
	if version(t, dsn) >= 170000 {
		want = "true"
	}
	from := setUp(t, s)
	if got := ask[string](t, dsn, followsSQL, c.Slot); got != want {
		t.Errorf("a new slot: %s, want %s", got, want)
	}
	run(t, dsn, fmt.Sprintf(`SELECT pg_drop_replication_slot('%s')`, c.Slot), fmt.Sprintf(`SELECT pg_create_logical_replication_slot('%s', 'pgoutput')`, c.Slot))
	st, err := s.Start(t.Context(), from, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fit(t.Context()); err != nil { // the slot is in use: it stays as it is
		t.Error(err)
	}
	if got := ask[string](t, dsn, followsSQL, c.Slot); got == "true" {
		t.Errorf("a slot in use: %s", got)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, 10*time.Second, func() error {
		if _, err := s.Fit(t.Context()); err != nil {
			return err
		}
		if got := ask[string](t, dsn, followsSQL, c.Slot); got != want {
			return fmt.Errorf("a slot that was there: %s, want %s", got, want)
		}
		return nil
	})
}

// From 18 on a server may throw slots away that nobody streams from. That is said
// at the start, and the slot is lost, not silently made anew.
func TestIdleSlotTimeout(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{})
	dsn := cluster.DSN("postgres")
	if err := testkit.LoadSchema(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := settings(t, dsn)
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := open(t, c)
	setUp(t, s)
	const warning = "throws replication slots away"
	if strings.Contains(log.String(), warning) {
		t.Errorf("without a timeout: %s", log.String())
	}
	if version(t, dsn) < 180000 {
		if n := ask[int](t, dsn, `SELECT count(*) FROM pg_settings WHERE name = 'idle_replication_slot_timeout'`); n != 0 {
			t.Error("this server has a timeout after all")
		}
		return
	}
	run(t, dsn, `ALTER SYSTEM SET idle_replication_slot_timeout = '1s'`, `SELECT pg_reload_conf()`)
	testkit.Eventually(t, 20*time.Second, func() error {
		run(t, dsn, `CHECKPOINT`)
		slot, err := s.Slot(t.Context())
		if err == nil && slot.Usable {
			err = fmt.Errorf("%+v is still usable", slot)
		}
		return err
	})
	if _, _, err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), warning) || !strings.Contains(log.String(), "idle_replication_slot_timeout=1s") {
		t.Errorf("no warning in %s", log.String())
	}
	if _, err := s.Start(t.Context(), 1, 1000); err == nil {
		t.Error("a lost slot was streamed from")
	}
	setUp(t, s)
	if slot, err := s.Slot(t.Context()); err != nil || !slot.Usable {
		t.Errorf("%+v, %v", slot, err)
	}
}
