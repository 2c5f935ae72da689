package app

import (
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestNATSCrashesUnderLoad(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.NATS.URL = server.URL()
	r := start(t, c, dsn)
	r.ready(t)
	load := startTraffic(t, dsn, 3)
	for range 3 {
		load.more(t, 100)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		load.more(t, 20)
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	load.more(t, 50)
	load.stop()
	s := r.verify(t)
	if b, e := s.count("baseline_end"), s.count("epoch"); b != 1 || e != 1 {
		t.Errorf("%d baselines and %d epochs, want 1 and 1", b, e)
	}
}

func TestNATSConnectionFails(t *testing.T) {
	for name, fault := range map[string]func(t *testing.T, p *testkit.Proxy, load *traffic){
		"cut": func(t *testing.T, p *testkit.Proxy, load *traffic) {
			for range 5 {
				load.more(t, 40)
				p.Cut()
			}
		},
		"refused": func(t *testing.T, p *testkit.Proxy, load *traffic) {
			p.Refuse(true)
			p.Cut()
			load.more(t, 200)
			p.Refuse(false)
		},
		"stalled": func(t *testing.T, p *testkit.Proxy, load *traffic) {
			p.Stall(true)
			load.more(t, 300)
			p.Stall(false)
			load.more(t, 20)
			p.Stall(true)
			load.more(t, 20)
			p.Cut()
			p.Stall(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testkit.NewNATS(t, testkit.NATSOptions{})
			proxy := proxyTo(t, server.Addr())
			dsn := testkit.Database(t, testkit.LoadAudit001)
			c := settings(t, dsn)
			c.NATS.URL = strings.Replace(server.URL(), server.Addr(), proxy.Addr(), 1)
			r := start(t, c, dsn)
			r.ready(t)
			load := startTraffic(t, dsn, 3)
			load.more(t, 50)
			fault(t, proxy, load)
			load.more(t, 50)
			load.stop()
			s := r.verify(t)
			if b, e := s.count("baseline_end"), s.count("epoch"); b != 1 || e != 1 {
				t.Errorf("%d baselines and %d epochs, want 1 and 1", b, e)
			}
		})
	}
}
