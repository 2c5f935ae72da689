package timetable

import (
	"errors"
	"strings"
	"time"
)

// Why a text is no moment of the past.
var (
	ErrNoMoment = errors.New("is no time")
	ErrFuture   = errors.New("is in the future")
)

// ParseMoment reads a time of the past: as in 2026-11-27T22:00:00Z, as our own lines show it
// (2026-11-27 22:00:00.123, in UTC), or how long ago it was, with a minus before it or
// without (-2h, 30d).
func ParseMoment(text string, now time.Time) (time.Time, error) {
	if ago, err := ParseLength(strings.TrimPrefix(text, "-")); err == nil && ago >= 0 {
		if strings.HasPrefix(text, "+") {
			return time.Time{}, ErrFuture
		}
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.Parse(time.DateTime, strings.TrimSuffix(text, " UTC"))
	}
	switch {
	case err != nil:
		return time.Time{}, ErrNoMoment
	case at.After(now):
		return time.Time{}, ErrFuture
	}
	return at, nil
}
