package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/watch"
)

// mark is where and when a message stands. The position and the time are zero where it does
// not say: records of a gap and of an epoch have no place in the log.
type mark struct {
	epoch uint64
	lsn   change.LSN
	at    change.Millis
}

func markOf(decoder *change.Decoder, r *change.Record) (mark, error) {
	if !change.IsControl(r.Data) {
		var s change.Step
		err := decoder.Step(r.Data, &s)
		return mark{s.Source.Epoch, s.Transaction.CommitLSN, s.Transaction.Time}, err
	}
	c, err := decoder.Control(r.Data)
	switch {
	case err != nil:
		return mark{}, err
	case c.Transaction != nil:
		return mark{c.Source.Epoch, c.Transaction.CommitLSN, c.Transaction.Time}, nil
	case c.Kind == change.BaselineBegin: // the rows that follow stand a byte before it
		return mark{c.Source.Epoch, c.LSN - 1, c.Time}, nil
	}
	return mark{c.Source.Epoch, c.LSN, c.Time}, nil
}

func (m mark) any() bool    { return true }
func (m mark) placed() bool { return m.lsn != 0 }
func (m mark) timed() bool  { return m.at != 0 }

// finder finds messages of a stream by what they say.
type finder struct {
	past    Past
	bounds  Bounds
	decoder change.Decoder
}

// at is the mark of a message or of the next one that has what is asked for; false at the end.
func (f *finder) at(ctx context.Context, seq, to change.Seq, has func(mark) bool) (mark, bool, error) {
	for ; seq <= to; seq++ {
		m, err := f.past.Message(ctx, seq)
		if errors.Is(err, watch.ErrNoMessage) {
			continue
		}
		if err != nil {
			return mark{}, false, fmt.Errorf("look at message %d: %w", seq, err)
		}
		found, err := markOf(&f.decoder, &m.Record)
		if err == nil && has(found) {
			return found, true, nil
		}
		if err != nil {
			return mark{}, false, fmt.Errorf("message %d: %w", seq, err)
		}
	}
	return mark{}, false, nil
}

// first is the first message from low on and before high that has what is asked for and
// holds; high where none does. From one that holds on, all have to.
func (f *finder) first(ctx context.Context, low, high change.Seq, has, holds func(mark) bool) (change.Seq, error) {
	for low < high {
		middle := low + (high-low)/2
		m, found, err := f.at(ctx, middle, high-1, has)
		if err != nil {
			return 0, err
		}
		if !found || holds(m) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// moment is the last message that counts at a point. In the middle of a transaction it is
// the one before that: nobody sees half a transaction.
func (f *finder) moment(ctx context.Context, p Point) (change.Seq, error) {
	last, err := f.locate(ctx, p, true)
	if err != nil {
		return 0, err
	}
	for seq := last; ; {
		tx, between, err := f.inside(ctx, seq)
		switch {
		case err != nil:
			return 0, err
		case between && seq > f.bounds.First:
			seq--
		case tx == nil:
			return last, nil
		case change.Seq(tx.Message) > seq-f.bounds.First && (f.bounds.First > 1 || tx.Message > int(seq)):
			return 0, f.gone(p)
		case tx.Message <= 1:
			return seq - 1, nil
		default: // writers that took over left records in between: the first one may be further up
			seq -= change.Seq(tx.Message - 1)
			last = seq - 1
		}
	}
}

// inside is the transaction in whose middle a message leaves the reader, else nil. Between
// says that the message does not change that: another writer goes on with what there was.
func (f *finder) inside(ctx context.Context, seq change.Seq) (tx *change.Transaction, between bool, err error) {
	m, err := f.past.Message(ctx, seq)
	switch {
	case errors.Is(err, watch.ErrNoMessage):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("look at message %d: %w", seq, err)
	case !change.IsControl(m.Data):
		var s change.Step
		err = f.decoder.Step(m.Data, &s)
		if !s.Source.Snapshot {
			tx = &s.Transaction
		}
	default:
		var c *change.Control
		if c, err = f.decoder.Control(m.Data); err == nil && c.Kind != change.TxEnd {
			tx, between = c.Transaction, c.Kind == change.Epoch || c.Kind == change.Gap
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("message %d: %w", seq, err)
	}
	if tx != nil && tx.Whole() {
		tx = nil
	}
	return tx, between, nil
}

// baseline is where one begins and ends in the stream, and the position that it ends with.
type baseline struct {
	begin, end change.Seq
	lsn        change.LSN
}

// baseline is the first whole one between two messages, of which one may have begun
// before; without an end where there is none.
func (f *finder) baseline(ctx context.Context, from, to, begun change.Seq) (baseline, error) {
	b := baseline{begin: begun}
	err := f.past.Range(ctx, from, to, func(m change.Record) error {
		if !change.IsControl(m.Data) {
			return nil
		}
		c, err := f.decoder.Control(m.Data)
		switch {
		case err != nil:
			return err
		case c.Kind == change.BaselineBegin:
			b.begin = m.Seq
		case c.Kind == change.BaselineEnd && b.begin != 0:
			b.end, b.lsn = m.Seq, c.LSN
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return b, fmt.Errorf("look for a baseline: %w", err)
	}
	return b, nil
}

// slack is how much before the oldest message a time may lie and still mean that one.
const slack = 2000

// locate is the first message of a range that begins at a point, or with end the last one
// of a range that ends there. What is before the stream's beginning is an error.
func (f *finder) locate(ctx context.Context, p Point, end bool) (seq change.Seq, err error) {
	switch {
	case p.Seq != 0:
		seq = p.Seq
	case p.LSN != 0:
		seq, err = f.byLSN(ctx, p, end)
	case p.Time != 0:
		seq, err = f.byTime(ctx, p.Time, end)
	}
	if err != nil {
		return 0, err
	}
	early := seq < f.bounds.First
	if !early && !end && p.Seq == 0 && seq == f.bounds.First && f.bounds.First > 1 {
		if early, err = f.early(ctx, p); err != nil {
			return 0, err
		}
	}
	if early {
		return 0, f.gone(p)
	}
	if seq > f.bounds.Last {
		return 0, f.behind(ctx, p)
	}
	return seq, nil
}

// early reports whether a point is before the oldest message that is left.
func (f *finder) early(ctx context.Context, p Point) (bool, error) {
	has := mark.timed
	if p.LSN != 0 {
		has = mark.placed
	}
	m, found, err := f.at(ctx, f.bounds.First, f.bounds.Last, has)
	return found && (p.LSN != 0 && p.LSN < m.lsn || p.Time != 0 && p.Time+slack < m.at), err
}

// gone says that a point is before what the stream has.
func (f *finder) gone(p Point) error {
	said := ""
	if at := since(f.bounds.Oldest); at != "" {
		said = " of " + at
	}
	return hint.Wrap(&PointError{p.text, "is before the beginning of the stream"},
		"the stream begins with message %d%s; stream.keep_for and stream.keep_bytes say how much is kept", f.bounds.First, said)
}

// when is the time of a moment of which a message is the last one that counts: what was asked
// for, where the stream goes on behind it, else when that committed or what the stream's
// clock says there, which is behind while transactions follow each other.
func (f *finder) when(ctx context.Context, p Point, last change.Seq, clock change.Millis) change.Millis {
	if p.Time != 0 && p.Seq == 0 && last < f.bounds.Last {
		return p.Time
	}
	if m, found, err := f.at(ctx, last, last, mark.timed); err == nil && found {
		clock = max(clock, m.at)
	}
	return clock
}

// behind says that a point is behind what the stream has.
func (f *finder) behind(ctx context.Context, p Point) error {
	return hint.Wrap(&PointError{p.text, fmt.Sprintf("is behind the end of the stream, message %d", f.bounds.Last)},
		"the newest message of it is of %s", f.stampOf(ctx, f.bounds.Last))
}

// stampOf is when the message at a sequence committed, as people read it.
func (f *finder) stampOf(ctx context.Context, seq change.Seq) string {
	if m, found, err := f.at(ctx, seq, min(f.bounds.Last, seq+1000), mark.timed); err == nil && found {
		return event.Stamp(m.at)
	}
	return "unknown"
}
