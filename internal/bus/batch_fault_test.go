package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

// flood publishes message next and on until the writer fails.
func flood(ctx context.Context, c *bus.Conn, w *bus.BatchWriter, next int) <-chan error {
	result := make(chan error, 1)
	go func() {
		var err error
		for i := next; err == nil; i++ {
			_, err = w.Publish(ctx, c.StepSubject(1), payload(i))
		}
		result <- err
	}()
	return result
}

func waitAcked(t *testing.T, w *bus.BatchWriter, seq bus.Seq) {
	t.Helper()
	for w.Acked() < seq {
		receive(t, w.Notify())
		if err := w.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// A server is killed while batches are on their way, at random moments, and comes
// back with the same files: what it has is a prefix, with all that was acknowledged.
func TestServerKilledAmongBatches(t *testing.T) {
	server := testkit.NewNATS(t, testkit.NATSOptions{JetStream: "sync_interval: always"})
	next := 0
	rng := rand.New(rand.NewPCG(3, 5))
	for round := range 15 {
		c := connect(t, bus.Config{URL: server.URL(), Batches: true})
		if err := c.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := wantPrefix(t, stored(t, c))
		if n < next {
			t.Fatalf("round %d: %d messages are stored, %d were acknowledged", round, n, next)
		}
		t.Logf("%d messages, %d of them not acknowledged", n, n-next)
		w := newBatchWriter(t, c, bus.Seq(n))
		published := flood(t.Context(), c, w, n)
		waitAcked(t, w, bus.Seq(n+100*(round+1)))
		<-time.After(time.Duration(rng.IntN(15_000)) * time.Microsecond)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, published); !errors.Is(err, bus.ErrUncertain) {
			t.Fatal(err)
		}
		next = int(w.Acked())
		c.Close()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

// The connection is cut in the middle of batches, which a slow network stretches.
func TestCutConnectionLeavesWholeBatches(t *testing.T) {
	s, reader := openBatches(t, bus.Config{})
	p, err := testkit.NewProxy(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	c := connect(t, bus.Config{
		URL: "nats://" + p.Addr(), Batches: true,
		Options: append(s.Owner(), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0)),
	})
	p.Delay(time.Millisecond)
	for round := range 12 {
		last, _, err := reader.CDCTail(t.Context())
		if err != nil && !errors.Is(err, bus.ErrNoMessage) {
			t.Fatal(err)
		}
		w := newBatchWriter(t, c, last)
		published := flood(t.Context(), reader, w, int(last))
		waitAcked(t, w, last+bus.Seq(1+100*round))
		p.Cut()
		// What the server still had in its buffers may come after the tail was read,
		// and then fences the writer.
		if err := receive(t, published); !errors.Is(err, bus.ErrUncertain) && !errors.Is(err, bus.ErrFenced) {
			t.Fatal(err)
		}
		if n := wantPrefix(t, stored(t, reader)); n < int(w.Acked()) {
			t.Fatalf("%d messages are stored, %d were acknowledged", n, w.Acked())
		}
		testkit.Eventually(t, 20*time.Second, func() error {
			if !c.Connected() {
				return errors.New("not connected")
			}
			return nil
		})
	}
	if sizes := batchSizes(t, s, reader); len(sizes) < 12 {
		t.Errorf("batches of %v", sizes)
	}
}

// A batch whose writer is closed before its commit is sent is not stored at all.
func TestClosedBatchWriterLeavesPrefix(t *testing.T) {
	_, c := openBatches(t, bus.Config{})
	next := 0
	for range 20 {
		w := newBatchWriter(t, c, bus.Seq(next))
		published := flood(t.Context(), c, w, next)
		waitAcked(t, w, bus.Seq(next+10))
		w.Close()
		if err := receive(t, published); !errors.Is(err, bus.ErrClosed) {
			t.Fatal(err)
		}
		// The last batch may have been whole, and come a moment later: writing goes on
		// behind it, or is refused and begins again.
		for done := false; !done; {
			n := wantPrefix(t, stored(t, c))
			if n < int(w.Acked()) {
				t.Fatalf("%d messages are stored, %d were acknowledged", n, w.Acked())
			}
			after := newBatchWriter(t, c, bus.Seq(n))
			_, err := after.Publish(t.Context(), c.StepSubject(1), payload(n))
			err = errors.Join(err, after.Flush(t.Context()))
			if done = err == nil; !done && !errors.Is(err, bus.ErrFenced) {
				t.Fatal(err)
			}
			next = n + 1
		}
	}
}

// A cancelled call does not harm the writer, and its message is either taken or not.
func TestCancelledPublishLeavesBatchWriterUsable(t *testing.T) {
	_, c := openBatches(t, bus.Config{Window: 5})
	w := newBatchWriter(t, c, 0)
	next := 0
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Microsecond)
		if _, err := w.Publish(ctx, c.StepSubject(1), payload(next)); err == nil {
			next++
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		cancel()
	}
	publishBatches(t, c, w, next, 10)
	if n := wantPrefix(t, stored(t, c)); n != next+10 {
		t.Errorf("%d messages are stored, %d were taken", n, next+10)
	}
}

// Somebody forbids batches while we write.
func TestBatchesForbiddenMeanwhile(t *testing.T) {
	s, c := openBatches(t, bus.Config{})
	js := raw(t, s)
	stream, err := js.Stream(t.Context(), c.CDCStream())
	if err != nil {
		t.Fatal(err)
	}
	w := newBatchWriter(t, c, 0)
	published := flood(t.Context(), c, w, 0)
	waitAcked(t, w, 500)
	cfg := stream.CachedInfo().Config
	cfg.AllowAtomicPublish = false
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	err = receive(t, published)
	if !errors.Is(err, bus.ErrUncertain) {
		t.Fatal(err)
	}
	t.Log(err)
	if n := wantPrefix(t, stored(t, c)); n < int(w.Acked()) {
		t.Errorf("%d messages are stored, %d were acknowledged", n, w.Acked())
	}
	// Whoever begins anew learns why.
	w = newBatchWriter(t, c, bus.Seq(wantPrefix(t, stored(t, c))))
	err = receive(t, flood(t.Context(), c, w, int(w.Acked())))
	if h := advice(t, err); !strings.Contains(h, "--allow-batch") {
		t.Errorf("%v: %s", err, h)
	}
}

func TestSetupOfBatches(t *testing.T) {
	s := startServer(t, embedded.Config{})
	setup := func(cfg bus.Config) error {
		cfg.Options = s.InProcess()
		return connect(t, cfg).Setup(t.Context())
	}
	allowed := func() bool {
		stream, err := raw(t, s).Stream(t.Context(), "QUESTWATCH_CDC")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config.AllowAtomicPublish
	}
	if err := setup(bus.Config{}); err != nil || allowed() {
		t.Fatal("batches are allowed although nobody asked", err)
	}
	err := setup(bus.Config{Batches: true, Manage: bus.ManageVerify})
	if h := advice(t, err); !errors.Is(err, bus.ErrSetup) || !hint.IsSetup(err) || !strings.Contains(h, "nats stream edit QUESTWATCH_CDC --allow-batch") {
		t.Errorf("%v: %s", err, h)
	}
	if err := setup(bus.Config{Batches: true}); err != nil || !allowed() {
		t.Fatal("batches are not allowed on a stream that was there", err)
	}
	if err := setup(bus.Config{}); err != nil || !allowed() {
		t.Error("what allows more was taken back", err)
	}
	if err := setup(bus.Config{Batches: true, Manage: bus.ManageVerify}); err != nil {
		t.Error(err)
	}
	js := raw(t, s)
	if err := js.DeleteStream(t.Context(), "QUESTWATCH_CDC"); err != nil {
		t.Fatal(err)
	}
	err = setup(bus.Config{Batches: true, Manage: bus.ManageVerify})
	if h := advice(t, err); !strings.Contains(h, "--allow-batch") {
		t.Errorf("%v: %s", err, h)
	}
}

// A stream that is written some time after it acknowledges is none for us, whatever
// the server's monitoring page says.
func TestSetupRefusesAsynchronousStream(t *testing.T) {
	s := startServer(t, embedded.Config{SyncAlways: true})
	c := connect(t, bus.Config{Options: s.InProcess()})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	js := raw(t, s)
	stream, err := js.Stream(t.Context(), c.CDCStream())
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), cfg.Name); err != nil {
		t.Fatal(err)
	}
	cfg.PersistMode = jetstream.AsyncPersistMode
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, batches := range []bool{true, false} {
		err := connect(t, bus.Config{Options: s.InProcess(), Batches: batches}).Setup(t.Context())
		if !errors.Is(err, bus.ErrSetup) || !strings.Contains(err.Error(), "persist mode is Async, not Default") {
			t.Error(err)
		}
		advice(t, err)
	}
}

// Whoever may read can have copies of our messages, with all their headers, sent to
// the stream, a whole batch of them in its order too. The server takes none.
func TestCopiesOfBatchesAreRefused(t *testing.T) {
	s, c := openBatches(t, bus.Config{})
	publishBatches(t, c, newBatchWriter(t, c, 0), 0, 50)
	if sizes := batchSizes(t, s, c); len(sizes) == 50 {
		t.Fatal("there is no batch")
	}
	reader, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for seq := range 50 {
		body := fmt.Appendf(nil, `{"seq":%d}`, seq+1)
		if err := reader.PublishRequest("$JS.API.DIRECT.GET."+c.CDCStream(), c.ControlSubject(), body); err != nil {
			t.Fatal(err)
		}
	}
	// An answer of another kind is stored, behind all copies.
	if err := reader.PublishRequest("$JS.API.STREAM.INFO."+c.CDCStream(), c.ControlSubject(), nil); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, func() error {
		if last, _, err := c.CDCTail(t.Context()); err != nil || last < 51 {
			return fmt.Errorf("stream is at %d: %w", last, err)
		}
		return nil
	})
	publishBatches(t, c, newBatchWriter(t, c, 51), 50, 20)
	if n := wantPrefix(t, stored(t, c)); n != 70 {
		t.Errorf("%d messages are stored", n)
	}
}
