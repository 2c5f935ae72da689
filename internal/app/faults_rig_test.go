package app

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/testkit"
)

// rig is what the rounds of one fault are made on.
type rig struct {
	t       *testing.T
	fault   *fault
	rng     *rand.Rand
	c       config.Config
	dsn     string // around the proxy
	cluster *testkit.Cluster
	nats    *testkit.NATS // nil with the embedded server
	// Between the program and its servers, where it runs in this process.
	postgresProxy, natsProxy *testkit.Proxy
	disk                     string // a small one, with NATS's store on it
	ledger                   ledger
	load                     *traffic
	app                      *running // nil where the program runs in processes
	children                 []*child
}

func newRig(t *testing.T, f *fault, rng *rand.Rand) *rig {
	t.Helper()
	r := &rig{t: t, fault: f, rng: rng}
	if f.ownCluster {
		r.cluster = testkit.NewCluster(t, testkit.PostgresOptions{})
		r.dsn = loaded(t, r.cluster)
	} else {
		r.dsn = testkit.Database(t, testkit.LoadAudit001)
	}
	r.c = settings(t, r.dsn)
	r.c.Rules.SetGrace(200 * time.Millisecond) // that many findings open and end
	r.c.Postgres.SenderTimeout = 2 * time.Second
	r.c.Stream.MaxRows = 5 // some transactions are streamed as they come
	r.c.Watch.CheckpointEvery = 300 * time.Millisecond
	if f.external {
		r.startNATS()
	}
	if !f.processes {
		r.c.Postgres.DSN, r.postgresProxy = through(t, r.dsn)
	}
	if f.settings != nil {
		f.settings(r)
	}
	r.ledger = keepLedger(t, r.dsn, "ledger_"+strings.TrimPrefix(r.c.Postgres.Slot, "slot_"))
	return r
}

func (r *rig) startNATS() {
	r.t.Helper()
	options := testkit.NATSOptions{}
	if r.fault.small {
		options.Dir = r.t.TempDir()
		r.disk = filepath.Join(options.Dir, "store")
		smallDisk(r.t, r.disk)
		options.JetStream = "max_file_store: 20GB" // else it is what the disk has free
	}
	r.nats = testkit.NewNATS(r.t, options)
	r.c.NATS.URL = r.nats.URL()
	if !r.fault.processes {
		r.natsProxy = proxyTo(r.t, r.nats.Addr())
		r.c.NATS.URL = "nats://" + r.natsProxy.Addr()
	}
}

// start begins a round.
func (r *rig) start() {
	r.t.Helper()
	if !r.fault.processes {
		r.app = start(r.t, r.c, r.dsn)
		r.app.ready(r.t)
	}
}

func (r *rig) startLoad() {
	r.t.Helper()
	r.load = startPacedTraffic(r.t, r.dsn, 4, 10*time.Millisecond, r.rng.Uint64())
}

// spawn starts the program in a process of its own; each has its own data where the
// server is external.
func (r *rig) spawn() *child {
	r.t.Helper()
	c := r.c
	if r.fault.external {
		c.Data = r.t.TempDir()
	}
	p := spawn(r.t, c)
	r.children = append(r.children, p)
	return p
}

// between is a random number, both ends included.
func (r *rig) between(least, most int64) int64 { return least + r.rng.Int64N(most-least+1) }

// pass lets random time pass: events would not be random moments.
func (r *rig) pass(least, most time.Duration) {
	r.t.Helper()
	time.Sleep(time.Duration(r.between(int64(least), int64(most))))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// check ends a round: all that was written has been streamed, found and judged
// right. Nobody writes any more.
func (r *rig) check() (tally, int) {
	r.t.Helper()
	for _, p := range r.children {
		p.terminate(r.t)
	}
	r.children = nil
	run := r.app
	if run == nil {
		run = start(r.t, r.c, r.dsn)
	}
	run.ready(r.t)
	run.settle(r.t)
	if r.fault.forgetful {
		// A bucket that lost its end is put right at the next start.
		run.verifyState(r.t)
		run.stop(r.t)
		run = start(r.t, r.c, r.dsn)
		run.ready(r.t)
		run.settle(r.t)
		run.verifyKept(r.t)
	} else {
		run.verifyFindings(r.t)
	}
	differences := run.verifyState(r.t)
	run.halt(r.t)
	s := verifyStream(r.t, run.Bus(), r.dsn)
	if !r.fault.forgetful {
		run.verifyEvents(r.t, s.messages)
	}
	run.stop(r.t)
	r.checkContinuity(s)
	a := compareLedger(r.t, r.ledger.read(r.t), s.messages)
	for _, text := range a.says {
		r.t.Error(text)
	}
	return a.tally, differences
}

// checkContinuity checks that gaps are declared where they should be and nowhere
// else.
func (r *rig) checkContinuity(s *streamed) {
	r.t.Helper()
	if n := s.count("baseline_end"); r.fault.gap == nil && n != 1 {
		r.t.Errorf("%d baselines, want 1", n)
	}
	for i := range s.controls {
		c := &s.controls[i]
		if c.Control == "gap" && (r.fault.gap == nil || !r.fault.gap(s, c)) {
			r.t.Errorf("gap from %d to %d: %s", c.From, c.To, c.Reason)
		}
	}
}

// ends reports whether a baseline ended at a position.
func (s *streamed) ends(lsn uint64) bool {
	for _, c := range s.controls {
		if c.Control == "baseline_end" && c.LSN == lsn {
			return true
		}
	}
	return false
}

// saysTimes waits until a process has logged something so many times.
func (p *child) saysTimes(t *testing.T, what string, times int) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		if text := p.output(t); strings.Count(text, what) < times {
			return fmt.Errorf("%q is not %d times in %s", what, times, text)
		}
		return nil
	})
}

// copyTree copies a folder as it is at the moment, while somebody may be writing
// in it.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // it was there a moment ago
		}
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rest), 0o755)
		}
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rest), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
