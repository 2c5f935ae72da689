package replay

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/timetable"
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

// ParsePoint reads a time (2026-11-27T22:00:00Z), how long ago one was (-2h, -7d), a position
// of the database's log (0/1DAE9F8), a message's sequence (4711) or "baseline". A sequence
// with a time (4711@2026-11-27T22:00:00Z) is what an interrupted replay goes on from.
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
	if number, moment, both := strings.Cut(text, "@"); both || isDigits(number) {
		return parseSequence(p, number, moment, both)
	}
	return parseMoment(p, now)
}

func isDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

func parseSequence(p Point, number, moment string, timed bool) (Point, error) {
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || seq == 0 {
		return Point{}, &PointError{p.text, "is no sequence: messages are counted from 1"}
	}
	p.Seq = change.Seq(seq)
	if !timed {
		return p, nil
	}
	at, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		return Point{}, &PointError{p.text, "is no sequence with a time as in 4711@2026-11-27T22:00:00Z"}
	}
	p.Time = change.MillisOf(at)
	return p, nil
}

func parseMoment(p Point, now time.Time) (Point, error) {
	at, err := timetable.ParseMoment(p.text, now)
	switch {
	case errors.Is(err, timetable.ErrFuture):
		return Point{}, &PointError{p.text, err.Error()}
	case err != nil:
		return Point{}, &PointError{p.text, "is no time (2026-11-27T22:00:00Z, 2026-11-27 22:00:00, -2h, -7d), no position of the log (0/1DAE9F8), no sequence and not baseline"}
	}
	p.Time = change.MillisOf(at)
	return p, nil
}

// Ordered refuses a range that ends before it begins, as far as that can be seen.
func Ordered(from, to Point) error {
	if from.Time > 0 && to.Time > 0 && from.Time > to.Time || from.LSN > 0 && to.LSN > 0 && from.LSN > to.LSN ||
		from.Seq > 0 && to.Seq > 0 && from.Seq > to.Seq {
		return &PointError{from.text, fmt.Sprintf("comes after %q: the range is reversed", to.text)}
	}
	return nil
}
