package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// window is what a Writer and a BatchWriter have in common: messages that are
// not acknowledged yet, a bound on them, and the one failure that ends it.
type window struct {
	conn   *Conn
	name   string // unique to this writer: what its ids begin with
	inbox  string
	listen string // the subject of the answers
	answer nats.MsgHandler
	turn   chan struct{} // one publisher at a time
	note   chan struct{}
	watch  *watcher
	dead   atomic.Bool // err is set

	mu       sync.Mutex // guards against publishers, acks, the timer and connection events meeting
	sub      *nats.Subscription
	timer    *time.Timer
	assigned Seq
	acked    Seq
	bytes    int64     // in flight
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

// open makes the window of a writer that continues behind last and hears of its
// messages at its inbox with a suffix.
func (w *window) open(c *Conn, last Seq, suffix string, answer nats.MsgHandler) {
	w.conn, w.name, w.inbox, w.answer = c, rand.Text()[:12], c.nc.NewInbox(), answer
	w.listen = w.inbox + suffix
	w.turn, w.note = make(chan struct{}, 1), make(chan struct{}, 1)
	w.assigned, w.acked = last, last
	w.watch = &watcher{
		disconnected: func(err error) { w.fail(fmt.Errorf("%w: connection was lost: %w", ErrUncertain, err)) },
		denied:       w.denied,
	}
	c.watch(w.watch)
}

// enter takes the turn to publish a message of the size, and waits for room;
// leave gives the turn back. On an error there is nothing to give back.
func (w *window) enter(ctx context.Context, subject string, data []byte) error {
	if len(data) > w.conn.MaxPayload() {
		return w.conn.checkSize(fmt.Sprintf("publish to %q", subject), data)
	}
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := w.room(ctx, int64(len(data)))
	if err != nil {
		w.leave()
	}
	return err
}

func (w *window) leave() { <-w.turn }

// room waits until a message of the size fits into the window. Having waited,
// it lets a quarter of the window drain: waking up for each ack is slow.
func (w *window) room(ctx context.Context, size int64) error {
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
func (w *window) Flush(ctx context.Context) error {
	w.mu.Lock()
	if messages, _ := w.inFlight(); messages == 0 || w.err != nil {
		defer w.mu.Unlock()
		return w.err
	}
	ready := w.await(0, 0)
	w.mu.Unlock()
	return w.wait(ctx, ready)
}

func (w *window) wait(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return w.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await needs mu.
func (w *window) await(messages int, bytes int64) <-chan struct{} {
	ready := make(chan struct{})
	w.waiters = append(w.waiters, waiter{messages, bytes, ready})
	return ready
}

// inFlight needs mu.
func (w *window) inFlight() (messages int, bytes int64) {
	return int(w.assigned - w.acked), w.bytes
}

// start subscribes to the acks and arms the timer at the first message. It
// needs mu.
func (w *window) start() error {
	if w.sub != nil {
		return nil
	}
	sub, err := w.conn.nc.Subscribe(w.listen, w.answer)
	if err != nil {
		return fmt.Errorf("subscribe to acks: %w", err)
	}
	w.sub = sub
	w.timer = time.AfterFunc(w.conn.cfg.AckTimeout, w.onTimer)
	w.conn.tail.begin(w)
	return nil
}

// wake needs mu.
func (w *window) wake() {
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

func (w *window) onTimer() {
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

func (w *window) denied(p *PermissionError) {
	if p.Subject == w.listen || strings.HasPrefix(p.Subject, w.conn.names.cdcPrefix) {
		w.fail(fmt.Errorf("%w: %w", ErrUncertain, p))
	}
}

func (w *window) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.die(err)
	}
}

// die needs mu, and that err is nil so far.
func (w *window) die(err error) {
	w.err = classify("write to stream "+strconv.Quote(w.conn.names.cdcStream), err)
	w.dead.Store(true)
	w.conn.tail.end(w)
	if w.sub != nil {
		_ = w.sub.Unsubscribe()
		w.timer.Stop()
	}
	w.wake()
}

// Acked is the last sequence of which this and all before are stored.
func (w *window) Acked() Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// Notify has a value after Acked grew or the writer died. One value may stand
// for many changes.
func (w *window) Notify() <-chan struct{} { return w.note }

// Err says why the writer is dead, or nil.
func (w *window) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the writer without waiting for acks; Flush does that. A batch that
// has not been sent whole is not stored. Close can be called more than once.
func (w *window) Close() {
	w.conn.unwatch(w.watch)
	w.fail(ErrClosed)
}
