package app

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// The program is killed in the middle of load, at random moments: while it
// starts, takes its baseline, streams, publishes, confirms.
func TestProgramKilledUnderLoad(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.Stream.MaxRows = 5 // so that many transactions are streamed as they come
	load := startTraffic(t, dsn, 3)
	rng := rand.New(rand.NewPCG(11, 13))
	for i := range 14 {
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
	s := r.verify(t)
	if s.transactions < 200 {
		t.Errorf("only %d transactions", s.transactions)
	}
	// The slot comes after the baseline is durable. A crash between the two loses
	// what came after the baseline, and nothing else may be lost.
	ends := map[uint64]bool{}
	for _, record := range s.controls {
		switch {
		case record.Control == "baseline_end":
			ends[record.LSN] = true
		case record.Control == "gap" && !ends[record.From]:
			t.Errorf("gap from %d to %d: %s", record.From, record.To, record.Reason)
		}
	}
	t.Logf("%d epochs, %d baselines, %d transactions", s.count("epoch"), s.count("baseline_end"), s.transactions)
}
