package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

// openBatches is a server that syncs always, with streams, and a connection to it.
func openBatches(t testing.TB, cfg bus.Config) (*embedded.Server, *bus.Conn) {
	t.Helper()
	s := startServer(t, embedded.Config{SyncAlways: true})
	cfg.Options, cfg.Batches = s.InProcess(), true
	c := connect(t, cfg)
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func newBatchWriter(t testing.TB, c *bus.Conn, last bus.Seq) *bus.BatchWriter {
	t.Helper()
	w := c.NewBatchWriter(last)
	t.Cleanup(w.Close)
	return w
}

func publishBatches(t testing.TB, c *bus.Conn, w *bus.BatchWriter, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		if _, err := w.Publish(t.Context(), c.StepSubject(int64(i)), payload(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// batchSizes are the sizes of the batches that the stream's messages came in.
func batchSizes(t testing.TB, s *embedded.Server, c *bus.Conn) (sizes []int) {
	t.Helper()
	stream, err := raw(t, s).Stream(t.Context(), c.CDCStream())
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Get("Nats-Expected-Last-Sequence") != "" {
			sizes = append(sizes, 0)
		}
		sizes[len(sizes)-1]++
	}
	return sizes
}

func TestBatchesAreStoredInOrder(t *testing.T) {
	s, c := openBatches(t, bus.Config{Window: 70, WindowBytes: 800})
	w := newBatchWriter(t, c, 0)
	data := make([]byte, 0, 64)
	for i := range 1000 {
		data = append(data[:0], payload(i)...) // reused, as callers may
		seq, err := w.Publish(t.Context(), c.StepSubject(int64(i)), data)
		if err != nil || seq != bus.Seq(i+1) {
			t.Fatal(seq, err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.Acked() != 1000 || w.Err() != nil {
		t.Errorf("acked %d, %v", w.Acked(), w.Err())
	}
	receive(t, w.Notify())
	w.Close()
	if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("publish after close: %v", err)
	}
	publishBatches(t, c, newBatchWriter(t, c, 1000), 1000, 10)
	if n := wantPrefix(t, stored(t, c)); n != 1010 {
		t.Errorf("%d messages are stored", n)
	}
	if n := len(batchSizes(t, s, c)); n > 700 {
		t.Errorf("1010 messages came in %d batches", n)
	}
	if n := c.ForeignMessages(); n != 0 {
		t.Errorf("%d messages are taken for foreign ones", n)
	}
}

// The tail is ours although only a batch's first message names the one before.
func TestTailOfABatch(t *testing.T) {
	_, c := openBatches(t, bus.Config{})
	publishBatches(t, c, newBatchWriter(t, c, 0), 0, 50)
	last, tail, err := c.CDCTail(t.Context())
	if err != nil || last != 50 || tail.Seq != 50 || string(tail.Data) != string(payload(49)) {
		t.Errorf("tail is %q at %d of %d, %v", tail.Data, tail.Seq, last, err)
	}
}

func TestConcurrentPublishersShareBatches(t *testing.T) {
	s, c := openBatches(t, bus.Config{})
	w := newBatchWriter(t, c, 0)
	var publishers sync.WaitGroup
	for range 8 {
		publishers.Go(func() {
			for range 50 {
				if _, err := w.Publish(t.Context(), c.ControlSubject(), []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishers.Wait()
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(stored(t, c)); n != 400 {
		t.Errorf("%d messages are stored", n)
	}
	t.Log(len(batchSizes(t, s, c)), "batches")
}

// Payloads that together exceed what a batch may hold are spread over several.
func TestLargePayloadsAreSplit(t *testing.T) {
	s, c := openBatches(t, bus.Config{})
	w := newBatchWriter(t, c, 0)
	large := make([]byte, 3<<20)
	for _, data := range [][]byte{nil, large, large, large, make([]byte, c.MaxPayload()), nil} {
		if _, err := w.Publish(t.Context(), c.ControlSubject(), data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sizes := batchSizes(t, s, c); len(sizes) < 4 {
		t.Errorf("batches of %v", sizes)
	}
}

// A server that takes smaller batches than we make refuses one, and gets smaller
// ones; nothing is lost or stored twice.
func TestSmallerBatchesWhereTheServerWantsThem(t *testing.T) {
	for _, limit := range []int{1, 2, 63, 300} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			url := plainServer(t, &server.Options{
				JetStream: true, SyncAlways: true, JetStreamLimits: server.JSLimitOpts{MaxBatchSize: limit},
			})
			c := connect(t, bus.Config{URL: url, Batches: true})
			if err := c.Setup(t.Context()); err != nil {
				t.Fatal(err)
			}
			publishBatches(t, c, newBatchWriter(t, c, 0), 0, 3000)
			if n := wantPrefix(t, stored(t, c)); n != 3000 {
				t.Errorf("%d messages are stored", n)
			}
		})
	}
}

func TestBatchWriterRefusesTooLargeMessageAndLives(t *testing.T) {
	_, c := openBatches(t, bus.Config{})
	w := newBatchWriter(t, c, 0)
	_, err := w.Publish(t.Context(), c.ControlSubject(), make([]byte, c.MaxPayload()+1))
	if !errors.Is(err, bus.ErrTooLarge) {
		t.Fatal(err)
	}
	advice(t, err)
	publishBatches(t, c, w, 0, 10)
}

func TestBatchWriterWithStaleSequenceIsFenced(t *testing.T) {
	_, c := openBatches(t, bus.Config{})
	publishBatches(t, c, newBatchWriter(t, c, 0), 0, 5)
	stale := newBatchWriter(t, c, 3)
	for range 10 {
		if _, err := stale.Publish(t.Context(), c.ControlSubject(), []byte("stale")); err != nil {
			break
		}
	}
	if err := stale.Flush(t.Context()); !errors.Is(err, bus.ErrFenced) {
		t.Fatal(err)
	}
	if n := wantPrefix(t, stored(t, c)); n != 5 {
		t.Errorf("%d messages are stored", n)
	}
}

func TestBatchWriterAheadOfStreamIsUncertain(t *testing.T) {
	_, c := openBatches(t, bus.Config{})
	w := newBatchWriter(t, c, 7)
	if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); !errors.Is(err, bus.ErrUncertain) || errors.Is(err, bus.ErrFenced) {
		t.Fatal(err)
	}
}

// A stranger's messages land between batches and while one is being sent. Nothing
// of ours may follow one that was refused.
func TestStrangerLeavesNoHoleBetweenBatches(t *testing.T) {
	s, c := openBatches(t, bus.Config{})
	js := raw(t, s)
	next := 0
	for round := range 10 {
		last, _, err := c.CDCTail(t.Context())
		if err != nil && !errors.Is(err, bus.ErrNoMessage) {
			t.Fatal(err)
		}
		w := newBatchWriter(t, c, last)
		interfered := make(chan error, 1)
		go func() {
			for w.Acked() < last+100 && w.Err() == nil {
				receive(t, w.Notify())
			}
			_, err := js.Publish(t.Context(), c.ControlSubject(), []byte("foreign"))
			interfered <- err
		}()
		err = nil
		for i := next; err == nil; i++ {
			_, err = w.Publish(t.Context(), c.StepSubject(1), payload(i))
		}
		if !errors.Is(err, bus.ErrFenced) {
			t.Fatal(err)
		}
		if err := receive(t, interfered); err != nil {
			t.Fatal(err)
		}
		next = wantPrefix(t, stored(t, c))
		if next != int(w.Acked())-round {
			t.Errorf("%d messages are stored, %d were acknowledged", next, int(w.Acked())-round)
		}
		if last, _, err := c.CDCTail(t.Context()); err != nil || last != bus.Seq(next+round+1) {
			t.Fatalf("%d messages, %v", last, err)
		}
	}
}

func TestTwoBatchWritersNeverInterleave(t *testing.T) {
	s, a := openBatches(t, bus.Config{})
	b := connect(t, bus.Config{URL: s.ClientURL(), Options: s.Owner(), Batches: true})
	run := func(c *bus.Conn, name string) func(context.Context) error {
		return func(ctx context.Context) error {
			for term := range 20 {
				state, err := c.CDCState(ctx)
				if err != nil {
					return err
				}
				w := c.NewBatchWriter(state.Last)
				for i := 0; i < 300 && err == nil; i++ {
					_, err = w.Publish(ctx, c.ControlSubject(), fmt.Appendf(nil, "%s/%d %d", name, term, i))
				}
				_ = w.Flush(ctx)
				w.Close()
			}
			return nil
		}
	}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- run(a, "a")(t.Context()) }()
	go func() { second <- run(b, "b")(t.Context()) }()
	if err := errors.Join(receive(t, first), receive(t, second)); err != nil {
		t.Fatal(err)
	}
	runs := map[string]int{}
	var current string
	for _, m := range stored(t, a) {
		var i int
		name, number, _ := strings.Cut(string(m.Data), " ")
		if _, err := fmt.Sscan(number, &i); err != nil {
			t.Fatal(err)
		}
		if i != runs[name] || i > 0 && current != name {
			t.Fatalf("message %d: %q follows one of %s", m.Seq, m.Data, current)
		}
		runs[name], current = i+1, name
	}
	if len(runs) < 2 {
		t.Errorf("only %v wrote", runs)
	}
}

func TestSilentServerKillsBatchWriter(t *testing.T) {
	s, _ := openBatches(t, bus.Config{})
	p := startProxy(t, s.Addr().String())
	c := connect(t, bus.Config{URL: p.url(), Options: s.Owner(), Batches: true, AckTimeout: 100 * time.Millisecond})
	w := newBatchWriter(t, c, 0)
	publishBatches(t, c, w, 0, 1)
	p.silence()
	if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
}

func TestFullWindowOfBatchesBlocksUntilContextEnds(t *testing.T) {
	s, _ := openBatches(t, bus.Config{})
	p := startProxy(t, s.Addr().String())
	c := connect(t, bus.Config{URL: p.url(), Options: s.Owner(), Batches: true, Window: 3})
	w := newBatchWriter(t, c, 0)
	publishBatches(t, c, w, 0, 1)
	p.silence()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	n := 0
	var err error
	for ; err == nil; n++ {
		_, err = w.Publish(ctx, c.ControlSubject(), nil)
	}
	if n != 4 || !errors.Is(err, context.DeadlineExceeded) || w.Err() != nil {
		t.Errorf("publish %d: %v; writer: %v", n, err, w.Err())
	}
}

// The limit falls into the middle of a batch, which is refused as a whole.
func TestFullStreamLeavesWholeBatches(t *testing.T) {
	s, c := openBatches(t, bus.Config{})
	js := raw(t, s)
	stream, err := js.Stream(t.Context(), c.CDCStream())
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.Discard, cfg.MaxMsgs = jetstream.DiscardNew, 1234
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	w := newBatchWriter(t, c, 0)
	for i := 0; err == nil; i++ {
		_, err = w.Publish(t.Context(), c.StepSubject(1), payload(i))
	}
	if !errors.Is(err, bus.ErrFull) || !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
	advice(t, err)
	if n := wantPrefix(t, stored(t, c)); n != int(w.Acked()) || n > 1234 || n == 0 {
		t.Errorf("%d messages are stored, %d acknowledged", n, w.Acked())
	}
}

// The server runs out of space in the middle of a commit, and then does not answer:
// what is stored is a prefix of the batch. Whoever goes on learns why it cannot.
func TestFullServerLeavesPrefixOfBatch(t *testing.T) {
	s := startServer(t, embedded.Config{MaxStore: 4 << 20, SyncAlways: true})
	c := connect(t, bus.Config{Options: s.InProcess(), CDCMaxBytes: 3 << 20, Batches: true, AckTimeout: time.Second})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	js := raw(t, s)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := js.Publish(t.Context(), "other", make([]byte, 1<<20)); err != nil {
			t.Fatal(i, err)
		}
	}
	w := newBatchWriter(t, c, 0)
	if err := receive(t, flood(t.Context(), c, w, 0)); !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
	n := wantPrefix(t, stored(t, c))
	if n < int(w.Acked()) || n == 0 {
		t.Errorf("%d messages are stored, %d acknowledged", n, w.Acked())
	}
	err := receive(t, flood(t.Context(), c, newBatchWriter(t, c, bus.Seq(n)), n))
	if !errors.Is(err, bus.ErrFull) || !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
	advice(t, err)
	if err := js.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	publishBatches(t, c, newBatchWriter(t, c, bus.Seq(n)), n, 100)
	if now := wantPrefix(t, stored(t, c)); now != n+100 {
		t.Errorf("%d messages are stored, want %d", now, n+100)
	}
}

// A stream that discards what is old takes batches for ever, also when one is as
// large as the stream.
func TestBatchesOnStreamThatDiscards(t *testing.T) {
	_, c := openBatches(t, bus.Config{CDCMaxBytes: 64 << 10})
	w := newBatchWriter(t, c, 0)
	publishBatches(t, c, w, 0, 5000)
	state, err := c.CDCState(t.Context())
	if err != nil || state.Last != 5000 || state.First < 2 {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestBatchWriterWithoutStream(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess(), Batches: true})
	w := newBatchWriter(t, c, 0)
	for range 3 {
		if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); err != nil {
			break
		}
	}
	if err := w.Flush(t.Context()); !errors.Is(err, nats.ErrNoResponders) || !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
}

func TestBatchWriterWithoutPermission(t *testing.T) {
	s, owner := openBatches(t, bus.Config{})
	c := connect(t, bus.Config{URL: s.ClientURL(), Batches: true})
	w := newBatchWriter(t, c, 0)
	if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); err != nil {
		t.Fatal(err)
	}
	err := w.Flush(t.Context())
	var p *bus.PermissionError
	if !errors.As(err, &p) || p.Subject != owner.ControlSubject() {
		t.Fatal(err)
	}
	advice(t, err)
}
