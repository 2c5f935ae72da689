package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
)

// span is a range of a stream: what is read, and of that what counts. Commit times are not
// quite in the order of the log, so more is read than counts.
type span struct {
	first, last change.Seq // a first of 0 is the oldest, or what was stored since
	since       time.Time
	// given says that the first message was asked for.
	given bool
	// from and to are what of it counts; 0 where all does.
	from, to       change.Millis
	fromLSN, toLSN change.LSN
}

// holds reports whether an item counts.
func (s *span) holds(i *Item) bool {
	return i.Seq >= s.first && (s.from == 0 || i.At >= s.from) && (s.to == 0 || i.At <= s.to) &&
		(s.fromLSN == 0 || i.LSN >= s.fromLSN) && (s.toLSN == 0 || i.LSN != 0 && i.LSN <= s.toLSN)
}

// checkPoints refuses points that a stream does not have.
func checkPoints(k Kind, from, to Point) error {
	if k == KindEvents && (from.LSN != 0 || to.LSN != 0 || from.Baseline) {
		return &PointError{oddOf(from, to), "is nothing that events have: give a time or a sequence"}
	}
	return nil
}

// oddOf is the point that events do not have.
func oddOf(from, to Point) string {
	if from.LSN != 0 || from.Baseline {
		return from.text
	}
	return to.text
}

// spanOf finds the messages of a range of the stream of changes.
func (f *finder) spanOf(ctx context.Context, from, to Point) (s span, err error) {
	s = span{last: f.bounds.Last, given: from.Given(), from: from.Time, to: to.Time}
	if to.Given() {
		if s.last, err = f.locate(ctx, to, true); err != nil {
			return s, err
		}
	}
	switch {
	case from.Baseline:
		s.first, err = f.firstBaseline(ctx)
	case from.Given():
		s.first, err = f.locate(ctx, from, false)
	}
	if err != nil {
		return s, err
	}
	// Between two times in order there may be nothing.
	if times := from.Time != 0 && from.Seq == 0 && to.Time != 0 && to.Seq == 0; times && from.Time > to.Time || !times && s.first > s.last {
		return s, &PointError{from.text, fmt.Sprintf("comes after %q: the range is empty", to.text)}
	}
	return s, nil
}

// firstBaseline is where the first baseline begins that is left whole.
func (f *finder) firstBaseline(ctx context.Context) (change.Seq, error) {
	b, err := f.baseline(ctx, f.bounds.First, f.bounds.Last, 0)
	if err == nil && b.end == 0 {
		err = hint.Wrap(&PointError{"baseline", "is not in the stream any more"}, "the stream begins with message %d", f.bounds.First)
	}
	return b.begin, err
}

// eventSpan is a range of the events. They are stored after they happened, maybe long after.
func eventSpan(e Extent, from, to Point) (s span, err error) {
	s = span{last: e.Last, given: from.Given(), from: from.Time, to: to.Time, first: from.Seq}
	if to.Seq != 0 {
		s.last = to.Seq
	}
	if from.Time != 0 && from.Seq == 0 {
		s.since = from.Time.Time().Add(-skew)
	}
	begins := func(p Point) error {
		return hint.Wrap(&PointError{p.text, "is before the beginning of the stream"},
			"the stream begins with message %d of %s; stream.keep_events_for says how long events are kept", e.First, event.Stamp(e.Oldest))
	}
	for _, p := range []Point{from, to} {
		switch {
		case p.Seq > e.Last:
			return s, &PointError{p.text, fmt.Sprintf("is behind the end of the stream, message %d", e.Last)}
		case p.Seq != 0 && p.Seq < e.First:
			return s, begins(p)
		case p.Seq == 0 && p.Time != 0 && e.First > 1 && p.Time < e.Oldest:
			return s, begins(p)
		}
	}
	return s, nil
}

// fileSpan is a range of a file, which is read as a whole.
func fileSpan(e Extent, from, to Point) (span, error) {
	s := span{first: from.Seq, last: e.Last, from: from.Time, to: to.Time, fromLSN: from.LSN, toLSN: to.LSN}
	if to.Seq != 0 {
		s.last = to.Seq
	}
	if from.Baseline {
		return s, hint.Wrap(&PointError{from.text, "is not looked for in a file"},
			"give a message's sequence, a time or a position of the log; without --from all of the file is read")
	}
	for _, p := range []Point{from, to} {
		if p.Seq > e.Last || p.Seq != 0 && p.Seq < e.First {
			return s, &PointError{p.text, fmt.Sprintf("is not in the file: it is of messages %d to %d", max(e.First, 1), e.Last)}
		}
	}
	return s, nil
}
