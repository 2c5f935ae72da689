package bus

import (
	"bytes"
	"context"
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
	window

	// Under mu.
	waiting []queued // not sent yet
	sent    []queued // the batch under way; only whoever sends it reads it outside of mu
	batch   int      // its number
	limit   int      // messages a batch
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
	w := &BatchWriter{limit: c.cfg.BatchMessages}
	w.open(c, last, ".*", w.onReply)
	return w
}

// Publish takes a message and returns the sequence it will have once it is
// acknowledged. It blocks while the window is full. Errors of ctx, and
// ErrTooLarge, leave the BatchWriter usable; after any other it is dead. data
// may be reused when Publish returns.
func (w *BatchWriter) Publish(ctx context.Context, subject string, data []byte) (Seq, error) {
	if err := w.enter(ctx, subject, data); err != nil {
		return 0, err
	}
	defer w.leave()
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
	w.conn.tail.add(&w.window, w.assigned, q, true)
	return w.assigned, w.next(), nil
}
