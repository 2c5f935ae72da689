package bus

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	entryBytes   = 80      // of a message beside its data, about
	tailMessages = 256     // handed out at a time
	maxTaken     = 1 << 20 // of the data of those, that is kept for the next
	tailCheck    = 5 * time.Second
)

// localTail is the end of the CDC stream as the writer of this connection has
// written it, for the consumers of this connection: what it has handed to the
// server need not come back from there. It holds messages from their assignment
// on and shows those that are acknowledged. What all consumers have read goes, but
// for a quarter of what there is room for, by which one that comes from the server
// finds its place. When there are too many the oldest go all the same, and a
// consumer that had still to read them does so from the server: nobody waits for it.
//
// A writer that lives proves that the stream continues, unbroken, what it has
// written; the server would refuse its next message otherwise. It proves nothing
// about what came before it, which is for the consumer to find out (feed.locate)
// after the writer's first ack.
type localTail struct {
	limit   int64
	readers atomic.Int32 // nothing is kept when there are none

	mu      sync.Mutex // guards against publishers, acks and readers meeting
	writer  *window    // whose messages these are; nil when it died
	proven  bool       // it had an ack
	acked   Seq
	first   Seq // the oldest kept, or the next to come; 0 is unknown
	entries []tailEntry
	head    int // of entries; those before are gone
	bytes   int64
	arena   *arena   // that the next message goes to
	spare   []*arena // of which nothing is kept any more
	waiting map[*tailReader]struct{}
	// following has what each reader that reads here reads next, and passed the least
	// of these; 0 when some reader does not read here at present.
	following map[*tailReader]Seq
	passed    Seq
}

type tailEntry struct {
	queued
	arena *arena // where the data is; nil if that is a piece of its own
	acked int64  // when, in nanoseconds
}

// tailReader is what one consumer waits at, and the data of what it took last.
type tailReader struct {
	wake chan struct{}
	data []byte
}

func newLocalTail(limit int64) *localTail {
	return &localTail{limit: limit, waiting: map[*tailReader]struct{}{}, following: map[*tailReader]Seq{}}
}

// join begins the keeping of messages. Each needs a leave.
func (t *localTail) join() *tailReader {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers.Add(1)
	t.pass()
	return &tailReader{wake: make(chan struct{}, 1)}
}

func (t *localTail) leave(r *tailReader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, r)
	delete(t.following, r)
	if t.readers.Add(-1) == 0 {
		t.forget()
	}
	t.pass()
}

// depart is told that a reader does not read here any more, for now.
func (t *localTail) depart(r *tailReader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.following, r)
	t.pass()
}

// pass finds out what all have read. It needs mu.
func (t *localTail) pass() {
	t.passed = 0
	if len(t.following) < int(t.readers.Load()) {
		return
	}
	for _, next := range t.following {
		if t.passed == 0 || next < t.passed {
			t.passed = next
		}
	}
}

// forget needs mu.
func (t *localTail) forget() {
	t.first, t.entries, t.head, t.bytes, t.arena, t.spare = 0, nil, 0, 0, nil, nil
}

// begin makes w the writer, in place of any other.
func (t *localTail) begin(w *window) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writer, t.proven, t.acked = w, false, 0
	t.forget()
	t.wakeAll()
}

// end says that w wrote its last message.
func (t *localTail) end(w *window) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer == w {
		t.writer = nil
		t.forget()
		t.wakeAll()
	}
}

// wakeAll needs mu.
func (t *localTail) wakeAll() {
	for r := range t.waiting {
		r.wake <- struct{}{} // there is room: it has not been woken since it waits
		delete(t.waiting, r)
	}
}

// add takes the message that w has assigned seq to. The data is the tail's own to
// keep, or else copied.
func (t *localTail) add(w *window, seq Seq, q queued, own bool) {
	if t.readers.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer != w || t.readers.Load() == 0 {
		return
	}
	if t.first == 0 || seq != t.next() { // some went by while nobody read
		t.forget()
		t.first = seq
	}
	e := tailEntry{queued: q}
	if !own {
		t.keep(&e)
	}
	t.entries = append(t.entries, e)
	t.bytes += int64(len(q.data)) + entryBytes
	t.trim()
}

// next is the sequence to be added next. It needs mu.
func (t *localTail) next() Seq { return t.first + Seq(len(t.entries)-t.head) }

// trim needs mu.
func (t *localTail) trim() {
	for t.head < len(t.entries) && (t.bytes > t.limit || t.bytes > t.limit/4 && t.first < t.passed) {
		e := &t.entries[t.head]
		t.bytes -= int64(len(e.data)) + entryBytes
		t.release(e.arena)
		*e = tailEntry{}
		t.head++
		t.first++
	}
	if t.head > 1024 && t.head > len(t.entries)/2 {
		n := copy(t.entries, t.entries[t.head:])
		clear(t.entries[n:])
		t.entries, t.head = t.entries[:n], 0
	}
}

// ack shows what w has written up to seq.
func (t *localTail) ack(w *window, seq Seq, now time.Time) {
	if t.readers.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer != w {
		return
	}
	if t.first > 0 {
		at := now.UnixNano()
		for s := max(t.acked+1, t.first); s <= seq && s < t.next(); s++ {
			t.entries[t.head+int(s-t.first)].acked = at
		}
	}
	t.acked, t.proven = seq, true
	t.wakeAll()
}

// covers returns the writer whose messages a consumer that has come to next can
// take from here on, or nil. One that would soon fall out again is better off
// with the server: it has to be in the newer half of what is kept.
func (t *localTail) covers(next Seq) *window {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer == nil || !t.proven || t.first == 0 || next > t.next() || next < t.first+Seq(len(t.entries)-t.head)/2 {
		return nil
	}
	return t.writer
}

// proof returns the writer if it had an ack.
func (t *localTail) proof() *window {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.proven {
		return nil
	}
	return t.writer
}

// take appends acknowledged messages of w from next on, whose data is valid until r
// takes others. When there are none yet, r will be woken; when there will be none,
// it returns false.
func (t *localTail) take(w *window, next Seq, r *tailReader, into []Message) ([]Message, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer != w || t.first == 0 || next < t.first || next > t.next() {
		return into, false
	}
	t.following[r] = next
	t.pass()
	data := r.data[:0]
	for ; next <= t.acked && next < t.next() && len(into) < cap(into); next++ {
		e := &t.entries[t.head+int(next-t.first)]
		n := len(data)
		data = append(data, e.data...) // when it moves, what was taken stays where it was
		into = append(into, Message{Seq: next, Subject: e.subject, Data: data[n:len(data):len(data)], Stored: time.Unix(0, e.acked)})
	}
	if cap(data) <= maxTaken {
		r.data = data
	}
	if len(into) == 0 {
		select {
		case <-r.wake:
		default:
		}
		t.waiting[r] = struct{}{}
	}
	return into, true
}

// stored is when a message was acknowledged; false if it is not kept, or was not.
func (t *localTail) stored(seq Seq) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer == nil || t.first == 0 || seq < t.first || seq >= t.next() || seq > t.acked {
		return time.Time{}, false
	}
	return time.Unix(0, t.entries[t.head+int(seq-t.first)].acked), true
}

// handed is a message that came from the tail, by which the server's copy is
// known.
type handed struct {
	Message
	writer string
}

// is tells the message from another at the same sequence of a stream that lost
// its end. A lone message of a BatchWriter has no id of its own, and is known by
// what it says.
func (d *handed) is(m storedMessage) bool {
	if m.Subject != d.Subject || !bytes.Equal(m.Data, d.Data) {
		return false
	}
	id := m.header.Get(jetstream.MsgIDHeader)
	if id == "" {
		id = m.header.Get(batchIDHeader)
	}
	return id == "" || strings.HasPrefix(id, d.writer+".")
}
