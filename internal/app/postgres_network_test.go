package app

import (
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestPostgresConnectionsFail(t *testing.T) {
	for name, fault := range map[string]func(t *testing.T, r *running, p *testkit.Proxy, load *traffic){
		"cut": func(t *testing.T, _ *running, p *testkit.Proxy, load *traffic) {
			for range 5 {
				load.more(t, 30)
				p.Cut()
			}
		},
		"refused": func(t *testing.T, r *running, p *testkit.Proxy, load *traffic) {
			p.Refuse(true)
			p.Cut()
			load.more(t, 50)
			r.notReady(t)
			p.Refuse(false)
		},
		// Longer than a look at the clock may take: the session ends.
		"stalled": func(t *testing.T, r *running, p *testkit.Proxy, load *traffic) {
			p.Stall(true)
			load.more(t, 50)
			r.notReady(t)
			p.Stall(false)
		},
		// Shorter: nothing ends.
		"slow": func(t *testing.T, _ *running, p *testkit.Proxy, load *traffic) {
			p.Delay(20 * time.Millisecond)
			load.more(t, 200)
			p.Delay(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			by, proxy := through(t, dsn)
			c := settings(t, by)
			c.Postgres.SenderTimeout = 3 * time.Second
			r := start(t, c, dsn)
			r.ready(t)
			load := startTraffic(t, dsn, 2)
			load.more(t, 50)
			fault(t, r, proxy, load)
			load.more(t, 50)
			load.stop()
			s := r.verify(t)
			if n := s.count("baseline_end"); n != 1 {
				t.Errorf("%d baselines, want 1", n)
			}
		})
	}
}
