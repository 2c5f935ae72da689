package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

// The headers of a batch. The server keeps them with the messages.
const (
	batchIDHeader     = "Nats-Batch-Id"
	batchSeqHeader    = "Nats-Batch-Sequence"
	batchCommitHeader = "Nats-Batch-Commit"
)

// The server answers messages of a batch that name a reply with nothing, which
// is how a long batch shows that it gets on.
const (
	progressEvery = 64
	progressBytes = 256 << 10
	progressReply = ".p"
)

// outgoing is a batch to send; messages is empty when there is none.
type outgoing struct {
	messages []queued
	number   int
	last     Seq // of the stream before the batch
}

// next makes a batch of what waits, unless one is under way. Its caller sends
// it. It needs mu.
func (w *BatchWriter) next() outgoing {
	if w.err != nil || len(w.sent) > 0 || len(w.waiting) == 0 {
		return outgoing{}
	}
	n, size := 0, 0
	for n < min(len(w.waiting), w.limit) {
		size += len(w.waiting[n].data)
		if n > 0 && size > batchBytes {
			break
		}
		n++
	}
	w.sent = append(w.sent[:0], w.waiting[:n]...)
	rest := copy(w.waiting, w.waiting[n:])
	clear(w.waiting[rest:])
	w.waiting = w.waiting[:rest]
	w.batch++
	w.progress = time.Now()
	return outgoing{w.sent, w.batch, w.acked}
}

// send publishes a batch. A lone message needs no more than its expected
// sequence, and is cheaper so: the server keeps a batch in files of its own until
// its commit.
func (w *BatchWriter) send(b outgoing) {
	if len(b.messages) == 0 {
		return
	}
	header := nats.Header{jetstream.ExpectedLastSeqHeader: {strconv.FormatUint(uint64(b.last), 10)}}
	number := make([]string, 1)
	if len(b.messages) > 1 {
		header[batchIDHeader] = []string{w.name + "." + strconv.Itoa(b.number)}
		header[batchSeqHeader] = number
	}
	commit := w.commitReply(b.number)
	unanswered := progressBytes // the first message says whether a batch is welcome
	for i, q := range b.messages {
		if w.dead.Load() {
			return // what lacks its commit is not stored
		}
		m := nats.Msg{Subject: q.subject, Header: header, Data: q.data}
		number[0] = strconv.Itoa(i + 1)
		unanswered += len(q.data)
		switch {
		case i == len(b.messages)-1:
			m.Reply = commit
			if i > 0 {
				header[batchCommitHeader] = []string{"1"}
			}
		case i%progressEvery == 0 || unanswered >= progressBytes:
			m.Reply, unanswered = w.inbox+progressReply, 0
		}
		if err := w.conn.nc.PublishMsg(&m); err != nil {
			w.fail(fmt.Errorf("%w: %w", ErrUncertain, err))
			return
		}
		if i == 0 {
			delete(header, jetstream.ExpectedLastSeqHeader)
		}
	}
}

// commitReply is where a batch's commit is answered, another subject for each, so
// that a late answer cannot pass for another batch's.
func (w *BatchWriter) commitReply(number int) string { return w.inbox + "." + strconv.Itoa(number) }

func (w *BatchWriter) onReply(m *nats.Msg) {
	if strings.HasSuffix(m.Subject, progressReply) {
		w.onProgress(m)
		return
	}
	w.send(w.onCommit(m))
}

// onProgress hears of a batch whose commit is yet to come. That it is too large
// is for the commit's answer to say: until then it may still be being sent.
func (w *BatchWriter) onProgress(m *nats.Msg) {
	var err error
	if len(m.Data) > 0 || len(m.Header) > 0 {
		_, err = decodeBatchAck(m)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	if err != nil && errorCode(err) != codeBatchTooLarge {
		w.die(fmt.Errorf("await ack of message %d: %w", w.acked+1, w.refusal(w.acked+1, err)))
		return
	}
	w.progress = time.Now()
}

// onCommit ends the batch under way and returns the next one.
func (w *BatchWriter) onCommit(m *nats.Msg) outgoing {
	ack, err := decodeBatchAck(m)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return outgoing{}
	}
	n := len(w.sent)
	first, last := w.acked+1, w.acked+Seq(n)
	switch {
	case m.Subject != w.commitReply(w.batch) || n == 0:
		err = fmt.Errorf("%w: answer to another batch", ErrUncertain)
	case errorCode(err) == codeBatchTooLarge && n > 1:
		w.shrink()
		return w.next()
	case err != nil:
		err = w.refusal(first, err)
	case Seq(ack.Seq) != last || n > 1 && ack.Count != n:
		err = fmt.Errorf("%w: ack is for %d messages up to %d, not for %d up to %d", ErrUncertain, max(1, ack.Count), ack.Seq, n, last)
	}
	if err != nil {
		w.die(fmt.Errorf("await ack of messages %d to %d: %w", first, last, err))
		return outgoing{}
	}
	w.acked = last
	for _, q := range w.sent {
		w.bytes -= int64(len(q.data))
	}
	clear(w.sent)
	w.sent = w.sent[:0]
	w.conn.tail.ack(&w.window, last, time.Now())
	w.wake()
	return w.next()
}

// shrink takes back a batch that the server refused for its size, of which it has
// stored nothing, and makes smaller ones from now on. It needs mu.
func (w *BatchWriter) shrink() {
	w.limit = max(1, len(w.sent)/2)
	w.conn.log.Info("the server takes smaller batches only", "messages", w.limit)
	w.waiting = append(w.sent, w.waiting...)
	w.sent = nil
}

// refusal turns the error of a batch that begins with message first into one
// of the BatchWriter's.
func (w *BatchWriter) refusal(first Seq, err error) error {
	if errorCode(err) == codeBatchDisabled {
		return hint.Wrap(fmt.Errorf("%w: %w", ErrUncertain, err), "%s", allowBatches(w.conn.names.cdcStream))
	}
	return refusal(first, err)
}

// batchAck is the answer to a commit. Count is absent for a lone message.
type batchAck struct {
	Error     *jetstream.APIError `json:"error"`
	Stream    string              `json:"stream"`
	Seq       uint64              `json:"seq"`
	Count     int                 `json:"count"`
	Duplicate bool                `json:"duplicate"`
}

func decodeBatchAck(m *nats.Msg) (a batchAck, err error) {
	if len(m.Data) == 0 {
		if m.Header.Get("Status") == "503" {
			return a, nats.ErrNoResponders
		}
		return a, errors.New("decode ack: empty")
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return a, fmt.Errorf("decode ack: %w", err)
	}
	switch {
	case a.Error != nil:
		return a, a.Error
	case a.Stream == "" || a.Seq == 0:
		return a, errors.New("decode ack: no stream or sequence in it")
	case a.Duplicate:
		return a, fmt.Errorf("decode ack: duplicate of message %d", a.Seq)
	}
	return a, nil
}
