package app

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/testkit"
)

// outside is a program's settings for a server of its own.
func outside(t *testing.T, dsn string, server *testkit.NATS) config.Config {
	t.Helper()
	c := settings(t, dsn)
	c.NATS.URL = server.URL()
	c.Postgres.SenderTimeout = 3 * time.Second
	return c
}

// The disk of the embedded server is full for a while.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir, ok := testkit.SmallDisk(t, "192m")
	if !ok {
		t.Log("only the alarm can be seen here, on the disk that there is")
		dir = t.TempDir()
	}
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.Data = filepath.Join(dir, "data")
	c.Stream.KeepBytes = 128 << 20
	c.Alarm.DiskFree = 16 << 20
	c.Postgres.SenderTimeout = 3 * time.Second
	if !ok {
		c.Alarm.DiskFree = 1 << 60
	}
	r := start(t, c, dsn)
	r.ready(t)
	if !ok {
		r.alarm(t, "disk")
		return
	}
	load := startTraffic(t, dsn, 2)
	load.more(t, 50)
	pid, _ := walsender(t, r)
	from := time.Now()
	free := testkit.FillDisk(t, dir)
	load.more(t, 100)
	r.alarm(t, "disk")
	r.unreadyFor(t, "nats_full")
	r.keptAlive(t, pid, 2*c.Postgres.SenderTimeout)
	load.more(t, 100)
	full := time.Now()
	free()
	r.ready(t)
	load.more(t, 50)
	load.stop()
	s := r.verify(t)
	if b, e, g := s.count("baseline_end"), s.count("epoch"), s.count("gap"); b != 1 || e != 1 || g != 0 {
		t.Errorf("%d baselines, %d epochs and %d gaps, want 1, 1 and none", b, e, g)
	}
	for _, reason := range []string{"nats_full", "disk"} {
		r.toldOnce(t, reason, from, full)
	}
}

// fill stores messages beside ours until the server's storage limit is reached.
func fill(t *testing.T, url string) {
	t.Helper()
	withJetStream(t, url, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "FILLER", Subjects: []string{"filler"}})
		for size := 256 << 10; err == nil && size > 16; {
			if _, full := js.Publish(ctx, "filler", bytes.Repeat([]byte("x"), size)); full != nil {
				size /= 2
			}
		}
		return err
	})
}

// An external server's storage limit is reached for a while.
func TestNATSFull(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{JetStream: "max_file_store: 24MB"})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	c.Stream.KeepBytes = 16 << 20
	r := start(t, c, dsn)
	r.ready(t)
	load := startTraffic(t, dsn, 2)
	load.more(t, 50)
	from := time.Now()
	fill(t, server.URL())
	load.more(t, 100)
	r.unreadyFor(t, "nats_full")
	// It is tried from time to time, and so the walsender may be another one, but there is one.
	testkit.Eventually(t, 10*time.Second, func() error {
		if s := r.stream.Status(); s.State != "stalled" {
			return fmt.Errorf("state %q", s.State)
		}
		return nil
	})
	pid, silent := walsender(t, r)
	if pid == 0 || silent > c.Postgres.SenderTimeout {
		t.Errorf("walsender %d heard nothing for %s", pid, silent)
	}
	load.more(t, 100)
	full := time.Now()
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, "FILLER") })
	r.ready(t)
	load.more(t, 50)
	load.stop()
	s := r.verify(t)
	if b, g := s.count("baseline_end"), s.count("gap"); b != 1 || g != 0 {
		t.Errorf("%d baselines and %d gaps, want 1 and none", b, g)
	}
	r.toldOnce(t, "nats_full", from, full)
}

// NATS is away for longer than the server would wait for a client that is silent.
func TestNATSAway(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	r := start(t, c, dsn)
	r.ready(t)
	load := startTraffic(t, dsn, 2)
	load.more(t, 50)
	pid, _ := walsender(t, r)
	from := time.Now()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	r.unreadyFor(t, "stalled since")
	r.unreadyFor(t, "nats_away since")
	r.keptAlive(t, pid, 3*c.Postgres.SenderTimeout)
	load.more(t, 200)
	back := time.Now()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	r.ready(t)
	load.more(t, 50)
	load.stop()
	s := r.verify(t)
	if b, e := s.count("baseline_end"), s.count("epoch"); b != 1 || e != 1 {
		t.Errorf("%d baselines and %d epochs, want 1 and 1", b, e)
	}
	a := r.toldOnce(t, "nats_away", from, back)
	if a.Data.Severity != "critical" || !strings.HasSuffix(a.subject, ".events.stream.stalled.nats_away._") {
		t.Errorf("event %+v", a)
	}
	// What the guard has told does not hide where the checker had come to.
	done, err := eventsPort{r.Bus()}.Published(t.Context())
	if err != nil || !done.Some || done.Last.Sequence == 0 {
		t.Errorf("published: %+v, %v", done, err)
	}
	r.stop(t)
	again := start(t, c, dsn)
	again.ready(t)
	again.verifyFindings(t) // nothing is said twice
}

// NATS goes away from a program that has much to catch up with, or has just done so:
// its socket is as full as it gets.
func TestNATSAwayWhileCatchingUp(t *testing.T) {
	for name, behind := range map[string]bool{"far behind": true, "just caught up": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testkit.NewNATS(t, testkit.NATSOptions{})
			proxy := proxyTo(t, server.Addr())
			dsn := testkit.Database(t, testkit.LoadAudit001)
			c := outside(t, dsn, server)
			c.NATS.URL = strings.Replace(server.URL(), server.Addr(), proxy.Addr(), 1)
			r := start(t, c, dsn)
			r.ready(t)
			r.stop(t)
			exec1(t, dsn, `DO $$ BEGIN FOR i IN 1..5000 LOOP UPDATE applications_application SET reviewed_at = clock_timestamp(); COMMIT; END LOOP; END $$`)
			if behind {
				proxy.Throttle(2 << 20)
			}
			r = start(t, c, dsn)
			if !behind {
				r.ready(t)
			}
			testkit.Eventually(t, 30*time.Second, func() (err error) {
				withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
					cdc, failed := js.Stream(ctx, "QUESTWATCH_CDC")
					if failed == nil && cdc.CachedInfo().State.Msgs < 2000 {
						err = fmt.Errorf("%d messages", cdc.CachedInfo().State.Msgs)
					}
					return failed
				})
				return err
			})
			load := startTraffic(t, dsn, 2)
			load.more(t, 50)
			pid, _ := walsender(t, r)
			proxy.Refuse(true)
			proxy.Cut()
			r.unreadyFor(t, "stalled since")
			var left int
			query(t, dsn, `SELECT pg_current_wal_lsn() - sent_lsn FROM pg_stat_replication WHERE pid = `+fmt.Sprint(pid), &left)
			t.Logf("%d bytes of the log are to be read", left)
			if behind && left < 1<<20 {
				t.Errorf("%d bytes of the log are left, want it to be far behind", left)
			}
			r.keptAlive(t, pid, 3*c.Postgres.SenderTimeout)
			load.more(t, 50)
			load.stop()
			proxy.Throttle(0)
			proxy.Refuse(false)
			r.readyWithin(t, 2*time.Minute) // there is much to read, and others work on this machine too
			s := r.verify(t)
			if b, e, g := s.count("baseline_end"), s.count("epoch"), s.count("gap"); b != 1 || e != 2 || g != 0 {
				t.Errorf("%d baselines, %d epochs and %d gaps, want 1, 2 and none", b, e, g)
			}
		})
	}
}

// NATS is connected and does not answer.
func TestNATSSlow(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	proxy := proxyTo(t, server.Addr())
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	c.NATS.URL = strings.Replace(server.URL(), server.Addr(), proxy.Addr(), 1)
	r := start(t, c, dsn)
	r.ready(t)
	load := startTraffic(t, dsn, 2)
	load.more(t, 50)
	pid, _ := walsender(t, r)
	from := time.Now()
	proxy.Stall(true)
	load.more(t, 50)
	r.unreadyFor(t, "nats_slow since")
	r.keptAlive(t, pid, 12*time.Second) // after 10 s the writer gives up
	slow := time.Now()
	proxy.Stall(false)
	r.ready(t)
	load.more(t, 50)
	load.stop()
	if s := r.verify(t); s.count("baseline_end") != 1 {
		t.Errorf("%d baselines, want 1", s.count("baseline_end"))
	}
	r.toldOnce(t, "nats_slow", from, slow)
	if list := alarmEvents(t, r.Bus(), "heartbeat"); len(list) != 0 {
		t.Errorf("Postgres is blamed for it: %+v", list)
	}
}
