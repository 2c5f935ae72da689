package app

import (
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestRestartInTraffic(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	load := startTraffic(t, dsn, 3)
	for range 3 {
		r := start(t, c, dsn)
		r.ready(t)
		load.more(t, 150)
		r.stop(t)
		load.more(t, 50)
	}
	load.stop()
	s := start(t, c, dsn).verify(t)
	if n := s.count("baseline_end"); n != 1 {
		t.Errorf("%d baselines, want 1", n)
	}
	if n := s.count("gap"); n != 0 {
		t.Errorf("%d gaps", n)
	}
	if s.transactions < 300 {
		t.Errorf("only %d transactions", s.transactions)
	}
}
