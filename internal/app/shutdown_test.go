package app

import (
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// However the servers are, the program ends when it is told to.
func TestShutdownIsBounded(t *testing.T) {
	for name, stall := range map[string]struct{ postgres, nats bool }{
		"servers are well":    {},
		"Postgres is stalled": {postgres: true},
		"NATS is stalled":     {nats: true},
		"both are stalled":    {postgres: true, nats: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testkit.NewNATS(t, testkit.NATSOptions{})
			natsProxy := proxyTo(t, server.Addr())
			dsn := testkit.Database(t, testkit.LoadAudit001)
			by, postgresProxy := through(t, dsn)
			c := settings(t, by)
			c.NATS.URL = strings.Replace(server.URL(), server.Addr(), natsProxy.Addr(), 1)
			r := start(t, c, dsn)
			r.ready(t)
			load := startTraffic(t, dsn, 2)
			load.more(t, 50)
			postgresProxy.Stall(stall.postgres)
			natsProxy.Stall(stall.nats)
			load.more(t, 200)
			began := time.Now()
			r.stop(t)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("stopping took %v", took)
			}
			load.stop()
			postgresProxy.Stall(false)
			natsProxy.Stall(false)
			start(t, c, dsn).verify(t)
		})
	}
}

// The same for a program that is about to start.
func TestShutdownWhileStarting(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	lock := startLock(t, dsn)
	defer lock()
	r := start(t, settings(t, dsn), dsn)
	r.notReady(t)
	began := time.Now()
	r.stop(t)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
}
