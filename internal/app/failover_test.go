package app

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// pair is a primary and its standby, and the address that clients know, which
// leads to the primary.
type pair struct {
	primary, standby *testkit.Cluster
	link             *testkit.Proxy // from the standby to the primary
	address          *testkit.Proxy
	dsn              string // by way of the address
}

func startPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{primary: testkit.NewCluster(t, testkit.PostgresOptions{})}
	dsn := loaded(t, p.primary)
	p.link = proxyTo(t, p.primary.Addr())
	p.standby = testkit.NewStandby(t, p.primary, p.link.Addr())
	p.dsn, p.address = through(t, dsn)
	return p
}

// copiesSlots reports whether the server gives its standbys what a slot needs to go
// on there: 17 and later do.
func (p *pair) copiesSlots(t *testing.T) bool {
	t.Helper()
	return serverVersion(t, p.primary.DSN("postgres")) >= 170000
}

// slotCopied waits until the standby could go on with the slot.
func (p *pair) slotCopied(t *testing.T, slot string) {
	t.Helper()
	testkit.Eventually(t, 60*time.Second, func() error {
		// What runs is logged every 15 s otherwise, and the slot moves with that.
		exec1(t, p.primary.DSN("postgres"), "SELECT pg_log_standby_snapshot()")
		var n int
		query(t, p.standby.DSN("postgres"), fmt.Sprintf(
			"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '%s' AND to_jsonb(pg_replication_slots) ->> 'synced' = 'true' AND NOT temporary", slot), &n)
		if n == 0 {
			return errors.New("the slot has not been copied")
		}
		return nil
	})
}

// kill ends the primary and all connections to it.
func (p *pair) kill(t *testing.T) {
	t.Helper()
	if err := p.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	p.address.Cut()
}

// failOver promotes the standby, which has the address when it returns.
func (p *pair) failOver(t *testing.T, before func()) {
	t.Helper()
	if err := p.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	before()
	p.address.Redirect(p.standby.Addr())
}

// waitsForStandby has the primary stream only what its standby has. Without it the
// stream may hold what the new primary does not.
const waitsForStandby = "ALTER SYSTEM SET synchronized_standby_slots = 'standby'"

// A standby takes over, under load, that has all that was streamed. Where servers
// copy slots the stream goes on as if nothing had happened; elsewhere the slot is
// gone with its server, which is a gap.
func TestStandbyServerTakesOver(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	copies := p.copiesSlots(t)
	if copies {
		exec1(t, p.primary.DSN("postgres"), waitsForStandby, "SELECT pg_reload_conf()")
	}
	c := settings(t, p.dsn)
	r := start(t, c, p.standby.DSN("postgres"))
	r.ready(t)
	load := startTraffic(t, p.dsn, 3)
	load.more(t, 100)
	if copies {
		p.slotCopied(t, c.Postgres.Slot)
	}
	load.more(t, 100)
	p.kill(t)
	p.failOver(t, func() {})
	load.more(t, 100)
	load.stop()
	wentOn(t, r, copies)
}

// The former primary lives on, unreachable for new connections only, as when an
// address moves: nothing of ours stays with it.
func TestAddressMovesToStandby(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	copies := p.copiesSlots(t)
	if copies {
		exec1(t, p.primary.DSN("postgres"), waitsForStandby, "SELECT pg_reload_conf()")
	}
	c := settings(t, p.dsn)
	r := start(t, c, p.standby.DSN("postgres"))
	r.ready(t)
	load := startTraffic(t, p.primary.DSN("postgres"), 2)
	load.more(t, 50)
	if copies {
		p.slotCopied(t, c.Postgres.Slot)
	}
	load.stop()
	p.failOver(t, func() {})
	testkit.Eventually(t, 30*time.Second, func() error {
		var n int
		query(t, p.primary.DSN("postgres"), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'questwatch'", &n)
		if n > 0 {
			return fmt.Errorf("%d connections to the former primary", n)
		}
		return nil
	})
	load = startTraffic(t, p.dsn, 2)
	load.more(t, 50)
	load.stop()
	wentOn(t, r, copies)
}

// wentOn checks what a program has made of a standby's taking over.
func wentOn(t *testing.T, r *running, copies bool) {
	t.Helper()
	if !copies {
		r.since = 1
	}
	s := r.verify(t)
	epochs, gaps, baselines := s.reasons("epoch"), s.reasons("gap"), s.count("baseline_end")
	if copies {
		if got := fmt.Sprint(epochs, gaps, baselines); got != "[start failover] [] 1" {
			t.Errorf("epochs, gaps, baselines: %s", got)
		}
		return
	}
	// Whether the standby had received the last transaction is a matter of luck.
	if len(gaps) != 1 || !slices.Contains([]string{"slot_missing", "timeline"}, gaps[0]) || baselines != 2 {
		t.Errorf("epochs, gaps, baselines: %s %s %d", epochs, gaps, baselines)
	}
}

// A standby takes over that lacks the last transactions, which are in the stream. By
// the time that we come to it, its log is longer than ours.
func TestStandbyServerTakesOverTooEarly(t *testing.T) {
	for name, stopped := range map[string]bool{"while running": false, "while stopped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t)
			c := settings(t, p.dsn)
			r := start(t, c, p.primary.DSN("postgres"))
			r.ready(t)
			load := startTraffic(t, p.primary.DSN("postgres"), 2)
			load.more(t, 50)
			if p.copiesSlots(t) {
				p.slotCopied(t, c.Postgres.Slot)
			}
			p.link.Refuse(true)
			p.link.Cut()
			load.more(t, 50)
			load.stop()
			r.settle(t)
			var end int64
			query(t, p.primary.DSN("postgres"), "SELECT pg_current_wal_insert_lsn() - '0/0'", &end)
			if stopped {
				r.stop(t)
			}
			p.kill(t)
			p.failOver(t, func() {
				load = startTraffic(t, p.standby.DSN("postgres"), 2)
				load.more(t, 20)
				testkit.Eventually(t, 20*time.Second, func() error {
					exec1(t, p.standby.DSN("postgres"), "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 100000))")
					var now int64
					query(t, p.standby.DSN("postgres"), "SELECT pg_current_wal_insert_lsn() - '0/0'", &now)
					if now <= end {
						return fmt.Errorf("the new server's log ends at %d, the old one's did at %d", now, end)
					}
					return nil
				})
			})
			if stopped {
				r = start(t, c, "")
			}
			r.dsn, r.since = p.standby.DSN("postgres"), 1
			load.more(t, 50)
			load.stop()
			testkit.Eventually(t, 30*time.Second, func() error {
				if n := r.stream.Status(); !n.Streaming() || n.Err != "" {
					return fmt.Errorf("%+v", n)
				}
				return nil
			})
			s := r.verify(t)
			if got := fmt.Sprint(s.reasons("epoch"), s.reasons("gap"), s.count("baseline_end")); got != "[start timeline] [timeline] 2" {
				t.Errorf("epochs, gaps, baselines: %s", got)
			}
			for _, c := range s.controls {
				if c.Control == "gap" && (c.From >= c.To || c.From >= uint64(end)) {
					t.Errorf("the gap is from %d to %d, the former log ended at %d", c.From, c.To, end)
				}
			}
		})
	}
}
