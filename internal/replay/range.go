package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/watch"
)

// Point is where a range begins or ends, as somebody says it: the zero Point is
// wherever the stream does.
type Point struct {
	Time     change.Millis // of a commit
	LSN      change.LSN
	Seq      change.Seq
	Baseline bool // the first baseline that is left
	text     string
}

func (p Point) String() string { return p.text }

// Given reports whether anything was said.
func (p Point) Given() bool { return p != Point{} }

// PointError is a point that is none.
type PointError struct{ text, why string }

func (e *PointError) Error() string { return fmt.Sprintf("%q %s", e.text, e.why) }

// ParsePoint reads a time (2026-11-27T22:00:00Z), how long ago one was (-2h), a position
// of the database's log (0/1DAE9F8), a message's sequence (4711) or "baseline". A sequence with a time (4711@2026-11-27T22:00:00Z)
// is what an interrupted replay goes on from.
func ParsePoint(text string, now time.Time) (Point, error) {
	p := Point{text: text}
	var err error
	switch {
	case text == "":
		return Point{}, nil
	case text == "baseline":
		p.Baseline = true
		return p, nil
	case strings.Contains(text, "/"):
		if p.LSN, err = change.ParseLSN(text); err != nil || p.LSN == 0 {
			return Point{}, &PointError{text, "is no position of the database's log as in 0/1DAE9F8"}
		}
		return p, nil
	}
	number, moment, both := strings.Cut(text, "@")
	if seq, err := strconv.ParseUint(number, 10, 64); err == nil {
		if p.Seq = change.Seq(seq); seq == 0 {
			return Point{}, &PointError{text, "is no sequence: messages are counted from 1"}
		}
		if !both {
			return p, nil
		}
		at, err := time.Parse(time.RFC3339, moment)
		if err != nil {
			return Point{}, &PointError{text, "is no sequence with a time as in 4711@2026-11-27T22:00:00Z"}
		}
		p.Time = change.MillisOf(at)
		return p, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if ago, short := time.ParseDuration(text); short == nil {
		at, err = now.Add(-ago.Abs()), nil
	}
	if err != nil {
		return Point{}, &PointError{text, "is no time (2026-11-27T22:00:00Z, -2h), no position of the log (0/1DAE9F8), no sequence and not baseline"}
	}
	if at.After(now) {
		return Point{}, &PointError{text, "is in the future"}
	}
	p.Time = change.MillisOf(at)
	return p, nil
}

// mark is where and when a message stands; zero where it does not say: records of a gap and
// of an epoch have no place in the log.
type mark struct {
	lsn change.LSN
	at  change.Millis
}

func markOf(decoder *change.Decoder, r *change.Record) (m mark, kind change.Kind, err error) {
	if !change.IsControl(r.Data) {
		var s change.Step
		err = decoder.Step(r.Data, &s)
		return mark{s.Transaction.CommitLSN, s.Transaction.Time}, "", err
	}
	c, err := decoder.Control(r.Data)
	if err != nil {
		return m, "", err
	}
	if c.Transaction != nil {
		return mark{c.Transaction.CommitLSN, c.Transaction.Time}, c.Kind, nil
	}
	if c.Kind == change.BaselineBegin { // the rows that follow stand a byte before it
		c.LSN--
	}
	return mark{c.LSN, c.Time}, c.Kind, nil
}

// finder finds messages of a stream by what they say.
type finder struct {
	past    Past
	bounds  Bounds
	decoder change.Decoder
}

func (m mark) placed() bool { return m.lsn != 0 }
func (m mark) timed() bool  { return m.at != 0 }

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
		found, _, err := markOf(&f.decoder, &m.Record)
		if err == nil && has(found) {
			return found, true, nil
		}
		if err != nil {
			return mark{}, false, fmt.Errorf("message %d: %w", seq, err)
		}
	}
	return mark{}, false, nil
}

// first is the first message of those with a mark that has what is asked for and holds; one
// behind the last where none does. The stream is in the order of the log, and nearly in
// that of time.
func (f *finder) first(ctx context.Context, has, holds func(mark) bool) (change.Seq, error) {
	low, high := f.bounds.First, f.bounds.Last+1
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
		case change.Seq(tx.Message) > seq-f.bounds.First && f.bounds.First > 1:
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

// byTime is the first message that committed at a time or after it, or with end the last
// one that did at the time or before. Commit times may be a minute out of the log's order.
func (f *finder) byTime(ctx context.Context, at change.Millis, end bool) (change.Seq, error) {
	low, err := f.first(ctx, mark.timed, func(m mark) bool { return m.at.Add(skew) >= at })
	if err != nil {
		return 0, err
	}
	high, err := f.first(ctx, mark.timed, func(m mark) bool { return m.at > at.Add(skew) })
	if err != nil {
		return 0, err
	}
	seq := low - 1
	if !end {
		seq = high
	}
	if low >= high {
		return seq, nil
	}
	err = f.past.Range(ctx, low, high-1, func(r change.Record) error {
		m, _, err := markOf(&f.decoder, &r)
		switch {
		case err != nil:
			return fmt.Errorf("message %d: %w", r.Seq, err)
		case m.at == 0:
		case end && m.at <= at:
			seq = r.Seq
		case !end && m.at >= at:
			seq = r.Seq
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return seq, err
}

// slack is by how much commit times may be out of the log's order.
const slack = 2000

// locate is the first message of a range that begins at a point, or with end the last one
// of a range that ends there. What is before the stream's beginning is an error.
func (f *finder) locate(ctx context.Context, p Point, end bool) (seq change.Seq, err error) {
	switch {
	case p.Seq != 0:
		seq = p.Seq
	case p.LSN != 0:
		seq, err = f.first(ctx, mark.placed, func(m mark) bool { return m.lsn > p.LSN || m.lsn == p.LSN && !end })
	case p.Time != 0:
		seq, err = f.byTime(ctx, p.Time, end)
	}
	if err != nil {
		return 0, err
	}
	if end && p.LSN != 0 {
		seq--
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
		return 0, &PointError{p.text, fmt.Sprintf("is behind the end of the stream, message %d", f.bounds.Last)}
	}
	return seq, nil
}

// early reports whether a point is before the oldest message that is left.
func (f *finder) early(ctx context.Context, p Point) (bool, error) {
	m, found, err := f.at(ctx, f.bounds.First, f.bounds.Last, func(m mark) bool { return m.placed() && m.timed() })
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

// stampOf is when the message at a sequence committed, as people read it.
func (f *finder) stampOf(ctx context.Context, seq change.Seq) string {
	if m, found, err := f.at(ctx, seq, min(f.bounds.Last, seq+1000), mark.timed); err == nil && found {
		return event.Stamp(m.at)
	}
	return "unknown"
}

// Ordered refuses a range that ends before it begins, as far as that can be seen.
func Ordered(from, to Point) error {
	if from.Time > 0 && to.Time > 0 && from.Time > to.Time || from.LSN > 0 && to.LSN > 0 && from.LSN > to.LSN ||
		from.Seq > 0 && to.Seq > 0 && from.Seq > to.Seq {
		return &PointError{from.text, fmt.Sprintf("comes after %q: the range is reversed", to.text)}
	}
	return nil
}
