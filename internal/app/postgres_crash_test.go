package app

import (
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestPostgresCrashesUnderLoad(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{})
	dsn := loaded(t, cluster)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	load := startTraffic(t, dsn, 3)
	for range 3 {
		load.more(t, 100)
		if err := cluster.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Start(); err != nil {
			t.Fatal(err)
		}
	}
	load.more(t, 50)
	load.stop()
	s := r.verify(t)
	if n := s.count("baseline_end"); n != 1 {
		t.Errorf("%d baselines, want 1", n)
	}
	if n := s.count("epoch"); n != 1 {
		t.Errorf("%d epochs, want 1: the writer is the same", n)
	}
}
