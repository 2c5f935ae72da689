package app

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/signal"
	"testing"
	"time"
)

var (
	faultRounds = flag.Int("faults.rounds", 5, "rounds of each fault in one pass")
	faultSeed   = flag.Uint64("faults.seed", 0, "what decides the moments of faults; 0 is another one each time")
	faultFor    = flag.Duration("faults.for", 0, "make passes for so long instead of one, and print the table")
)

// fault is one way to fail. Its rounds share servers and a database.
type fault struct {
	name string
	// ownCluster: Postgres is not shared with other tests. external: NATS is a server
	// of its own. small: its disk is.
	ownCluster, external, small bool
	// processes: the program runs in processes of its own, which inject starts; else
	// in this one, behind a proxy on each side.
	processes bool
	settings  func(r *rig)
	// inject comes in the middle of a round's load, and leaves everything able to run.
	inject func(r *rig)
	// forgetful: the server loses the end of its streams, not of all alike. The events
	// may tell of findings that the CDC stream knows nothing of any more. What is kept
	// as open is right all the same.
	forgetful bool
	// gap says which declared gaps are right; nil: none is, and there is one baseline.
	gap func(s *streamed, c *controlRecord) bool
}

// Whatever fails in whatever moment, the stream holds exactly what was committed, in
// the order of the commits, and the checker's state and findings are those of the
// tables.
func TestFaults(t *testing.T) {
	t.Parallel()
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the moments are those of -faults.seed=%d", seed)
	board := &scoreboard{}
	t.Cleanup(func() { t.Logf("seed %d\n%s", seed, board) })
	if *faultFor == 0 {
		for _, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				rounds(t.Context(), t, &f, board, seed)
			})
		}
		return
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	interrupted := context.AfterFunc(ctx, func() {
		stop() // a second Ctrl-C ends it at once
		fmt.Printf("stopping after the rounds that are under way; so far:\n%s", board)
	})
	defer interrupted() // the end of the time is none
	end := time.Now().Add(*faultFor)
	for pass := uint64(0); ctx.Err() == nil && time.Now().Before(end); pass++ {
		t.Run(fmt.Sprint("pass", pass+1), func(t *testing.T) {
			for _, f := range faults {
				t.Run(f.name, func(t *testing.T) {
					t.Parallel()
					rounds(ctx, t, &f, board, seed+pass)
				})
			}
		})
		fmt.Printf("%s, seed %d, pass %d:\n%s", time.Now().Format(time.TimeOnly), seed, pass+1, board)
	}
}

// rounds makes rounds of one fault.
func rounds(ctx context.Context, t *testing.T, f *fault, board *scoreboard, seed uint64) {
	name := fnv.New64a()
	name.Write([]byte(f.name))
	r := newRig(t, f, rand.New(rand.NewPCG(seed, name.Sum64())))
	before := tally{}
	for round := range *faultRounds {
		if ctx.Err() != nil {
			return
		}
		began := time.Now()
		r.start()
		r.startLoad()
		r.load.more(t, r.between(20, 80))
		f.inject(r)
		r.load.more(t, 30)
		r.load.stop()
		after, differences := r.check()
		board.count(f.name, after.add(before, -1), differences)
		before = after
		t.Logf("round %d took %v: %+v", round+1, time.Since(began).Round(time.Millisecond), after)
		if t.Failed() {
			t.Fatalf("round %d failed; -faults.seed=%d", round+1, seed)
		}
	}
}
