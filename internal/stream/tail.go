package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
)

// tail is where the stream ends: what it holds for certain, and what a writer
// that goes on must not write again.
type tail struct {
	first, last change.Seq
	// epoch is the newest one in the stream.
	epoch uint64
	// whole is the newest recorded end LSN: all that ends at or below it is in the
	// stream. 0 when the stream does not say.
	whole change.LSN
	// partial is the position of the last message when its transaction is not
	// complete in the stream, else zero.
	partial partial
	// seeking: partial's last change has not been found yet.
	seeking bool
}

// passed is the position behind everything that is in the stream. A transaction
// that begins to commit below it is there, in whole or in part.
func (t *tail) passed() change.LSN { return max(t.whole, t.partial.commit+1) }

// partial is a transaction of which the first messages are in the stream.
type partial struct {
	commit   change.LSN
	messages int // how many are there
	held     bool
	// Of one that was streamed as it came: the last change that is there, and how
	// many control records of either sort follow it.
	order, notes, schemas int
}

// entry is a message of the stream, decoded as far as the tail needs.
type entry struct {
	source      change.Source
	transaction *change.Transaction
	control     *change.Control // nil for a step
	order       int             // of a step's last change
}

// readTail finds where a stream ends. It looks at the last message, and behind
// an unfinished transaction at the one before that.
func readTail(ctx context.Context, cdc CDC) (t tail, err error) {
	t.first, t.last, err = cdc.Bounds(ctx)
	if err != nil {
		return t, fmt.Errorf("read the stream's tail: %w", err)
	}
	for seq := t.last; seq > 0; {
		e, err := readEntry(ctx, cdc, seq)
		switch {
		case errors.Is(err, ErrNoRecord):
			return t, nil
		case errors.Is(err, change.ErrMalformed):
			seq-- // somebody else's: whoever reads the stream passes it over too
			continue
		case err != nil:
			return t, fmt.Errorf("read the stream's tail at %d: %w", seq, err)
		}
		t.epoch = max(t.epoch, e.source.Epoch)
		if t.whole = e.whole(); t.whole != 0 {
			return t, nil
		}
		back := t.note(e)
		if change.Seq(back) >= seq {
			return t, nil
		}
		seq -= change.Seq(back)
	}
	return t, nil
}

// note takes in a message that records no end LSN, and says how many messages to
// go back for one that may.
func (t *tail) note(e entry) (back int) {
	tx := e.transaction
	if tx == nil {
		return 1
	}
	if t.partial.commit == 0 && !e.source.Snapshot {
		t.partial = partial{commit: tx.CommitLSN, messages: tx.Message, held: tx.Messages > 0}
		t.seeking = !t.partial.held
	}
	if t.seeking && t.seek(e) {
		return 1
	}
	return max(1, tx.Message)
}

// seek looks for the last change of the partial transaction, behind control
// records that follow it. It reports whether to go on.
func (t *tail) seek(e entry) bool {
	switch {
	case e.transaction.CommitLSN != t.partial.commit:
		t.seeking = false
		return false
	case e.control == nil:
		t.partial.order, t.seeking = e.order, false
		return false
	case e.control.Kind == change.SchemaChanged:
		t.partial.schemas++
	default:
		t.partial.notes++
	}
	return true
}

// whole is the end LSN that the message records, or 0.
func (e *entry) whole() change.LSN {
	switch {
	case e.control != nil:
		return e.control.Recorded()
	case e.transaction.Whole():
		return e.transaction.EndLSN
	}
	return 0
}

func readEntry(ctx context.Context, cdc CDC, seq change.Seq) (e entry, err error) {
	record, err := cdc.Record(ctx, seq)
	if err != nil {
		return e, err
	}
	var d change.Decoder
	if change.IsControl(record.Data) {
		e.control, err = d.Control(record.Data)
		if err != nil {
			return e, err
		}
		e.source, e.transaction = e.control.Source, e.control.Transaction
		return e, nil
	}
	var step change.Step
	if err := d.Step(record.Data, &step); err != nil {
		return e, err
	}
	e.source, e.transaction = step.Source, &step.Transaction
	if n := len(step.Changes); n > 0 {
		e.order = step.Changes[n-1].Order
	}
	return e, nil
}
