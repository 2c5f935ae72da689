package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/watch"
)

// verifyEvents checks that the events that are stored are those of a checker that has
// read the same stream from its beginning without ever being interrupted: none twice,
// none missing, in the same order. The program has ended.
func (r *running) verifyEvents(t *testing.T, messages []bus.Message) int {
	t.Helper()
	var want, got []string
	checker := watch.NewChecker(Rules(&r.config))
	for _, m := range messages {
		found, err := checker.Take(record(m))
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			data, err := found[i].Event.Encode(r.config.Namespace)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, found[i].Event.Subject(r.config.Namespace)+" "+string(data))
		}
	}
	var filters []string
	for _, subject := range event.Positioned() {
		filters = append(filters, r.Bus().EventSubject(subject))
	}
	err := r.Bus().ConsumeEvents(t.Context(), filters, 0, func(m bus.Message) error {
		got = append(got, m.Subject+" "+string(m.Data))
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-never interrupted +stored):\n%.4000s", diff)
	}
	return len(got)
}

// restarted waits for a process to say that it went on from a checkpoint.
func (p *child) restarted(t *testing.T) {
	t.Helper()
	p.says(t, "msg=streaming")
	p.says(t, "going on from a checkpoint")
	p.says(t, "caught up with the stream")
}

// A start goes on from the checkpoint of the stop before it, and few are kept.
func TestStartsFromCheckpoints(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.Watch.CheckpointEvery = 100 * time.Millisecond
	load := startTraffic(t, dsn, 3)
	p := spawn(t, c)
	p.says(t, "checkpoint stored")
	p.says(t, "msg=streaming")
	for range 3 {
		load.more(t, 100)
		p.terminate(t)
		p = spawn(t, c)
		p.restarted(t)
		if strings.Contains(p.output(t), "refused") {
			t.Errorf("a checkpoint was refused:\n%s", p.output(t))
		}
	}
	p.saysTimes(t, "checkpoint stored", 3)
	p.terminate(t)
	load.stop()
	r := start(t, c, dsn)
	s := r.verify(t)
	if n := s.count("baseline_end"); n != 1 {
		t.Errorf("%d baselines, want 1; epochs %q", n, s.reasons("epoch"))
	}
	if n := r.verifyEvents(t, s.messages); n < 50 {
		t.Errorf("only %d events", n)
	}
	list, err := r.checkpointStore().List(t.Context())
	if err != nil || len(list) < newestKept {
		t.Errorf("kept are %+v, %v", list, err)
	}
}

// killEnv says where a child kills itself, and at which time that it comes there.
const killEnv = "QUESTWATCH_TEST_KILL"

// deadly kills the process where it is told to.
type deadly struct {
	at   string
	left int
}

// killer reads what the environment says, or is nil.
func killer() func(watchPorts) watchPorts {
	at, n, found := strings.Cut(os.Getenv(killEnv), ":")
	left, err := strconv.Atoi(n)
	if !found || err != nil {
		return nil
	}
	d := &deadly{at, left}
	return func(p watchPorts) watchPorts {
		p.repairs = deadlyRepairs{p.repairs, d}
		p.cdc, p.events, p.findings, p.store = deadlyCDC{p.cdc, d}, deadlyEvents{p.events, d}, deadlyFindings{p.findings, d}, deadlyStore{p.store, d}
		return p
	}
}

// here kills the process if this is the place and the time.
func (d *deadly) here(place string) {
	if d.at != place {
		return
	}
	if d.left--; d.left <= 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // it comes in a moment
	}
}

type deadlyCDC struct {
	watch.CDC
	d *deadly
}

func (p deadlyCDC) Consume(ctx context.Context, from change.Seq, fn func(change.Record) error) error {
	return p.CDC.Consume(ctx, from, func(r change.Record) error {
		p.d.here("message")
		return fn(r)
	})
}

type deadlyEvents struct {
	watch.Events
	d *deadly
}

func (p deadlyEvents) Publish(ctx context.Context, events []watch.Outgoing) error {
	p.d.here("publish")
	if len(events) > 1 && p.d.at == "half published" {
		if err := p.Events.Publish(ctx, events[:len(events)/2]); err != nil {
			return err
		}
		p.d.here("half published")
		events = events[len(events)/2:]
	}
	err := p.Events.Publish(ctx, events)
	p.d.here("published")
	return err
}

type deadlyFindings struct {
	watch.Findings
	d *deadly
}

func (p deadlyFindings) Put(ctx context.Context, id string, data []byte) error {
	p.d.here("put")
	return p.Findings.Put(ctx, id, data)
}

func (p deadlyFindings) Delete(ctx context.Context, id string) error {
	p.d.here("delete")
	return p.Findings.Delete(ctx, id)
}

type deadlyStore struct {
	watch.Checkpoints
	d *deadly
}

func (p deadlyStore) Load(ctx context.Context, s watch.Saved, fn func(io.Reader) error) error {
	err := p.Checkpoints.Load(ctx, s, fn)
	p.d.here("loaded")
	return err
}

func (p deadlyStore) Save(ctx context.Context, seq change.Seq, write func(io.Writer) error) (watch.Saved, error) {
	p.d.here("save")
	saved, err := p.Checkpoints.Save(ctx, seq, func(w io.Writer) error {
		err := write(deadlyWriter{w, p.d})
		p.d.here("written")
		return err
	})
	p.d.here("saved")
	return saved, err
}

type deadlyWriter struct {
	io.Writer
	d *deadly
}

func (w deadlyWriter) Write(p []byte) (int, error) {
	w.d.here("half written")
	return w.Writer.Write(p)
}

// places are where a process is killed, with the most times that it may have come
// there before.
var places = []struct {
	name string
	most int
}{
	{"message", 300},
	{"publish", 30},
	{"half published", 3},
	{"published", 30},
	{"put", 20},
	{"delete", 5},
	{"save", 5},
	{"half written", 6},
	{"written", 3},
	{"saved", 5},
	{"loaded", 1},
}

// Wherever the program is killed, while it writes a checkpoint and around that, the
// next one goes on so that nobody can tell from the events.
func TestKilledAroundCheckpoints(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	exec1(t, dsn, manyQuests) // a checkpoint is more than one chunk
	c := settings(t, dsn)
	c.Watch.CheckpointEvery = 100 * time.Millisecond
	c.Rules.MissingParticipant.Grace, c.Rules.OrphanParticipant.Grace = 100*time.Millisecond, 0
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	load := startPacedTraffic(t, dsn, 2, 5*time.Millisecond, seed)
	p := spawn(t, c)
	p.says(t, "checkpoint stored")
	p.kill()
	refused := 0
	for range max(1, *faultRounds/3) {
		for _, place := range places {
			p := spawnWith(t, c, fmt.Sprintf("%s=%s:%d", killEnv, place.name, 1+rng.IntN(place.most)))
			select {
			case <-p.ended:
			case <-time.After(40 * time.Second):
				t.Fatalf("never came to %q; -faults.seed=%d:\n%.3000s", place.name, seed, p.output(t))
			}
			if how := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !how.Signaled() || how.Signal() != syscall.SIGKILL {
				t.Fatalf("at %q the program ended with %v; -faults.seed=%d:\n%.3000s", place.name, p.cmd.ProcessState, seed, p.output(t))
			}
			text := p.output(t)
			refused += strings.Count(text, "checkpoint refused")
			if place.name != "loaded" && !strings.Contains(text, "going on from a checkpoint") {
				t.Errorf("at %q it read all again; -faults.seed=%d:\n%.3000s", place.name, seed, text)
			}
		}
	}
	load.more(t, 50)
	load.stop()
	r := start(t, c, dsn)
	s := r.verify(t)
	n := r.verifyEvents(t, s.messages)
	t.Logf("seed %d: %d events, %d checkpoints refused", seed, n, refused)
	if n < 100 {
		t.Errorf("only %d events", n)
	}
	left, err := r.Bus().Checkpoints().List(t.Context())
	if err != nil || len(left) < newestKept {
		t.Errorf("kept are %+v, %v", left, err)
	}
}

// smallStream is what a stream keeps that discards its baseline soon.
const smallStream = 1 << 20

// discard writes until the stream has discarded what it holds now, and returns the
// first message that it still has.
func (r *running) discard(t *testing.T) change.Seq {
	t.Helper()
	before, err := r.Bus().CDCState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := before.First
	testkit.Eventually(t, 60*time.Second, func() error {
		exec1(t, r.dsn, `DO $$ BEGIN FOR i IN 1..500 LOOP
			UPDATE quests_quest SET updated_at = clock_timestamp() WHERE id = (SELECT min(id) FROM quests_quest); END LOOP; END $$`)
		now, err := r.Bus().CDCState(t.Context())
		if err == nil && now.First <= before.Last {
			err = fmt.Errorf("the first message is %d", now.First)
		}
		first = now.First
		return err
	})
	return first
}

// deleteCheckpoints is what somebody does who should not.
func deleteCheckpoints(t *testing.T, server *testkit.NATS) {
	t.Helper()
	withStream(t, server.URL(), "OBJ_questwatch-checkpoints", func(ctx context.Context, store jetstream.Stream) error {
		return store.Purge(ctx)
	})
}

// When the stream has discarded its baseline, a start goes on from a checkpoint, and
// takes a new baseline only where there is none.
func TestBaselineIsDiscarded(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	c.Stream.KeepBytes = smallStream
	r := start(t, c, dsn)
	r.ready(t)
	first := r.discard(t)
	r.settle(t)
	r.stop(t)
	exec1(t, dsn, otherTitle)

	r = start(t, c, dsn)
	r.ready(t)
	r.settle(t)
	if got := r.watch.Status().Checkpoint.Seq; got < first {
		t.Errorf("it went on from a checkpoint behind %d, and the first message was %d", got, first)
	}
	r.verifyFindings(t)
	r.stop(t)
	deleteCheckpoints(t, server)
	exec1(t, dsn, otherTitle)

	r = start(t, c, dsn)
	r.since = 4
	r.ready(t)
	r.settle(t)
	r.verifyFindings(t)
	r.verifyState(t)
	r.halt(t)
	var epochs []string
	for _, m := range eventsOn(t, r, "stream.epoch.>") {
		epochs = append(epochs, strings.Split(m.Subject, ".")[4])
	}
	if want := []string{"start", "resume", "resume", "no_baseline"}; !slices.Equal(epochs, want) {
		t.Errorf("epochs %q, want %q", epochs, want)
	}
}

const otherTitle = `UPDATE quests_quest SET title = title || '!'`

func eventsOn(t *testing.T, r *running, subject string) (all []bus.Message) {
	t.Helper()
	err := r.Bus().ConsumeEvents(t.Context(), []string{r.Bus().EventSubject(subject)}, 0, func(m bus.Message) error {
		all = append(all, m)
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return all
}

// The checker must read anew and can not: the stream has discarded the baseline, and
// nobody knows of any checkpoint. A new baseline comes without a restart.
func TestCheckerAsksForABaseline(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	c.Stream.KeepBytes = smallStream
	c.Watch.CheckpointEvery = 0
	r := start(t, c, dsn)
	r.ready(t)
	r.discard(t)
	// Without a place for its events the checker is interrupted, and reads anew.
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		events, err := js.Stream(ctx, "QUESTWATCH_EVENTS")
		if err == nil {
			err = js.DeleteStream(ctx, "QUESTWATCH_EVENTS")
		}
		if err != nil {
			return err
		}
		exec1(t, dsn, `UPDATE quests_quest SET assigned_to_id = NULL`) // something to tell of
		r.notReady(t)
		_, err = js.CreateStream(ctx, events.CachedInfo().Config)
		return err
	})
	testkit.Eventually(t, 40*time.Second, func() error {
		if len(eventsOn(t, r, "stream.epoch.no_baseline.>")) == 0 {
			return errors.New("no baseline")
		}
		return nil
	})
	exec1(t, dsn, otherTitle)
	r.ready(t)
	r.settle(t)
	r.verifyFindings(t)
	r.verifyState(t)
	r.halt(t)
}

// A standby goes on from the checkpoint of the one that has died.
func TestStandbyLoadsTheCheckpoint(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	c.Watch.CheckpointEvery = 200 * time.Millisecond
	load := startTraffic(t, dsn, 2)
	first := spawn(t, c)
	first.saysTimes(t, "checkpoint stored", 2)
	c.Data = t.TempDir()
	second := spawn(t, c)
	second.says(t, "standing by")
	load.more(t, 50)
	first.kill()
	second.restarted(t)
	load.more(t, 50)
	load.stop()
	second.terminate(t)
	if text := second.output(t); strings.Contains(text, "refused") {
		t.Errorf("a checkpoint was refused:\n%s", text)
	}
	r := start(t, c, dsn)
	s := r.verify(t)
	r.verifyEvents(t, s.messages)
}
