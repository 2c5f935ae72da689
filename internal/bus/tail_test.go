package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/testkit"
)

// publisher is either kind of writer.
type publisher interface {
	Publish(ctx context.Context, subject string, data []byte) (bus.Seq, error)
	Flush(ctx context.Context) error
	Close()
}

func newPublisher(c *bus.Conn, last bus.Seq, batches bool) publisher {
	if batches {
		return c.NewBatchWriter(last)
	}
	return c.NewWriter(last)
}

// consumers counts the CDC stream's in the server.
func consumers(t testing.TB, c *bus.Conn, js jetstream.JetStream) (n int) {
	t.Helper()
	stream, err := js.Stream(t.Context(), c.CDCStream())
	if err != nil {
		t.Fatal(err)
	}
	names := stream.ConsumerNames(t.Context())
	for range names.Name() {
		n++
	}
	if names.Err() != nil {
		t.Fatal(names.Err())
	}
	return n
}

// followed publishes one message after the other, from message next on, until no
// consumer is left in the server, and returns the one to go on with.
func followed(t testing.TB, c *bus.Conn, js jetstream.JetStream, w publisher, next int) int {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		if _, err := w.Publish(t.Context(), c.StepSubject(int64(next)), payload(next)); err != nil {
			t.Fatal(err)
		}
		next++
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := consumers(t, c, js); n > 0 {
			return fmt.Errorf("%d consumers", n)
		}
		return nil
	})
	return next
}

// started is consume, begun: its consumer is in the server.
func started(t *testing.T, c *bus.Conn, from bus.Seq) (messages <-chan bus.Message, end <-chan error) {
	t.Helper()
	ready := make(chan struct{})
	messages, end = consume(t, c, from, bus.OnCaughtUp(func(bus.Seq) error { close(ready); return nil }))
	receive(t, ready)
	return messages, end
}

func TestOwnWritingIsReadWithoutConsumer(t *testing.T) {
	for _, batches := range []bool{false, true} {
		t.Run(fmt.Sprintf("batches=%t", batches), func(t *testing.T) {
			s, c := openBatches(t, bus.Config{})
			js := raw(t, s)
			w := newPublisher(c, 0, batches)
			defer w.Close()
			ch, _ := started(t, c, 0)
			fresh, _ := started(t, c, bus.New)
			n := followed(t, c, js, w, 0)
			wantMessages(t, ch, 0, n)
			for range 2000 {
				if _, err := w.Publish(t.Context(), c.StepSubject(int64(n)), payload(n)); err != nil {
					t.Fatal(err)
				}
				n++
			}
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := time.Now()
			wantMessages(t, ch, n-2000, 2000)
			if got := consumers(t, c, js); got != 0 {
				t.Errorf("%d consumers", got)
			}
			for {
				m := receive(t, fresh)
				if age := before.Sub(m.Stored); age < -time.Second || age > time.Minute {
					t.Errorf("message %d was stored %v before it was read", m.Seq, age)
				}
				if int(m.Seq) == n {
					break
				}
			}
		})
	}
}

// All consumers get what the stream holds, whatever becomes of the writer, of the
// other messages in the stream, and of the time that they take.
func TestOwnWritingIsReadAsStored(t *testing.T) {
	for _, server := range []string{"embedded", "external"} {
		for _, batches := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, batches=%t", server, batches), func(t *testing.T) {
				t.Parallel()
				readAsStored(t, server, batches)
			})
		}
	}
}

func readAsStored(t *testing.T, server string, batches bool) {
	// 40 messages or so are kept.
	cfg := bus.Config{Batches: batches, TailBytes: 4 << 10, Window: 64}
	var s *embedded.Server
	if server == "embedded" {
		s = startServer(t, embedded.Config{})
		cfg.Options = s.InProcess()
	} else {
		cfg.URL = testkit.NewNATS(t, testkit.NATSOptions{}).URL()
	}
	c, other := connect(t, cfg), connect(t, cfg)
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(cfg.URL, cfg.Options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	const readers = 4
	var end [readers]chan []bus.Message
	last := []byte("the last one")
	for i := range readers {
		end[i] = make(chan []bus.Message, 1)
		rng := rand.New(rand.NewPCG(7, uint64(i)))
		stop := background(t, func(ctx context.Context) error {
			var got []bus.Message
			return c.ConsumeCDC(ctx, 0, func(m bus.Message) error {
				got = append(got, kept(m))
				if i > 0 && rng.IntN(100) == 0 {
					<-time.After(time.Duration(rng.IntN(3000*i)) * time.Microsecond)
				}
				if string(m.Data) == string(last) {
					end[i] <- got
				}
				return nil
			})
		})
		t.Cleanup(func() { _ = stop() })
	}
	rng := rand.New(rand.NewPCG(1, 2))
	n := 0
	for round := range 60 {
		writeRound(t, rng, c, other, nc, batches, &n)
		if round%10 == 0 {
			<-time.After(time.Duration(rng.IntN(20)) * time.Millisecond)
		}
	}
	writeLast(t, c, batches, last)
	want := stored(t, other)
	for i := range readers {
		got := receive(t, end[i])
		same := slices.EqualFunc(got, want, func(a, b bus.Message) bool {
			return a.Seq == b.Seq && a.Subject == b.Subject && string(a.Data) == string(b.Data)
		})
		if !same {
			t.Errorf("reader %d got %d messages, %d are stored, or others", i, len(got), len(want))
		}
	}
}

// writeLast tries until no message of writers before stands in the way.
func writeLast(t *testing.T, c *bus.Conn, batches bool, data []byte) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() error {
		state, err := c.CDCState(t.Context())
		if err != nil {
			return err
		}
		w := newPublisher(c, state.Last, batches)
		defer w.Close()
		if _, err := w.Publish(t.Context(), c.ControlSubject(), data); err != nil {
			return err
		}
		return w.Flush(t.Context())
	})
}

// writeRound writes with a writer that is closed, fenced by a stranger, or
// followed by the writer of another connection.
func writeRound(t *testing.T, rng *rand.Rand, c, other *bus.Conn, nc *nats.Conn, batches bool, n *int) {
	t.Helper()
	state, err := c.CDCState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := c
	if rng.IntN(5) == 0 {
		by = other
	}
	w := newPublisher(by, state.Last, batches)
	defer w.Close()
	stranger, pauses := rng.IntN(300), rng.IntN(2) == 0
	for i := range rng.IntN(400) {
		if i == stranger {
			if err := nc.Publish(c.ControlSubject(), []byte("not ours")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Publish(t.Context(), c.StepSubject(int64(*n)), payload(*n)); err != nil {
			if !errors.Is(err, bus.ErrFenced) {
				t.Fatal(err)
			}
			return
		}
		*n++
		if pauses && rng.IntN(20) == 0 {
			<-time.After(time.Duration(rng.IntN(2000)) * time.Microsecond)
		}
	}
	if rng.IntN(2) == 0 {
		if err := w.Flush(t.Context()); err != nil && !errors.Is(err, bus.ErrFenced) {
			t.Fatal(err)
		}
	}
}

// A consumer that stands still keeps the writer from nothing, and misses nothing.
func TestStalledConsumerDoesNotHoldUpWriter(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess(), TailBytes: 64 << 10})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	js := raw(t, s)
	stall, stalled, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var got []bus.Message
	end := make(chan error, 1)
	enough := errors.New("enough")
	ready := make(chan struct{})
	go func() {
		end <- c.ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
			got = append(got, kept(m))
			select {
			case <-stall:
				if stalled != nil {
					close(stalled)
					stalled = nil
					<-goOn
				}
			default:
			}
			if string(m.Data) == "end" {
				return enough
			}
			return nil
		}, bus.OnCaughtUp(func(bus.Seq) error { close(ready); return nil }))
	}()
	receive(t, ready)
	w := newWriter(t, c, 0)
	n := followed(t, c, js, w, 0)
	wait := stalled
	close(stall)
	publish(t, c, w, n, 1)
	receive(t, wait)
	publish(t, c, w, n+1, 10_000)
	close(goOn)
	if _, err := w.Publish(t.Context(), c.ControlSubject(), []byte("end")); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, end); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if len(got) != n+1+10_000+1 {
		t.Errorf("%d messages came", len(got))
	}
	wantPrefix(t, got[:len(got)-1])
}

// Who reads what was never sent by the server still notices that the server lost it.
func TestFollowerNoticesRolledBackAndRefilledStream(t *testing.T) {
	for _, refill := range []string{"by others", "by itself"} {
		t.Run(refill, func(t *testing.T) {
			dir := t.TempDir()
			s := startServer(t, embedded.Config{Dir: dir})
			addr := s.Addr().String()
			c := connect(t, bus.Config{URL: s.ClientURL(), Options: append(s.Owner(), nats.ReconnectWait(10*time.Millisecond))})
			if err := c.Setup(t.Context()); err != nil {
				t.Fatal(err)
			}
			store, old := filepath.Join(dir, "jetstream"), filepath.Join(t.TempDir(), "old")
			restart := func(between func() error) {
				t.Helper()
				if err := errors.Join(s.Stop(), between()); err != nil {
					t.Fatal(err)
				}
				s = startServer(t, embedded.Config{Dir: dir, Listen: addr})
				waitConnected(t, c)
			}
			publish(t, c, newWriter(t, c, 0), 0, 5)
			restart(func() error { return os.CopyFS(old, os.DirFS(store)) })

			ready, arrived, refilled, seen := make(chan struct{}), make(chan bus.Seq), make(chan struct{}), make(chan error, 1)
			go func() {
				known := bus.Seq(0)
				seen <- c.ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
					if known > 0 {
						return errors.New("read on in another stream")
					}
					if string(m.Data) == "stop here" {
						known = m.Seq
						arrived <- m.Seq
						<-refilled
					}
					return nil
				}, bus.OnCaughtUp(func(bus.Seq) error { close(ready); return nil }))
			}()
			receive(t, ready)
			w := newWriter(t, c, 5)
			n := followed(t, c, raw(t, s), w, 5)
			if _, err := w.Publish(t.Context(), c.ControlSubject(), []byte("stop here")); err != nil {
				t.Fatal(err)
			}
			if seq := receive(t, arrived); int(seq) != n+1 {
				t.Fatalf("arrived at %d of %d", seq, n)
			}
			restart(func() error { return errors.Join(os.RemoveAll(store), os.CopyFS(store, os.DirFS(old))) })
			by := c
			if refill == "by others" {
				by = connect(t, bus.Config{Options: s.InProcess()})
			}
			again := newWriter(t, by, 5)
			publish(t, by, again, 5, n-5)
			if _, err := again.Publish(t.Context(), c.ControlSubject(), []byte("stop here")); err != nil { // the same text
				t.Fatal(err)
			}
			publish(t, by, again, n+1, 5)
			close(refilled)
			if err := receive(t, seen); !errors.Is(err, bus.ErrStreamReset) {
				t.Errorf("consume: %v, want ErrStreamReset", err)
			}
		})
	}
}

// No message of the writer's tells that the stream is gone when there is none.
func TestIdleFollowerNoticesRecreatedStream(t *testing.T) {
	s, c := open(t)
	js := raw(t, s)
	_, end := started(t, c, 0)
	followed(t, c, js, newWriter(t, c, 0), 0)
	if err := js.DeleteStream(t.Context(), c.CDCStream()); err != nil {
		t.Fatal(err)
	}
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The other error comes of looking in between.
	if err := receive(t, end); !errors.Is(err, bus.ErrStreamReset) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Fatal(err)
	}
}

// A writer whose connection is lost leaves its readers to the server.
func TestFollowerSurvivesRestartOfServer(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, embedded.Config{Dir: dir})
	addr := s.Addr().String()
	c := connect(t, bus.Config{URL: s.ClientURL(), Options: append(s.Owner(), nats.ReconnectWait(10*time.Millisecond))})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	ch, end := started(t, c, 0)
	n := 0
	for range 3 {
		from := n
		n = followed(t, c, raw(t, s), newWriter(t, c, bus.Seq(n)), n)
		wantMessages(t, ch, from, n-from)
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		s = startServer(t, embedded.Config{Dir: dir, Listen: addr})
		waitConnected(t, c)
	}
	c.Close()
	if err := receive(t, end); !errors.Is(err, bus.ErrClosed) {
		t.Error(err)
	}
}

// BenchmarkConsumeWhileWriting writes and reads at once, without the server and
// by way of it.
func BenchmarkConsumeWhileWriting(b *testing.B) {
	for name, kept := range map[string]int64{"tail": 0, "server": -1} {
		b.Run(name, func(b *testing.B) {
			s := startServer(b, embedded.Config{})
			c := connect(b, bus.Config{Options: s.InProcess(), TailBytes: kept})
			if err := c.Setup(b.Context()); err != nil {
				b.Fatal(err)
			}
			w := c.NewWriter(0)
			defer w.Close()
			end, done := errors.New("end"), make(chan error, 1)
			go func() {
				done <- c.ConsumeCDC(b.Context(), 0, func(m bus.Message) error {
					if len(m.Data) == 0 {
						return end
					}
					return nil
				})
			}()
			subject, data := c.StepSubject(42), make([]byte, 256)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Publish(b.Context(), subject, data); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := w.Publish(b.Context(), subject, nil); err != nil {
				b.Fatal(err)
			}
			if err := receive(b, done); !errors.Is(err, end) {
				b.Fatal(err)
			}
		})
	}
}
