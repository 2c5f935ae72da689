package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

var faults = []fault{
	{
		name: "questwatch kill -9", processes: true, inject: killProgram,
		// The slot comes after the baseline is durable. A crash between the two loses
		// what came after the baseline, and nothing else may be lost.
		gap: func(s *streamed, c *controlRecord) bool { return c.Reason == "slot_missing" && s.ends(c.From) },
	},
	{name: "Postgres immediate stop", ownCluster: true, inject: func(r *rig) {
		for range r.between(1, 2) {
			r.must(r.cluster.Stop(testkit.Immediate))
			r.must(r.cluster.Start())
			r.load.more(r.t, r.between(0, 50))
		}
	}},
	{name: "NATS kill -9", external: true, inject: func(r *rig) {
		for range r.between(1, 2) {
			r.must(r.nats.Kill())
			r.load.more(r.t, r.between(0, 50))
			r.must(r.nats.Start())
			r.load.more(r.t, r.between(0, 50))
		}
	}},
	{name: "Postgres side cut", inject: func(r *rig) { cut(r, r.postgresProxy) }},
	{name: "Postgres side stalled", inject: func(r *rig) { stall(r, r.postgresProxy) }},
	{name: "Postgres side slow", inject: func(r *rig) { slow(r, r.postgresProxy) }},
	{name: "NATS side cut", external: true, inject: func(r *rig) { cut(r, r.natsProxy) }},
	{name: "NATS side stalled", external: true, inject: func(r *rig) { stall(r, r.natsProxy) }},
	{name: "NATS side slow", external: true, inject: func(r *rig) { slow(r, r.natsProxy) }},
	{
		name: "stream rolled back", external: true, forgetful: true, inject: rollBack,
		settings: func(r *rig) { r.c.Stream.ConfirmLag = rollBackLag },
	},
	{
		name: "stream rolled back too far", external: true, forgetful: true, inject: rollBackTooFar,
		settings: func(r *rig) { r.c.Stream.ConfirmLag = 20 * time.Millisecond },
		gap:      func(_ *streamed, c *controlRecord) bool { return c.Reason == "stream_behind" },
	},
	{name: "disk full", external: true, small: true, inject: diskFull},
	{name: "SIGSTOP, then a zombie", external: true, processes: true, inject: zombie},
}

// killProgram kills the program at random moments: while it starts, takes its
// baseline, streams, publishes, confirms.
func killProgram(r *rig) {
	for i := range r.between(2, 4) {
		p := r.spawn()
		if i%2 == 1 {
			p.says(r.t, "msg=streaming")
		}
		r.pass(0, 600*time.Millisecond)
		select {
		case <-p.ended:
			r.t.Fatalf("the program ended by itself:\n%s", p.output(r.t))
		default:
		}
		p.kill()
	}
	r.children = nil
	r.spawn().says(r.t, "msg=streaming")
}

func cut(r *rig, p *testkit.Proxy) {
	for range r.between(1, 4) {
		p.Cut()
		r.load.more(r.t, r.between(0, 40))
	}
	if r.between(0, 1) == 0 {
		p.Refuse(true)
		p.Cut()
		r.app.notReady(r.t)
		p.Refuse(false)
	}
}

// stall stops what flows, for short or for longer than anybody waits, and ends it
// with a flood of what was held back or with a cut.
func stall(r *rig, p *testkit.Proxy) {
	for range r.between(1, 2) {
		p.Stall(true)
		r.pass(0, 2500*time.Millisecond)
		if r.between(0, 1) == 0 {
			p.Cut()
		}
		p.Stall(false)
		r.load.more(r.t, r.between(0, 30))
	}
}

// slow is latency, or a thin pipe.
func slow(r *rig, p *testkit.Proxy) {
	if r.between(0, 1) == 0 {
		p.Delay(time.Duration(r.between(1, 40)) * time.Millisecond)
	} else {
		p.Throttle(int(r.between(20_000, 200_000)))
	}
	r.load.more(r.t, r.between(50, 200))
	if r.between(0, 2) == 0 {
		p.Cut()
	}
	p.Delay(0)
	p.Throttle(0)
}

// rollBackLag is how long the program takes acknowledged messages for losable, in
// the rounds that lose some.
const rollBackLag = 5 * time.Second

// rollBack loses what the server acknowledged since a moment ago, as a loss of power
// does that takes the page cache with it: of the CDC stream, or of all streams.
func rollBack(r *rig) {
	for {
		began := time.Now()
		restore := r.backUp(r.between(0, 1) == 0)
		r.load.more(r.t, r.between(1, 60))
		r.must(r.nats.Kill())
		if time.Since(began) < rollBackLag {
			restore()
			r.must(r.nats.Start())
			return
		}
		r.must(r.nats.Start()) // the machine is slow: so old a copy is another fault
	}
}

// rollBackTooFar loses what Postgres has been told to forget.
func rollBackTooFar(r *rig) {
	restore := r.backUp(r.between(0, 1) == 0)
	var copied int64
	query(r.t, r.dsn, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &copied)
	r.load.more(r.t, r.between(1, 60))
	testkit.Eventually(r.t, 20*time.Second, func() error {
		var confirmed int64
		query(r.t, r.dsn, "SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots WHERE slot_name = '"+r.c.Postgres.Slot+"'", &confirmed)
		if confirmed <= copied {
			return fmt.Errorf("confirmed up to %d, copied at %d", confirmed, copied)
		}
		return nil
	})
	r.must(r.nats.Kill())
	restore()
	r.must(r.nats.Start())
}

// backUp copies the server's files as they are on the disk at this moment, of the
// CDC stream or of all, and returns what puts them back.
func (r *rig) backUp(all bool) (restore func()) {
	streams := filepath.Join(r.nats.StoreDir(), "jetstream", "$G", "streams")
	names := []string{"QUESTWATCH_CDC"}
	if all {
		names = []string{"KV_questwatch-findings", "KV_questwatch-control", "QUESTWATCH_EVENTS", "QUESTWATCH_CDC"}
		if r.between(0, 1) == 0 { // else checkpoints are ahead of it all
			names = append(names, "OBJ_questwatch-checkpoints")
		}
	}
	copies := r.t.TempDir()
	for _, name := range names {
		copyTree(r.t, filepath.Join(streams, name), filepath.Join(copies, name))
	}
	return func() {
		for _, name := range names {
			r.must(os.RemoveAll(filepath.Join(streams, name)))
			r.must(os.Rename(filepath.Join(copies, name), filepath.Join(streams, name)))
		}
	}
}

// zombie stops a writer until another has taken over, and wakes it up: it holds
// changes that it has read and events that it has found.
func zombie(r *rig) {
	active := r.spawn()
	active.says(r.t, "msg=streaming")
	other := r.spawn()
	other.says(r.t, "standing by")
	r.load.more(r.t, r.between(0, 60))
	for turn := range int(r.between(1, 2)) {
		r.must(active.cmd.Process.Signal(syscall.SIGSTOP))
		other.saysTimes(r.t, "msg=streaming", turn+1)
		r.load.more(r.t, r.between(0, 60))
		r.must(active.cmd.Process.Signal(syscall.SIGCONT))
		active.saysTimes(r.t, "standing by", turn+1)
		active, other = other, active
	}
	if active.cmd.ProcessState != nil || other.cmd.ProcessState != nil {
		r.must(errors.New("a process has ended"))
	}
}
