package bus

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// batchBytes bounds a batch of several messages. The server holds a batch in
// memory while it commits it, and a long one would keep its acks waiting.
const batchBytes = 8 << 20

// BatchWriter publishes to the CDC stream with the promises of a Writer, in
// atomic batches: what waits while one batch is being committed makes up the
// next one. A server that syncs every write syncs a batch once, so that the
// price of a sync is shared by all that waited for it; a message that finds
// nothing under way goes at once, by itself.
//
// There is never more than one batch under way, and a batch is stored whole or
// not at all. So a message of somebody else can only stand between two batches,
// and then the second is refused for its expected sequence, and none follows:
// no chain of ids is needed to keep holes out. A server that runs out of space in
// the middle of a commit stores the first messages of the batch alone, and does
// not answer; they are a prefix too.
type BatchWriter struct {
	conn  *Conn
	id    string // unique to this writer: what its batches' ids begin with
	inbox string
	turn  chan struct{}
	note  chan struct{}
	watch *watcher
	dead  atomic.Bool // err is set; for whoever is sending

	mu       sync.Mutex // guards against publishers, acks, the timer and connection events meeting
	sub      *nats.Subscription
	timer    *time.Timer
	assigned Seq
	acked    Seq
	waiting  []queued // not sent yet
	sent     []queued // the batch under way; only whoever sends it reads it outside of mu
	batch    int      // its number
	limit    int      // messages a batch
	bytes    int64    // of waiting and sent
	progress time.Time
	waiters  []waiter
	err      error
}

// queued is a message before it is acknowledged.
type queued struct {
	subject string
	data    []byte
}

// NewBatchWriter makes a writer that continues a stream whose last sequence is
// last; the stream has to allow batches (Config.Batches). It sends nothing by
// itself; Close it in the end.
func (c *Conn) NewBatchWriter(last Seq) *BatchWriter {
	w := &BatchWriter{
		conn: c, id: rand.Text()[:12], inbox: c.nc.NewInbox(),
		turn: make(chan struct{}, 1), note: make(chan struct{}, 1),
		assigned: last, acked: last, limit: c.cfg.BatchMessages,
	}
	w.watch = &watcher{
		disconnected: func(err error) { w.fail(fmt.Errorf("%w: connection was lost: %w", ErrUncertain, err)) },
		denied:       w.denied,
	}
	c.watch(w.watch)
	return w
}

// Publish takes a message and returns the sequence it will have once it is
// acknowledged. It blocks while the window is full. Errors of ctx, and
// ErrTooLarge, leave the BatchWriter usable; after any other it is dead. data
// may be reused when Publish returns.
func (w *BatchWriter) Publish(ctx context.Context, subject string, data []byte) (Seq, error) {
	if err := w.conn.checkSize(fmt.Sprintf("publish to %q", subject), data); err != nil {
		return 0, err
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
	seq, next, err := w.take(queued{subject, bytes.Clone(data)})
	if err != nil {
		return 0, err
	}
	w.send(next)
	return seq, nil
}

// take queues a message. When nothing is under way, it is the next batch.
func (w *BatchWriter) take(q queued) (Seq, outgoing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, outgoing{}, w.err
	}
	if err := w.start(); err != nil {
		return 0, outgoing{}, err
	}
	w.assigned++
	w.waiting = append(w.waiting, q)
	w.bytes += int64(len(q.data))
	return w.assigned, w.next(), nil
}

// room waits until a message of the size fits into the window. Having waited,
// it lets a quarter of the window drain, as a Writer does.
func (w *BatchWriter) room(ctx context.Context, size int64) error {
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
func (w *BatchWriter) Flush(ctx context.Context) error {
	w.mu.Lock()
	if messages, _ := w.inFlight(); messages == 0 || w.err != nil {
		defer w.mu.Unlock()
		return w.err
	}
	ready := w.await(0, 0)
	w.mu.Unlock()
	return w.wait(ctx, ready)
}

func (w *BatchWriter) wait(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return w.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await needs mu.
func (w *BatchWriter) await(messages int, bytes int64) <-chan struct{} {
	ready := make(chan struct{})
	w.waiters = append(w.waiters, waiter{messages, bytes, ready})
	return ready
}

// inFlight needs mu.
func (w *BatchWriter) inFlight() (messages int, bytes int64) {
	return int(w.assigned - w.acked), w.bytes
}

// start subscribes to the acks and arms the timer at the first message. It
// needs mu.
func (w *BatchWriter) start() error {
	if w.sub != nil {
		return nil
	}
	sub, err := w.conn.nc.Subscribe(w.inbox+".*", w.onReply)
	if err != nil {
		return fmt.Errorf("subscribe to acks: %w", err)
	}
	w.sub = sub
	w.timer = time.AfterFunc(w.conn.cfg.AckTimeout, w.onTimer)
	return nil
}

// wake needs mu.
func (w *BatchWriter) wake() {
	select {
	case w.note <- struct{}{}:
	default:
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

func (w *BatchWriter) onTimer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	timeout := w.conn.cfg.AckTimeout
	next := timeout
	if len(w.sent) > 0 {
		waited := time.Since(w.progress)
		if waited >= timeout {
			w.die(fmt.Errorf("await ack of message %d: %w: none for %v", w.acked+1, ErrUncertain, timeout))
			return
		}
		next = timeout - waited
	}
	w.timer.Reset(next)
}

func (w *BatchWriter) denied(p *PermissionError) {
	if p.Subject == w.inbox+".*" || strings.HasPrefix(p.Subject, w.conn.names.cdcPrefix) {
		w.fail(fmt.Errorf("%w: %w", ErrUncertain, p))
	}
}

func (w *BatchWriter) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.die(err)
	}
}

// die needs mu, and that err is nil so far.
func (w *BatchWriter) die(err error) {
	w.err = classify(fmt.Sprintf("write to stream %q", w.conn.names.cdcStream), err)
	w.dead.Store(true)
	if w.sub != nil {
		_ = w.sub.Unsubscribe()
		w.timer.Stop()
	}
	w.wake()
}

// Acked is the last sequence of which this and all before are stored.
func (w *BatchWriter) Acked() Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// Notify has a value after Acked grew or the BatchWriter died. One value may
// stand for many changes.
func (w *BatchWriter) Notify() <-chan struct{} { return w.note }

// Err says why the BatchWriter is dead, or nil.
func (w *BatchWriter) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the BatchWriter without waiting for acks; Flush does that. A batch
// that has not been sent whole is not stored. It can be called more than once.
func (w *BatchWriter) Close() {
	w.conn.unwatch(w.watch)
	w.fail(ErrClosed)
}
