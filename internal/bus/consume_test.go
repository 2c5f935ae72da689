package bus_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

// consume runs ConsumeCDC in the background; messages arrive on the channel.
func consume(t *testing.T, c *bus.Conn, from bus.Seq, opts ...bus.ConsumeOption) (messages <-chan bus.Message, end <-chan error) {
	t.Helper()
	ch, result := make(chan bus.Message, 100_000), make(chan error, 1)
	stop := background(t, func(ctx context.Context) error {
		err := c.ConsumeCDC(ctx, from, func(m bus.Message) error { ch <- kept(m); return nil }, opts...)
		result <- err
		return err
	})
	t.Cleanup(func() { _ = stop() })
	return ch, result
}

func wantMessages(t *testing.T, ch <-chan bus.Message, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		if m := receive(t, ch); m.Seq != bus.Seq(i+1) || string(m.Data) != string(payload(i)) {
			t.Fatalf("got %d %q instead of message %d", m.Seq, m.Data, i)
		}
	}
}

func TestConsumeFollowsStream(t *testing.T) {
	_, c := open(t)
	caughtUp := make(chan bus.Seq, 1)
	onCaughtUp := bus.OnCaughtUp(func(tail bus.Seq) error { caughtUp <- tail; return nil })
	ch, _ := consume(t, c, 0, onCaughtUp)
	if tail := receive(t, caughtUp); tail != 0 {
		t.Errorf("caught up with an empty stream at %d", tail)
	}
	w := newWriter(t, c, 0)
	publish(t, c, w, 0, 3000)
	wantMessages(t, ch, 0, 3000)

	late, _ := consume(t, c, 2991, onCaughtUp)
	if tail := receive(t, caughtUp); tail != 3000 {
		t.Errorf("caught up at %d", tail)
	}
	if len(late) != 10 {
		t.Errorf("%d messages were delivered before", len(late))
	}
	wantMessages(t, late, 2990, 10)

	fresh, _ := consume(t, c, bus.New, onCaughtUp)
	receive(t, caughtUp)
	publish(t, c, w, 3000, 1)
	wantMessages(t, ch, 3000, 1)
	wantMessages(t, late, 3000, 1)
	wantMessages(t, fresh, 3000, 1)
}

func TestConsumeEndsWithFunctionAndContext(t *testing.T) {
	_, c := open(t)
	publish(t, c, newWriter(t, c, 0), 0, 5)
	enough, n := errors.New("enough"), 0
	err := c.ConsumeCDC(t.Context(), 1, func(bus.Message) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("%d messages, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = c.ConsumeCDC(ctx, 0, func(bus.Message) error { return nil }, bus.OnCaughtUp(func(bus.Seq) error { cancel(); return nil }))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestConsumeSurvivesRestartOfServer(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, embedded.Config{Dir: dir})
	addr := s.Addr().String()
	fast := []nats.Option{nats.ReconnectWait(10 * time.Millisecond), nats.ReconnectJitter(0, 0)}
	c := connect(t, bus.Config{URL: s.ClientURL(), Options: append(s.Owner(), fast...)})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	ch, _ := consume(t, c, 1)
	for round := range 3 {
		publish(t, c, newWriter(t, c, bus.Seq(round*500)), round*500, 500)
		wantMessages(t, ch, round*500, 500)
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		s = startServer(t, embedded.Config{Dir: dir, Listen: addr})
		waitConnected(t, c)
	}
}

// waitConnected waits for a request to succeed.
func waitConnected(t *testing.T, c *bus.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, err := c.CDCState(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestConsumeSurvivesLossOfConsumer(t *testing.T) {
	s, c := open(t)
	js := raw(t, s)
	// Another connection than the writer's: it has no local tail to read instead.
	ch, _ := consume(t, connect(t, bus.Config{Options: s.InProcess()}), 1)
	for round := range 3 {
		publish(t, c, newWriter(t, c, bus.Seq(round*50)), round*50, 50)
		wantMessages(t, ch, round*50, 50)
		stream, err := js.Stream(t.Context(), c.CDCStream())
		if err != nil {
			t.Fatal(err)
		}
		deleted := 0
		for name := range stream.ConsumerNames(t.Context()).Name() {
			if err := stream.DeleteConsumer(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			deleted++
		}
		if deleted != 1 {
			t.Fatalf("round %d: %d consumers, want 1", round, deleted)
		}
	}
}

func TestConsumeNoticesDiscardedHead(t *testing.T) {
	s, c := open(t)
	publish(t, c, newWriter(t, c, 0), 0, 10)
	stream, err := raw(t, s).Stream(t.Context(), c.CDCStream())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(6)); err != nil {
		t.Fatal(err)
	}
	err = c.ConsumeCDC(t.Context(), 3, func(bus.Message) error { return nil })
	var gap *bus.SeqGapError
	if !errors.As(err, &gap) || gap.Want != 3 || gap.Got != 6 {
		t.Fatal(err)
	}
	if got := stored(t, c); len(got) != 5 || got[0].Seq != 6 {
		t.Errorf("from the oldest: %v", got)
	}
	if _, err := c.CDCMessage(t.Context(), 3); !errors.Is(err, bus.ErrNoMessage) {
		t.Errorf("discarded message: %v", err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state, err := c.CDCState(t.Context()); err != nil || state.First != 11 || state.Last != 10 || state.Messages != 0 {
		t.Errorf("purged stream: %+v, %v", state, err)
	}
	if last, _, err := c.CDCTail(t.Context()); last != 10 || !errors.Is(err, bus.ErrNoMessage) {
		t.Errorf("tail of a purged stream: %d, %v", last, err)
	}
}

func TestConsumeNoticesRecreatedStream(t *testing.T) {
	s, c := open(t)
	js := raw(t, s)
	publish(t, c, newWriter(t, c, 0), 0, 10)
	ch, end := consume(t, c, 1)
	wantMessages(t, ch, 0, 10)
	if err := c.ConsumeCDC(t.Context(), 12, func(bus.Message) error { return nil }); !errors.Is(err, bus.ErrStreamReset) {
		t.Errorf("from beyond the end: %v", err)
	}
	if err := js.DeleteStream(t.Context(), c.CDCStream()); err != nil {
		t.Fatal(err)
	}
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, end); !errors.Is(err, bus.ErrStreamReset) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Fatal(err)
	}
}

// A reader of the stream can have responses of the API sent to its subjects.
func TestForeignMessagesAreSkipped(t *testing.T) {
	s, c := open(t)
	publish(t, c, newWriter(t, c, 0), 0, 3)
	reader, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	inject := func(request, body string) {
		if err := reader.PublishRequest(request, c.ControlSubject(), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	inject("$JS.API.STREAM.INFO."+c.CDCStream(), "")
	inject("$JS.API.STREAM.MSG.GET."+c.CDCStream(), `{"seq":2}`)
	inject("$JS.API.DIRECT.GET."+c.CDCStream(), `{"seq":2}`) // a copy with all headers
	inject("$JS.API.STREAM.INFO."+c.CDCStream(), "")
	last := awaitLast(t, c, 6)
	publish(t, c, newWriter(t, c, last), 3, 2)
	if n := wantPrefix(t, stored(t, c)); n != 5 || c.ForeignMessages() == 0 {
		t.Errorf("%d messages, %d foreign", n, c.ForeignMessages())
	}
}

func awaitLast(t *testing.T, c *bus.Conn, want bus.Seq) bus.Seq {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		last, tail, err := c.CDCTail(ctx)
		if err != nil {
			t.Fatalf("stream is at %d: %v", last, err)
		}
		if last >= want {
			if tail.Seq != 3 {
				t.Errorf("tail is at %d", tail.Seq)
			}
			return last
		}
	}
}

// TestConsumeSince begins at a time, also where that is met again by another consumer.
func TestConsumeSince(t *testing.T) {
	s, c := open(t)
	var stored time.Time
	for n, id := range []string{"a", "b", "c"} {
		if _, err := c.PublishEvent(t.Context(), c.EventSubject("drift.opened.x.1"), id, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if m, err := c.EventMessage(t.Context(), bus.Seq(n+1)); err != nil {
			t.Fatal(err)
		} else if n == 1 {
			stored = m.Stored
		}
	}
	reader := connect(t, bus.Config{Options: s.InProcess()})
	for at, want := range map[time.Time][]bus.Seq{
		{}: {1, 2, 3}, stored: {2, 3}, stored.Add(time.Nanosecond): {3}, time.Now().Add(time.Hour): nil,
	} {
		var got []bus.Seq
		end := errors.New("end")
		err := reader.ConsumeEvents(t.Context(), nil, 0, func(m bus.Message) error {
			got = append(got, m.Seq)
			return nil
		}, bus.Since(at), bus.OnCaughtUp(func(bus.Seq) error { return end }))
		if !errors.Is(err, end) || !slices.Equal(got, want) {
			t.Errorf("since %s: %v, want %v; %v", at, got, want, err)
		}
	}
}

func TestConsumeWithoutPermissionOrStream(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess()})
	err := c.ConsumeCDC(t.Context(), 0, func(bus.Message) error { return nil })
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Error(err)
	}
}

func BenchmarkConsume(b *testing.B) {
	const n = 500_000
	_, c := open(b)
	w := c.NewWriter(0)
	defer w.Close()
	subject, data := c.StepSubject(42), make([]byte, 256)
	for range n {
		if _, err := w.Publish(b.Context(), subject, data); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	done := errors.New("done")
	for b.Loop() {
		err := c.ConsumeCDC(b.Context(), 0, func(bus.Message) error { return nil }, bus.OnCaughtUp(func(bus.Seq) error { return done }))
		if !errors.Is(err, done) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "msgs/s")
}
