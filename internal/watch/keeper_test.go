package watch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

// vault is a memory with a store of checkpoints, which can be killed in any of the
// calls that are made to it.
type vault struct {
	*memory
	saved map[change.Seq][]byte
	keep  int // the most that are kept; 0 for all
	rules watch.Rules

	failList, failSave error
	hold               chan struct{} // what Save waits for
	made, eventsMade   time.Time     // the two streams
	firstEvent         int           // the first that is still there
	loaded, baselines  []change.Seq
	from               change.Seq    // where reading began last
	pace, lag          time.Duration // of messages, and of calls
	saves, most, under int           // in all, the most at a time, now

	calls, killAt int
	half          bool // the call in which it is killed has done its work
	dead          bool
}

var made = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

func newVault(m *memory) *vault {
	m.patience = time.Minute
	return &vault{memory: m, saved: map[change.Seq][]byte{}, made: made, eventsMade: made, rules: quietRules()}
}

// call reports whether the process is killed in this call, and whether it was before.
func (v *vault) call() (killed, was bool) {
	time.Sleep(v.lag) // of the fake clock: others go on meanwhile
	v.mu.Lock()
	defer v.mu.Unlock()
	was = v.dead
	if v.calls++; v.calls == v.killAt {
		v.dead = true
		v.crash()
	}
	return v.dead, was
}

func (v *vault) Consume(ctx context.Context, from change.Seq, fn func(change.Record) error) error {
	v.from = from
	return v.memory.Consume(ctx, from, func(r change.Record) error {
		if killed, _ := v.call(); killed {
			return errDown
		}
		time.Sleep(v.pace)
		return fn(r)
	})
}

func (v *vault) Publish(ctx context.Context, events []watch.Outgoing) error {
	killed, was := v.call()
	if !killed {
		return v.memory.Publish(ctx, events)
	}
	if !was {
		n := len(events) / 2
		if v.half {
			n = len(events)
		}
		return errors.Join(v.memory.Publish(context.WithoutCancel(ctx), events[:n]), errDown)
	}
	return errDown
}

func (v *vault) Published(ctx context.Context) (watch.Published, error) {
	p, err := v.memory.Published(ctx)
	v.mu.Lock() // a checkpoint is written while events are published
	defer v.mu.Unlock()
	p.Created, p.First, p.Newest = v.eventsMade, change.Seq(v.firstEvent+1), change.Seq(len(v.events))
	if v.firstEvent >= len(v.events) {
		p.Some, p.Newest = false, 0
	}
	return p, err
}

func (v *vault) Put(ctx context.Context, id string, data []byte) error {
	if killed, was := v.call(); killed && (was || !v.half) {
		return errDown
	}
	return v.memory.Put(ctx, id, data)
}

func (v *vault) Delete(ctx context.Context, id string) error {
	if killed, was := v.call(); killed && (was || !v.half) {
		return errDown
	}
	return v.memory.Delete(ctx, id)
}

func (v *vault) Message(_ context.Context, seq change.Seq) (watch.Message, error) {
	if seq <= change.Seq(v.offset) || seq > change.Seq(len(v.records)) {
		return watch.Message{}, watch.ErrNoMessage
	}
	return watch.Message{Record: v.records[seq-1], Stored: v.made.Add(time.Duration(seq)), Created: v.made}, nil
}

func name(seq change.Seq) string { return fmt.Sprintf("ckpt-%d", seq) }

func (v *vault) List(context.Context) (all []watch.Saved, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, seq := range slices.Backward(slices.Sorted(maps.Keys(v.saved))) {
		all = append(all, watch.Saved{Name: name(seq), Seq: seq, Bytes: int64(len(v.saved[seq]))})
	}
	return all, v.failList
}

func (v *vault) Load(_ context.Context, s watch.Saved, fn func(io.Reader) error) error {
	v.loaded = append(v.loaded, s.Seq)
	return fn(bytes.NewReader(v.saved[s.Seq]))
}

func (v *vault) Save(ctx context.Context, seq change.Seq, write func(io.Writer) error) (s watch.Saved, err error) {
	v.mu.Lock()
	v.saves, v.under, v.most = v.saves+1, v.under+1, max(v.most, v.under+1)
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.under--
	}()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return s, err
	}
	if v.hold != nil {
		select {
		case <-v.hold:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
	if killed, was := v.call(); killed && (was || !v.half) {
		return s, errDown
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failSave != nil {
		return s, v.failSave
	}
	v.saved[seq] = b.Bytes()
	for v.keep > 0 && len(v.saved) > v.keep {
		delete(v.saved, slices.Min(slices.Collect(maps.Keys(v.saved))))
	}
	return watch.Saved{Name: name(seq), Seq: seq, Bytes: int64(b.Len())}, nil
}

// flow keeps checkpoints, one behind so many messages.
func (v *vault) flow(rules watch.Rules, messages int, logs io.Writer) *watch.Flow {
	flow := watch.New(rules, v, v, v, v, slog.New(slog.NewTextHandler(logs, nil)))
	flow.Keep(watch.Keeping{
		Store: v, Stream: v, Every: time.Hour, Messages: messages,
		Baseline: func(from change.Seq) { v.baselines = append(v.baselines, from) },
	})
	return flow
}

func (v *vault) run(t *testing.T, messages int, logs io.Writer) (*watch.Flow, error) {
	t.Helper()
	v.dead, v.baselines, v.loaded = false, nil, nil
	return v.runFlow(t, v.flow(v.rules, messages, logs))
}

// A flow goes on from its newest checkpoint, reads nothing again, finds nothing
// twice, and knows what it knew.
func TestFlowGoesOnFromACheckpoint(t *testing.T) {
	v, logs := newVault(newMemory(faulty())), &bytes.Buffer{}
	flow, _ := v.run(t, 1, logs)
	v.check(t, flow)
	end := change.Seq(len(v.records))
	if status := flow.Status().Checkpoint; v.saved[end] == nil || status.Seq != end || status.Bytes != int64(len(v.saved[end])) {
		t.Errorf("%d checkpoints, status %+v", len(v.saved), status)
	}
	if !slices.Equal(v.baselines, []change.Seq{1}) {
		t.Errorf("asked for baselines from %v", v.baselines)
	}
	calls := v.memory.published
	flow, _ = v.run(t, 1, logs)
	v.check(t, flow)
	if v.from != end+1 || v.memory.published != calls || v.most != 1 {
		t.Errorf("read from %d, published %d times", v.from, v.memory.published-calls)
	}
	if !slices.Equal(v.baselines, []change.Seq{0}) {
		t.Errorf("asked for baselines from %v", v.baselines)
	}
	if text := logs.String(); strings.Count(text, "going on from a checkpoint") != 1 || strings.Contains(text, "refused") {
		t.Errorf("logged %s", text)
	}
}

// Whenever the process is killed, in reading, in publishing, in keeping what is open
// or in storing a checkpoint, the events are those of one that never was, and so is
// what is kept as open.
func TestKilledAnywhereWithCheckpoints(t *testing.T) {
	kills := 0
	rapid.Check(t, func(rt *rapid.T) {
		d := genStory(rt)
		v := newVault(newMemory(d.story))
		v.rules = testRules()
		v.keep = rapid.IntRange(1, 3).Draw(rt, "keep")
		v.lag = time.Duration(rapid.IntRange(0, 1).Draw(rt, "lag"))
		all, messages := v.records, rapid.IntRange(1, 9).Draw(rt, "messages")
		for range rapid.IntRange(0, 6).Draw(rt, "kills") {
			v.records = all[:rapid.IntRange(0, len(all)).Draw(rt, "written by then")]
			v.killAt, v.half = v.calls+rapid.IntRange(1, 60).Draw(rt, "killed at"), rapid.Bool().Draw(rt, "half")
			v.run(t, messages, io.Discard)
			if v.dead {
				kills++
			}
		}
		v.records, v.killAt = all, 0
		flow, err := v.run(t, messages, io.Discard)
		if !errors.Is(err, context.Canceled) {
			rt.Fatalf("Run returned %v", err)
		}
		var got []string
		for _, e := range v.events {
			got = append(got, e.Subject+" "+string(e.Data))
		}
		if diff := cmp.Diff(d.events, got); diff != "" {
			rt.Fatalf("events (-never killed +killed):\n%s", diff)
		}
		var open []string
		for _, f := range flow.Checker().Open() {
			open = append(open, f.ID)
		}
		if kept := slices.Sorted(maps.Keys(v.kept)); !slices.Equal(kept, slices.Sorted(slices.Values(open))) {
			rt.Fatalf("open %q, kept %q", open, kept)
		}
	})
	t.Logf("killed %d times", kills)
}

// filled is a vault with checkpoints behind every message that they can be behind.
func filled(t *testing.T) *vault {
	t.Helper()
	v := newVault(newMemory(faulty()))
	v.pace = time.Millisecond // in which one is stored
	v.run(t, 1, io.Discard)
	return v
}

// What cannot be used is refused with its reason, and the next older one is used;
// where there is none, the stream is read from its beginning, and a baseline asked
// for.
func TestRefusedCheckpoints(t *testing.T) {
	end := change.Seq(len(faulty().records))
	for _, c := range []struct {
		name   string
		change func(v *vault)
		rules  func(r *watch.Rules)
		reason string     // of the newest one
		from   change.Seq // where reading begins
	}{
		{name: "nothing", from: end + 1},
		{name: "newest damaged", change: func(v *vault) { v.saved[end][100] ^= 1 }, reason: "it is damaged: frame 0", from: end},
		{name: "newest cut short", change: func(v *vault) { v.saved[end] = v.saved[end][:50] }, reason: "it is cut short", from: end},
		{name: "newest under another name", change: func(v *vault) { v.saved[end] = v.saved[end-1] }, reason: fmt.Sprintf("behind message %d", end-1), from: end},
		{name: "all damaged", change: func(v *vault) {
			for _, data := range v.saved {
				data[0] ^= 1
			}
		}, reason: "does not begin as a checkpoint", from: 1},
		{name: "older version", change: func(v *vault) { v.saved[end][11] = 0 }, reason: "of version 0, and this program's are of version 1", from: end},
		{name: "stream made anew", change: func(v *vault) { v.made = v.made.Add(time.Hour) }, reason: "of a stream that was made at 2026-07-01T00:00:00Z, and this one was at", from: 1},
		{name: "stream lost its end", change: func(v *vault) { v.records = v.records[:end-1] }, reason: "has no message", from: end},
		{name: "another message", change: func(v *vault) {
			v.records[end-1].Data = bytes.Replace(v.records[end-1].Data, []byte(`"lsn":1`), []byte(`"lsn":2`), 1)
		}, reason: "another message", from: end},
		{name: "end discarded", change: func(v *vault) { v.offset = int(end) - 2 }, from: end + 1},
		{name: "all discarded", change: func(v *vault) {
			v.records, v.offset = append(v.records, v.records[end-1], v.records[end-1]), int(end)+1
		}, reason: "has discarded what follows", from: end + 2},
		{name: "purged", change: func(v *vault) { v.offset = int(end) }, reason: "has no message", from: end + 1},
		{name: "newest event lost", change: func(v *vault) { v.events = v.events[:len(v.events)-1] }, reason: "lost some that were published", from: end - 1},
		{name: "events made anew", change: func(v *vault) { v.events, v.eventsMade = nil, v.eventsMade.Add(time.Hour) }, reason: "events was made anew", from: 1},
		{name: "events discarded", change: func(v *vault) { v.firstEvent = len(v.events) }, from: end + 1},
		{name: "other columns", rules: func(r *watch.Rules) { r.Schema.Quest.Title = "name" }, reason: "other tables are configured", from: 1},
		{name: "other words", rules: func(r *watch.Rules) {
			r.Statuses.Quest = maps.Clone(r.Statuses.Quest)
			delete(r.Statuses.Quest, "completed")
		}, reason: "other statuses", from: 1},
		{name: "other rules", rules: func(r *watch.Rules) { r.Policy.Off(rule.Unassigned) }, reason: "other rules", from: 1},
		{name: "other namespace", rules: func(r *watch.Rules) { r.Drift.Namespace = "other" }, reason: `of the namespace \"test\", and not of \"other\"`, from: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, rules, logs := filled(t), quietRules(), &bytes.Buffer{}
			if c.change != nil {
				c.change(v)
			}
			if c.rules != nil {
				c.rules(&rules)
			}
			v.baselines, v.loaded = nil, nil
			flow, _ := v.runFlow(t, v.flow(rules, 1000, logs))
			if v.from != c.from {
				t.Errorf("read from %d, want %d", v.from, c.from)
			}
			refused := strings.Count(logs.String(), "checkpoint refused")
			if (refused > 0) != (c.reason != "") || !strings.Contains(logs.String(), c.reason) {
				t.Errorf("refused %d, logged\n%s", refused, logs)
			}
			fresh := v.loaded[len(v.loaded)-1]+1 != v.from || refused == len(v.loaded)
			want := []change.Seq{0}
			if fresh {
				want = []change.Seq{c.from}
			}
			if !slices.Equal(v.baselines, want) {
				t.Errorf("asked for baselines from %d, want %d", v.baselines, want)
			}
			if c.name == "newest event lost" {
				v.check(t, flow)
			}
		})
	}
}

// A store that is not there, or that takes nothing, is a warning; one that cannot be
// reached is tried again.
func TestStoresOfCheckpointsFail(t *testing.T) {
	v, logs := filled(t), &bytes.Buffer{}
	v.failList, v.failSave = fmt.Errorf("%w: forbidden", watch.ErrNoStore), errDown
	flow, _ := v.run(t, 1, logs)
	v.check(t, flow)
	if text := logs.String(); v.from != 1 || !strings.Contains(text, "forbidden") || !strings.Contains(text, "could not be stored") || flow.Status().Checkpoint.Seq != 0 {
		t.Errorf("read from %d, logged %s", v.from, text)
	}
	logs.Reset()
	v.failList, v.from = errDown, 0
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := v.flow(quietRules(), 1, logs).Run(ctx, watch.Writer{Epoch: 2, Instance: "us"})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run returned %v", err)
		}
	})
	if n := strings.Count(logs.String(), "list checkpoints: the other side is down"); v.from != 0 || n < 3 {
		t.Errorf("read from %d, tried %d times", v.from, n)
	}
}

// A slow store holds up nobody, and at the end it is waited for, but not for long.
func TestSlowStoreOfCheckpoints(t *testing.T) {
	v := newVault(newMemory(faulty()))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		v.hold = make(chan struct{})
		flow := v.flow(quietRules(), 1, io.Discard)
		ended := make(chan error, 1)
		go func() { ended <- flow.Run(ctx, watch.Writer{Epoch: 2, Instance: "us"}) }()
		synctest.Wait()
		if read := flow.Status().Read; read != change.Seq(len(v.records)) || v.saves != 1 {
			t.Errorf("read up to %d, %d stores", read, v.saves)
		}
		start := time.Now()
		cancel()
		<-ended
		if took := time.Since(start); took < time.Second || took > 15*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
	if v.most != 1 {
		t.Errorf("%d at a time", v.most)
	}
}

// Checkpoints are taken behind so many messages, after a while in which quests
// change, after a much longer one in which none do, and behind a baseline.
func TestWhenCheckpointsAreTaken(t *testing.T) {
	s := newStory()
	s.baseline()
	baselined := change.Seq(len(s.records))
	for range 100 {
		s.clock += 60_000
		s.mark(0)
	}
	marked := change.Seq(len(s.records))
	for range 20 {
		s.clock += 60_000
		s.commit(s.assign(1, "", "open"))
	}
	v := newVault(newMemory(s))
	v.pace = time.Minute
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		flow := watch.New(quietRules(), v, v, v, v, slog.New(slog.DiscardHandler))
		flow.Keep(watch.Keeping{Store: v, Stream: v, Every: 5 * time.Minute, Messages: 90})
		_ = flow.Run(ctx, watch.Writer{Epoch: 2, Instance: "us"})
	})
	want := []change.Seq{baselined, baselined + 60, marked + 1, marked + 6, marked + 11, marked + 16, marked + 20}
	if got := slices.Sorted(maps.Keys(v.saved)); !slices.Equal(got, want) {
		t.Errorf("taken behind %d, want %d", got, want)
	}
	// As fast as it can be read, the number of messages decides.
	v = newVault(newMemory(s))
	v.pace = time.Millisecond
	v.run(t, 50, io.Discard)
	want = []change.Seq{baselined, baselined + 50, baselined + 100, change.Seq(len(s.records))}
	if got := slices.Sorted(maps.Keys(v.saved)); !slices.Equal(got, want) {
		t.Errorf("taken behind %d, want %d", got, want)
	}
}

// Whoever meets the checkpoint of a successor has been deposed, and says nothing.
func TestSuccessorsCheckpoint(t *testing.T) {
	s := faulty()
	s.epoch++
	s.control(change.Control{Kind: change.Epoch, Time: s.clock, Reason: "resume", Instance: "another"})
	v := newVault(newMemory(s))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_ = v.flow(quietRules(), 1, io.Discard).Run(ctx, watch.Writer{Epoch: 3, Instance: "another"})
	})
	v.from = 0
	calls := v.memory.published
	if _, err := v.run(t, 1, io.Discard); !errors.Is(err, watch.ErrDeposed) {
		t.Errorf("Run returned %v", err)
	}
	if v.from != 0 || v.memory.published != calls {
		t.Errorf("read from %d, published %d times", v.from, v.memory.published-calls)
	}
}
