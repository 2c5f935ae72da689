package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Writer publishes to the CDC stream. See the package documentation for what
// it guarantees. Publish may be called concurrently; messages are stored in the
// order in which it assigned sequences.
type Writer struct {
	conn  *Conn
	name  string // unique to this writer: what its message ids begin with
	turn  chan struct{}
	note  chan struct{}
	watch *watcher
	acks  ackDecoder // used by the subscription's goroutine only

	// Used under turn only.
	inbox string
	msg   nats.Msg // the library does not keep it
	// The values in msg's header.
	follows, id, previous []string

	mu       sync.Mutex // guards against publishers, acks, the timer and connection events meeting
	sub      *nats.Subscription
	timer    *time.Timer
	assigned Seq
	acked    Seq
	sizes    []int64 // of the messages in flight, by sequence modulo the window
	bytes    int64
	progress time.Time // of the last ack, or of the first message in flight
	waiters  []waiter
	err      error
}

// waiter waits until few enough messages and bytes are in flight.
type waiter struct {
	messages int
	bytes    int64
	ready    chan struct{}
}

// NewWriter makes a writer that continues a stream whose last sequence is last.
// It sends nothing by itself; Close it in the end.
func (c *Conn) NewWriter(last Seq) *Writer {
	w := &Writer{
		conn: c, name: rand.Text()[:12],
		turn: make(chan struct{}, 1), note: make(chan struct{}, 1),
		inbox: c.nc.NewInbox(), follows: make([]string, 1), id: make([]string, 1), previous: make([]string, 1),
		assigned: last, acked: last, sizes: make([]int64, c.cfg.Window),
	}
	w.watch = &watcher{
		disconnected: func(err error) { w.fail(fmt.Errorf("%w: connection was lost: %w", ErrUncertain, err)) },
		denied:       w.denied,
	}
	c.watch(w.watch)
	return w
}

// Publish sends a message and returns the sequence it will have once it is
// acknowledged. It blocks while the window is full. Errors of ctx, and
// ErrTooLarge, leave the Writer usable; after any other it is dead. data may
// be reused when Publish returns.
func (w *Writer) Publish(ctx context.Context, subject string, data []byte) (Seq, error) {
	if len(data) > w.conn.MaxPayload() {
		return 0, w.conn.checkSize(fmt.Sprintf("publish to %q", subject), data)
	}
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-w.turn }()
	if err := w.room(ctx, int64(len(data))); err != nil {
		return 0, err
	}
	seq, err := w.assign(int64(len(data)))
	if err != nil {
		return 0, err
	}
	if err := w.conn.nc.PublishMsg(w.message(seq, subject, data)); err != nil {
		w.fail(fmt.Errorf("%w: %w", ErrUncertain, err))
		return 0, w.Err()
	}
	return seq, nil
}

// message names the message it must follow by sequence and by id. It is valid
// until the next call.
func (w *Writer) message(seq Seq, subject string, data []byte) *nats.Msg {
	if w.msg.Header == nil {
		w.msg = nats.Msg{Reply: w.inbox, Header: nats.Header{
			jetstream.ExpectedLastSeqHeader: w.follows, jetstream.MsgIDHeader: w.id,
		}}
	} else {
		w.previous[0] = w.id[0]
		w.msg.Header[jetstream.ExpectedLastMsgIDHeader] = w.previous
	}
	var text [40]byte
	w.follows[0] = string(strconv.AppendUint(text[:0], uint64(seq-1), 10))
	id := append(append(text[:0], w.name...), '.')
	w.id[0] = string(strconv.AppendUint(id, uint64(seq), 10))
	w.msg.Subject, w.msg.Data = subject, data
	return &w.msg
}

// room waits until a message of the size fits into the window. Having waited,
// it lets a quarter of the window drain: waking up for each ack is slow.
func (w *Writer) room(ctx context.Context, size int64) error {
	w.mu.Lock()
	messages, bytes := w.inFlight()
	window, windowBytes := w.conn.cfg.Window, w.conn.cfg.WindowBytes
	if w.err != nil || messages == 0 || messages < window && bytes+size <= windowBytes {
		defer w.mu.Unlock()
		return w.err
	}
	ready := w.await(min(window-1, window*3/4), max(0, min(windowBytes-size, windowBytes*3/4)))
	w.mu.Unlock()
	return w.wait(ctx, ready)
}

// Flush waits until all messages published before are acknowledged.
func (w *Writer) Flush(ctx context.Context) error {
	w.mu.Lock()
	if messages, _ := w.inFlight(); messages == 0 || w.err != nil {
		defer w.mu.Unlock()
		return w.err
	}
	ready := w.await(0, 0)
	w.mu.Unlock()
	return w.wait(ctx, ready)
}

func (w *Writer) wait(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return w.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await needs mu.
func (w *Writer) await(messages int, bytes int64) <-chan struct{} {
	ready := make(chan struct{})
	w.waiters = append(w.waiters, waiter{messages, bytes, ready})
	return ready
}

// inFlight needs mu.
func (w *Writer) inFlight() (messages int, bytes int64) {
	return int(w.assigned - w.acked), w.bytes
}

func (w *Writer) assign(size int64) (Seq, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	if err := w.start(); err != nil {
		return 0, err
	}
	if w.assigned == w.acked {
		w.progress = time.Now()
	}
	w.assigned++
	w.sizes[uint64(w.assigned)%uint64(len(w.sizes))] = size
	w.bytes += size
	return w.assigned, nil
}

// start subscribes to the acks and arms the timer at the first message. It
// needs mu.
func (w *Writer) start() error {
	if w.sub != nil {
		return nil
	}
	sub, err := w.conn.nc.Subscribe(w.inbox, w.onAck)
	if err != nil {
		return fmt.Errorf("subscribe to acks: %w", err)
	}
	w.sub = sub
	w.timer = time.AfterFunc(w.conn.cfg.AckTimeout, w.onTimer)
	return nil
}

func (w *Writer) onAck(m *nats.Msg) {
	seq, err := w.acks.decode(m)
	w.mu.Lock()
	defer w.mu.Unlock()
	want := w.acked + 1
	switch {
	case w.err != nil:
		return
	case err != nil:
		err = refusal(want, err)
	case seq != want || seq > w.assigned:
		err = fmt.Errorf("%w: ack is for message %d", ErrUncertain, seq)
	}
	if err != nil {
		w.die(fmt.Errorf("await ack of message %d: %w", want, err))
		return
	}
	w.acked = seq
	w.bytes -= w.sizes[uint64(seq)%uint64(len(w.sizes))]
	w.progress = time.Now()
	w.wake()
}

// wake needs mu.
func (w *Writer) wake() {
	select {
	case w.note <- struct{}{}:
	default:
	}
	if len(w.waiters) == 0 {
		return
	}
	messages, bytes := w.inFlight()
	waiting := w.waiters[:0]
	for _, x := range w.waiters {
		if w.err != nil || messages == 0 || messages <= x.messages && bytes <= x.bytes {
			close(x.ready)
		} else {
			waiting = append(waiting, x)
		}
	}
	w.waiters = waiting
}

func (w *Writer) onTimer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	timeout := w.conn.cfg.AckTimeout
	next := timeout
	if w.assigned > w.acked {
		waited := time.Since(w.progress)
		if waited >= timeout {
			w.die(fmt.Errorf("await ack of message %d: %w: none for %v", w.acked+1, ErrUncertain, timeout))
			return
		}
		next = timeout - waited
	}
	w.timer.Reset(next)
}

func (w *Writer) denied(p *PermissionError) {
	prefix := w.conn.names.cdcPrefix
	if p.Subject == w.inbox || len(p.Subject) > len(prefix) && p.Subject[:len(prefix)] == prefix {
		w.fail(fmt.Errorf("%w: %w", ErrUncertain, p))
	}
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.die(err)
	}
}

// die needs mu, and that err is nil so far.
func (w *Writer) die(err error) {
	w.err = classify("write to stream "+strconv.Quote(w.conn.names.cdcStream), err)
	if w.sub != nil {
		_ = w.sub.Unsubscribe()
		w.timer.Stop()
	}
	w.wake()
}

// Acked is the last sequence of which this and all before are stored.
func (w *Writer) Acked() Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// Notify has a value after Acked grew or the Writer died. One value may stand
// for many changes.
func (w *Writer) Notify() <-chan struct{} { return w.note }

// Err says why the Writer is dead, or nil.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the Writer without waiting for acks; Flush does that. It can be
// called more than once.
func (w *Writer) Close() {
	w.conn.unwatch(w.watch)
	w.fail(ErrClosed)
}
