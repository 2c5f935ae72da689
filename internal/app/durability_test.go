package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

// syncing is a configuration that confirms as the program does by itself.
func syncing(t *testing.T, dsn string) config.Config {
	t.Helper()
	c := settings(t, dsn)
	c.Stream.Durability, c.Stream.ConfirmLag = "always", 0
	return c
}

// What the embedded server acknowledges is confirmed, without any wait, and the
// program is killed at random moments.
func TestProgramKilledUnderLoadWithDurabilityAlways(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := syncing(t, dsn)
	c.Stream.MaxRows = 5
	load := startTraffic(t, dsn, 3)
	rng := rand.New(rand.NewPCG(17, 19))
	for i := range 8 {
		p := spawn(t, c)
		if i%2 == 1 {
			p.says(t, "msg=streaming")
		}
		select {
		case <-p.ended:
			t.Fatalf("the program ended by itself:\n%s", p.output(t))
		case <-time.After(time.Duration(rng.IntN(700)) * time.Millisecond):
		}
		p.kill()
	}
	p := spawn(t, c)
	p.says(t, "msg=streaming")
	load.more(t, 50)
	p.terminate(t)
	load.stop()
	r := start(t, c, dsn)
	if lag := r.confirmLag(); lag != 0 {
		t.Errorf("the lag is %v", lag)
	}
	confirmed(t, r)
	s := r.verify(t)
	if s.transactions < 100 {
		t.Errorf("only %d transactions", s.transactions)
	}
	ends := map[uint64]bool{}
	for _, record := range s.controls {
		switch {
		case record.Control == "baseline_end":
			ends[record.LSN] = true
		case record.Control == "gap" && !ends[record.From]:
			t.Errorf("gap from %d to %d: %s", record.From, record.To, record.Reason)
		}
	}
}

// confirmed waits until Postgres has been told to forget all that is committed by
// now.
func confirmed(t *testing.T, r *running) {
	t.Helper()
	var now uint64
	query(t, r.dsn, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn", &now)
	testkit.Eventually(t, 30*time.Second, func() error {
		var at uint64
		query(t, r.dsn, "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = '"+r.config.Postgres.Slot+"'", &at)
		if at < now {
			return fmt.Errorf("confirmed is %d, want %d", at, now)
		}
		return nil
	})
}

// An external server that says that it syncs always crashes and is cut off.
func TestExternalServerCrashesWithDurabilityAlways(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{JetStream: "sync_interval: always"})
	proxy := proxyTo(t, server.Addr())
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := syncing(t, dsn)
	c.NATS.URL = strings.Replace(server.URL(), server.Addr(), proxy.Addr(), 1)
	c.NATS.Monitoring = server.MonitorURL()
	r := start(t, c, dsn)
	r.ready(t)
	load := startTraffic(t, dsn, 3)
	for range 3 {
		load.more(t, 60)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		load.more(t, 20)
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		load.more(t, 60)
		proxy.Cut()
	}
	load.more(t, 50)
	load.stop()
	testkit.Eventually(t, 30*time.Second, func() error {
		if lag := r.confirmLag(); lag != 0 {
			return fmt.Errorf("the lag is %v", lag)
		}
		return nil
	})
	s := r.verify(t)
	if b, e := s.count("baseline_end"), s.count("epoch"); b != 1 || e != 1 {
		t.Errorf("%d baselines and %d epochs, want 1 and 1", b, e)
	}
}

func TestDurabilityAlwaysRefusesOtherServers(t *testing.T) {
	t.Parallel()
	lazy := testkit.NewNATS(t, testkit.NATSOptions{JetStream: "sync_interval: 10s"})
	always := testkit.NewNATS(t, testkit.NATSOptions{JetStream: "sync_interval: always"})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	for name, test := range map[string]struct {
		monitoring string
		want       string
	}{
		"not monitored": {"", "is unknown"},
		"unreadable":    {"http://" + lazy.Addr(), "read monitoring page"},
		"syncs later":   {lazy.MonitorURL(), "acknowledges before it syncs"},
		"one of two":    {always.MonitorURL() + "," + lazy.MonitorURL(), "acknowledges before it syncs"},
	} {
		t.Run(name, func(t *testing.T) {
			c := syncing(t, dsn)
			c.NATS.URL, c.NATS.Monitoring = lazy.URL(), test.monitoring
			_, err := New(t.Context(), c, testLogger(t))
			if !hint.IsSetup(err) || !strings.Contains(err.Error(), test.want) || !strings.Contains(hint.Of(err), "stream.durability") {
				t.Fatalf("error %v, hint %q", err, hint.Of(err))
			}
			b, err := bus.Connect(t.Context(), bus.Config{URL: lazy.URL()})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, err := b.CDCState(t.Context()); err == nil {
				t.Error("a stream was made")
			}
		})
	}
}

// A stream that was written in one way goes on in the other.
func TestDurabilityCanBeSwitched(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := syncing(t, dsn)
	load := startTraffic(t, dsn, 3)
	var r *running
	for _, c.Stream.Durability = range []string{"interval", "always", "interval", "always"} {
		if r != nil {
			r.stop(t)
		}
		r = start(t, c, dsn)
		r.ready(t)
		load.more(t, 50)
	}
	load.stop()
	s := r.verify(t)
	if b, g := s.count("baseline_end"), s.count("gap"); b != 1 || g != 0 {
		t.Errorf("%d baselines and %d gaps, want 1 and none", b, g)
	}
	if n := r.Bus().ForeignMessages(); n != 0 {
		t.Errorf("%d messages are taken for foreign ones", n)
	}
}

// monitor is a monitoring page whose content changes.
func monitor(t *testing.T) (url string, says func(jetstream string)) {
	t.Helper()
	var page atomic.Pointer[string]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := page.Load(); text != nil && r.URL.Path == "/varz" {
			_, _ = io.WriteString(w, *text)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, func(jetstream string) {
		if jetstream == "" {
			page.Store(nil)
			return
		}
		text := `{"server_name":"testkit","jetstream":{"config":` + jetstream + `}}`
		page.Store(&text)
	}
}

// The lag is what the server says, from connection to connection; while it says
// nothing, it is the longest that a server has by itself.
func TestLagFollowsTheServer(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	proxy := proxyTo(t, server.Addr())
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.Stream.ConfirmLag = 0
	c.NATS.URL = strings.Replace(server.URL(), server.Addr(), proxy.Addr(), 1)
	const unknown = 150 * time.Second
	url, says := monitor(t)
	c.NATS.Monitoring = url
	r := start(t, c, dsn)
	want := func(want time.Duration) {
		t.Helper()
		testkit.Eventually(t, 20*time.Second, func() error {
			if lag := r.confirmLag(); lag != want {
				return fmt.Errorf("lag is %v, want %v", lag, want)
			}
			return nil
		})
	}
	r.ready(t)
	want(unknown)
	reconnect := func() {
		t.Helper()
		proxy.Refuse(true)
		proxy.Cut()
		want(unknown) // nobody knows how it comes back
		proxy.Refuse(false)
	}
	for page, lag := range map[string]time.Duration{
		`{"sync_interval":8000000000}`: 10 * time.Second, `{"sync_interval":120000000000,"sync_always":true}`: 0,
		`{"sync_interval":600000000000}`: 750 * time.Second,
	} {
		says(page)
		reconnect()
		want(lag)
	}
	says(`{"sync_interval":"8s"}`)
	reconnect()
	r.ready(t)
	want(unknown)
}

func TestLagBeforeAnythingIsRead(t *testing.T) {
	a := &App{config: config.Default()}
	for name, test := range map[string]struct {
		set  func(c *config.Config)
		want time.Duration
	}{
		"unknown":      {func(*config.Config) {}, 150 * time.Second},
		"configured":   {func(c *config.Config) { c.NATS.SyncInterval = 8 * time.Second }, 10 * time.Second},
		"own lag":      {func(c *config.Config) { c.Stream.ConfirmLag = time.Second }, time.Second},
		"always alone": {func(c *config.Config) { c.Stream.Durability = "always" }, 150 * time.Second},
	} {
		a.config = config.Default()
		test.set(&a.config)
		if lag := a.confirmLag(); lag != test.want {
			t.Errorf("%s: the lag is %v, want %v", name, lag, test.want)
		}
	}
}

// What is configured and what the server says: the longer one holds.
func TestLongerIntervalHolds(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{JetStream: "sync_interval: 40s"})
	b, err := bus.Connect(t.Context(), bus.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	for configured, want := range map[time.Duration]time.Duration{
		0: 50 * time.Second, 8 * time.Second: 50 * time.Second, 80 * time.Second: 100 * time.Second,
	} {
		a := &App{config: config.Default(), bus: b, logger: testLogger(t)}
		a.config.NATS.Monitoring, a.config.NATS.SyncInterval = server.MonitorURL(), configured
		if err := a.learnSync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lag := a.confirmLag(); lag != want {
			t.Errorf("with %v configured the lag is %v, want %v", configured, lag, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := &App{config: config.Default(), bus: b, logger: testLogger(t)}
	if err := a.learnSync(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
