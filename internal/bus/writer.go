package bus

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Writer publishes to the CDC stream. See the package documentation for what
// it guarantees. Publish may be called concurrently; messages are stored in the
// order in which it assigned sequences.
type Writer struct {
	window
	acks ackDecoder // used by the subscription's goroutine only

	// Used in turn only.
	msg nats.Msg // the library does not keep it
	// The values in msg's header.
	follows, id, previous []string

	sizes []int64 // of the messages in flight, by sequence modulo the window; under mu
}

// NewWriter makes a writer that continues a stream whose last sequence is last.
// It sends nothing by itself; Close it in the end.
func (c *Conn) NewWriter(last Seq) *Writer {
	w := &Writer{
		follows: make([]string, 1), id: make([]string, 1), previous: make([]string, 1), sizes: make([]int64, c.cfg.Window),
	}
	w.open(c, last, "", w.onAck)
	return w
}

// Publish sends a message and returns the sequence it will have once it is
// acknowledged. It blocks while the window is full. Errors of ctx, and
// ErrTooLarge, leave the Writer usable; after any other it is dead. data may
// be reused when Publish returns.
func (w *Writer) Publish(ctx context.Context, subject string, data []byte) (Seq, error) {
	if err := w.enter(ctx, subject, data); err != nil {
		return 0, err
	}
	defer w.leave()
	seq, err := w.assign(subject, data)
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

func (w *Writer) assign(subject string, data []byte) (Seq, error) {
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
	w.sizes[uint64(w.assigned)%uint64(len(w.sizes))] = int64(len(data))
	w.bytes += int64(len(data))
	w.conn.tail.add(&w.window, w.assigned, queued{subject, data}, false)
	return w.assigned, nil
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
	w.conn.tail.ack(&w.window, seq, w.progress)
	w.wake()
}
