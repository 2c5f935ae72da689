package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

func TestWriterStoresInOrder(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess(), Window: 7, WindowBytes: 60})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, c, 0)
	publish(t, c, w, 0, 1000)
	if w.Acked() != 1000 || w.Err() != nil {
		t.Errorf("acked %d, %v", w.Acked(), w.Err())
	}
	receive(t, w.Notify())
	w.Close()
	if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("publish after close: %v", err)
	}
	next := newWriter(t, c, 1000)
	publish(t, c, next, 1000, 10)
	if n := wantPrefix(t, stored(t, c)); n != 1010 {
		t.Errorf("%d messages are stored", n)
	}
}

func TestWriterRefusesTooLargeMessageAndLives(t *testing.T) {
	_, c := open(t)
	w := newWriter(t, c, 0)
	_, err := w.Publish(t.Context(), c.ControlSubject(), make([]byte, c.MaxPayload()+1))
	if !errors.Is(err, bus.ErrTooLarge) {
		t.Fatal(err)
	}
	advice(t, err)
	if _, err := w.Publish(t.Context(), c.ControlSubject(), make([]byte, c.MaxPayload())); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestWriterWithStaleSequenceIsFenced(t *testing.T) {
	_, c := open(t)
	publish(t, c, newWriter(t, c, 0), 0, 5)
	stale := newWriter(t, c, 3)
	for range 10 { // whatever is in flight must not be stored either
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

// Sequences that the stream has not reached yet mean lost messages, not another
// writer.
func TestWriterAheadOfStreamIsUncertain(t *testing.T) {
	_, c := open(t)
	w := newWriter(t, c, 7)
	if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); !errors.Is(err, bus.ErrUncertain) || errors.Is(err, bus.ErrFenced) {
		t.Fatal(err)
	}
}

// A stranger's messages land between those in flight. With expected sequences
// alone the server would refuse one of ours and store the next.
func TestStrangerLeavesNoHole(t *testing.T) {
	s, c := open(t)
	js := raw(t, s)
	next := 0
	for round := range 10 {
		last, _, err := c.CDCTail(t.Context())
		if err != nil && !errors.Is(err, bus.ErrNoMessage) {
			t.Fatal(err)
		}
		w := newWriter(t, c, last)
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
		if last, tail, err := c.CDCTail(t.Context()); err != nil || string(tail.Data) != string(payload(next-1)) || last != bus.Seq(next+round+1) {
			t.Fatalf("tail of %d messages is %q at %d of %d, %v", next, tail.Data, tail.Seq, last, err)
		}
	}
	if c.ForeignMessages() == 0 {
		t.Error("no foreign message was noticed")
	}
}

// Two writers that both believe to be the only one: each stores a contiguous
// run of its own messages, never a message without the one before it.
func TestTwoWritersNeverInterleave(t *testing.T) {
	s, a := open(t)
	b := connect(t, bus.Config{URL: s.ClientURL(), Options: s.Owner()})
	run := func(c *bus.Conn, name string) func(context.Context) error {
		return func(ctx context.Context) error {
			for term := range 20 {
				state, err := c.CDCState(ctx)
				if err != nil {
					return err
				}
				w := c.NewWriter(state.Last)
				for i := 0; i < 500 && err == nil; i++ {
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

// The server dies while messages are in flight and comes back on the same
// directory, several times.
func TestServerStopLeavesPrefix(t *testing.T) {
	dir := t.TempDir()
	next := 0
	for round := range 5 {
		s := startServer(t, embedded.Config{Dir: dir})
		c := connect(t, bus.Config{URL: s.ClientURL(), Options: s.Owner()})
		if err := c.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if round > 0 {
			n := wantPrefix(t, stored(t, c))
			if n < next {
				t.Fatalf("%d messages are stored, %d were acknowledged", n, next)
			}
			next = n
		}
		w := newWriter(t, c, bus.Seq(next))
		published := make(chan error, 1)
		go func() {
			var err error
			for i := next; err == nil; i++ {
				_, err = w.Publish(t.Context(), c.StepSubject(1), payload(i))
			}
			published <- err
		}()
		for w.Acked() < bus.Seq(next+2000) {
			receive(t, w.Notify())
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, published); !errors.Is(err, bus.ErrUncertain) {
			t.Fatal(err)
		}
		next = int(w.Acked())
		c.Close()
	}
}

func TestCutConnectionLeavesPrefix(t *testing.T) {
	s, reader := open(t)
	p := startProxy(t, s.Addr().String())
	c := connect(t, bus.Config{URL: p.url(), Options: append(s.Owner(), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0))})
	for range 8 {
		last, _, err := reader.CDCTail(t.Context())
		if err != nil && !errors.Is(err, bus.ErrNoMessage) {
			t.Fatal(err)
		}
		w := newWriter(t, c, last)
		stop := background(t, func(ctx context.Context) error {
			for w.Acked() < last+500 && w.Err() == nil {
				select {
				case <-w.Notify():
				case <-ctx.Done():
					return nil
				}
			}
			p.cut()
			return nil
		})
		// Message i is at i+1. What the server still had in its buffers may come
		// after this reading of the tail, and then fences the writer.
		err = nil
		for i := int(last); err == nil; i++ {
			_, err = w.Publish(t.Context(), reader.StepSubject(1), payload(i))
		}
		_ = stop()
		if !errors.Is(err, bus.ErrUncertain) && !errors.Is(err, bus.ErrFenced) {
			t.Fatal(err)
		}
		if n := wantPrefix(t, stored(t, reader)); n < int(w.Acked()) {
			t.Fatalf("%d messages are stored, %d were acknowledged", n, w.Acked())
		}
	}
}

func TestSilentServerKillsWriter(t *testing.T) {
	s, _ := open(t)
	p := startProxy(t, s.Addr().String())
	c := connect(t, bus.Config{URL: p.url(), Options: s.Owner(), AckTimeout: 100 * time.Millisecond})
	w := newWriter(t, c, 0)
	publish(t, c, w, 0, 1)
	p.silence()
	if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
}

func TestFullWindowBlocksUntilContextEnds(t *testing.T) {
	s, _ := open(t)
	p := startProxy(t, s.Addr().String())
	c := connect(t, bus.Config{URL: p.url(), Options: s.Owner(), Window: 3})
	w := newWriter(t, c, 0)
	publish(t, c, w, 0, 1)
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

func TestFullStreamLeavesPrefix(t *testing.T) {
	s, c := open(t)
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
	wantFull(t, c, 1234)
}

func TestFullServerLeavesPrefix(t *testing.T) {
	s := startServer(t, embedded.Config{MaxStore: 4 << 20})
	c := connect(t, bus.Config{Options: s.InProcess(), CDCMaxBytes: 3 << 20})
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
	wantFull(t, c, 0)
}

func wantFull(t *testing.T, c *bus.Conn, limit int) {
	t.Helper()
	w := newWriter(t, c, 0)
	var err error
	for i := 0; err == nil; i++ {
		_, err = w.Publish(t.Context(), c.StepSubject(1), payload(i))
	}
	if !errors.Is(err, bus.ErrFull) || !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
	advice(t, err)
	n := wantPrefix(t, stored(t, c))
	if n != int(w.Acked()) || limit > 0 && n != limit {
		t.Errorf("%d messages are stored, %d acknowledged, limit %d", n, w.Acked(), limit)
	}
}

func TestWriterWithoutStream(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess()})
	w := newWriter(t, c, 0)
	if _, err := w.Publish(t.Context(), c.ControlSubject(), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); !errors.Is(err, nats.ErrNoResponders) || !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
}

func TestWriterWithoutPermission(t *testing.T) {
	s, owner := open(t)
	c := connect(t, bus.Config{URL: s.ClientURL()})
	w := newWriter(t, c, 0)
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

func benchmarkPublish(b *testing.B, connect func(*embedded.Server) bus.Config) {
	s := startServer(b, embedded.Config{})
	c, err := bus.Connect(b.Context(), connect(s))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := c.Setup(b.Context()); err != nil {
		b.Fatal(err)
	}
	w := c.NewWriter(0)
	defer w.Close()
	data := make([]byte, 256)
	subject := c.StepSubject(42)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Publish(b.Context(), subject, data); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func BenchmarkPublish(b *testing.B) {
	b.Run("in-process", func(b *testing.B) {
		benchmarkPublish(b, func(s *embedded.Server) bus.Config { return bus.Config{Options: s.InProcess()} })
	})
	b.Run("tcp", func(b *testing.B) {
		benchmarkPublish(b, func(s *embedded.Server) bus.Config { return bus.Config{URL: s.ClientURL(), Options: s.Owner()} })
	})
}

// BenchmarkPublishLibrary is what the Writer has to beat: the library's own
// asynchronous publishing with the same headers.
func BenchmarkPublishLibrary(b *testing.B) {
	s, c := open(b)
	nc, err := nats.Connect("", s.InProcess()...)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 256)
	subject := c.StepSubject(42)
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		opts := []jetstream.PublishOpt{
			jetstream.WithExpectLastSequence(i), jetstream.WithMsgID(fmt.Sprintf("w.%d", i+1)), jetstream.WithStallWait(time.Minute),
		}
		if i > 0 {
			opts = append(opts, jetstream.WithExpectLastMsgID(fmt.Sprintf("w.%d", i)))
		}
		if _, err := js.PublishAsync(subject, data, opts...); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}
