package pgstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

// usageCluster is a server of the test's own: whoever else writes would be the
// oldest.
func usageCluster(t *testing.T, settings map[string]string) (*testkit.Cluster, string) {
	t.Helper()
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{Settings: settings})
	dsn := cluster.DSN("postgres")
	if err := testkit.LoadSchema(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	return cluster, dsn
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{-1, 192 << 20} {
		setting := "-1"
		if limit > 0 {
			setting = fmt.Sprintf("%dMB", limit>>20)
		}
		_, dsn := usageCluster(t, map[string]string{"max_slot_wal_keep_size": setting})
		s, conn := openStore(t, dsn, Default()), connect(t, dsn)
		if u, err := s.Usage(t.Context(), "usage"); err != nil || u.Exists {
			t.Errorf("without a slot: %+v, %v", u, err)
		}
		exec(t, conn, "SELECT pg_create_logical_replication_slot('usage', 'pgoutput')")
		u, err := s.Usage(t.Context(), "usage")
		if err != nil || !u.Exists || u.Status != "reserved" || u.Limit != limit || u.Kept > 1<<20 {
			t.Errorf("a new slot: %+v, %v", u, err)
		}
		const written = 16 << 20
		exec(t, conn, "SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000)) FROM generate_series(1, 16)")
		after, err := s.Usage(t.Context(), "usage")
		if err != nil || after.Kept-u.Kept < 12_000_000 || after.Kept-u.Kept > 2*written || after.Unconfirmed > after.Kept {
			t.Errorf("after %d bytes: %+v, before %+v, %v", written, after, u, err)
		}
		if limit < 0 && after.Safe != -1 || limit > 0 && (after.Safe <= 0 || after.Safe >= u.Safe || u.Safe > limit+32<<20) {
			t.Errorf("limit %d: safe %d, before %d", limit, after.Safe, u.Safe)
		}
	}
}

// The oldest transaction that has written is found whoever asks; its age is for
// those who may see it.
func TestHolder(t *testing.T) {
	t.Parallel()
	cluster, dsn := usageCluster(t, nil)
	if err := cluster.CreatePasswordRole(t.Context(), "usage_reader", "p"); err != nil {
		t.Fatal(err)
	}
	oldest, younger := connect(t, dsn), connect(t, dsn)
	exec(t, younger, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO usage_reader")
	all := openStore(t, dsn, Default())
	few := openStore(t, cluster.DSNAs("postgres", "usage_reader", "p"), Default())
	for _, s := range []*Store{all, few} {
		if h, ok, err := s.Holder(t.Context()); err != nil || ok {
			t.Errorf("nobody writes: %+v, %t, %v", h, ok, err)
		}
	}
	exec(t, oldest, "BEGIN; SELECT pg_current_xact_id()")
	exec(t, younger, "BEGIN; SELECT pg_current_xact_id()")
	pid := int64(oldest.PgConn().PID())
	if h, ok, err := all.Holder(t.Context()); err != nil || !ok || h.PID != pid || h.Age < 0 || h.Database != "postgres" {
		t.Errorf("holder %+v, %t, %v", h, ok, err)
	}
	h, ok, err := few.Holder(t.Context())
	if err != nil || !ok || h.PID != pid || h.Age != -1 {
		t.Errorf("for another role: holder %+v, %t, %v", h, ok, err)
	}
	if strings.Contains(fmt.Sprintf("%+v", h), "SELECT") {
		t.Errorf("its query is told: %+v", h)
	}
}
