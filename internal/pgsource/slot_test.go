package pgsource

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestSlotOfSomebodyElse(t *testing.T) {
	t.Parallel()
	dsn, other := testkit.Database(t), testkit.Database(t)
	c := settings(t, dsn)
	for kind, sql := range map[string]string{
		"another plugin":   `SELECT pg_create_logical_replication_slot('%s', 'test_decoding')`,
		"a physical one":   `SELECT pg_create_physical_replication_slot('%s')`,
		"another database": `SELECT pg_create_logical_replication_slot('%s', 'pgoutput')`,
	} {
		at := dsn
		if kind == "another database" {
			at = other
		}
		run(t, at, fmt.Sprintf(sql, c.Slot))
		s := open(t, c)
		_, err := s.Slot(t.Context())
		says(t, err, true, c.Slot, "it belongs to", "postgres.slot")
		run(t, at, fmt.Sprintf(`SELECT pg_drop_replication_slot('%s')`, c.Slot))
	}
}

func TestBusySlot(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	s := open(t, settings(t, dsn))
	from := setUp(t, s)
	st, err := s.Start(t.Context(), from, 1000)
	if err != nil {
		t.Fatal(err)
	}
	slot, err := s.Slot(t.Context())
	if err != nil || !slot.Exists || !slot.Active || !slot.Usable || slot.Confirmed != from {
		t.Errorf("slot %+v, %v; began at %s", slot, err, from)
	}
	if _, err := s.Start(t.Context(), from, 1000); !errors.Is(err, ErrBusy) {
		t.Errorf("start: %v, want ErrBusy", err)
	}
	if err := s.DropSlot(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("drop: %v, want ErrBusy", err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, func() error { return s.DropSlot(t.Context()) })
	if err := s.DropSlot(t.Context()); err != nil {
		t.Errorf("drop of no slot: %v", err)
	}
	if slot, err := s.Slot(t.Context()); err != nil || slot.Exists {
		t.Errorf("slot %+v, %v", slot, err)
	}
	if _, err := s.Start(t.Context(), from, 1000); !errors.Is(err, ErrNoSlot) {
		t.Errorf("start: %v, want ErrNoSlot", err)
	}
}

func TestLostSlotIsUnusableAndReplaced(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{Settings: map[string]string{
		"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB",
	}})
	dsn := cluster.DSN("postgres")
	if err := testkit.LoadSchema(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	s := open(t, settings(t, dsn))
	from := setUp(t, s)
	testkit.Eventually(t, 20*time.Second, func() error {
		run(t, dsn, `SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) FROM generate_series(1, 8)`,
			`SELECT pg_switch_wal()`, `CHECKPOINT`)
		slot, err := s.Slot(t.Context())
		if err == nil && slot.Usable {
			err = errors.New("still usable")
		}
		return err
	})
	if _, err := s.Start(t.Context(), from, 1000); !errors.Is(err, ErrNoSlot) {
		t.Errorf("start: %v, want ErrNoSlot", err)
	}
	from = setUp(t, s)
	if slot, err := s.Slot(t.Context()); err != nil || !slot.Usable || slot.Confirmed != from {
		t.Errorf("slot %+v, %v; want one at %s", slot, err, from)
	}
}

// Whatever becomes of the connection, a snapshot leaves no slot behind. While it
// lives, nobody else has one.
func TestSnapshotLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	proxy, err := testkit.NewProxy(testkit.Postgres(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := settings(t, dsn)
	direct := open(t, c)
	c.DSN = fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", proxy.Addr(), direct.Database())
	s := open(t, c)
	for range 2 {
		snap, err := s.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := direct.Snapshot(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("second snapshot: %v, want ErrBusy", err)
		}
		proxy.Cut()
		testkit.Eventually(t, 10*time.Second, func() error {
			if n := ask[int](t, dsn, `SELECT count(*) FROM pg_replication_slots WHERE database = current_database()`); n != 0 {
				return fmt.Errorf("%d slots", n)
			}
			return nil
		})
		_ = snap.Close(context.WithoutCancel(t.Context())) // its connection is gone already
	}
}

// The longest name that a slot can have leaves no room for the temporary one's.
func TestLongestSlotName(t *testing.T) {
	t.Parallel()
	c := settings(t, testkit.Database(t))
	for len(c.Slot) < 63 {
		c.Slot += "x"
	}
	s := open(t, c)
	from := setUp(t, s)
	if slot, err := s.Slot(t.Context()); err != nil || slot.Confirmed != from {
		t.Errorf("slot %+v, %v; want one at %s", slot, err, from)
	}
}

// A network that swallows everything must not hold up what looks at the slot.
func TestStalledServer(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	proxy, err := testkit.NewProxy(testkit.Postgres(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := settings(t, dsn)
	from := setUp(t, open(t, c))
	c.DSN = fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&connect_timeout=1", proxy.Addr(), open(t, c).Database())
	c.SenderTimeout = time.Second
	s := open(t, c)
	st, err := s.Start(t.Context(), from, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	proxy.Stall(true)
	began := time.Now()
	var sig change.Signal
	for err == nil {
		err = st.Receive(&sig)
	}
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("silence was noticed after %v", took)
	}
	if _, err := s.Slot(t.Context()); err == nil {
		t.Error("slot was read through a stalled connection")
	}
	proxy.Stall(false)
}
