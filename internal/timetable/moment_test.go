package timetable

import (
	"errors"
	"testing"
	"time"
)

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	for text, ago := range map[string]time.Duration{
		"-2h": 2 * time.Hour, "2h": 2 * time.Hour, "-7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "0s": 0,
		"2026-11-28T02:00:00Z": time.Hour, "2026-11-28T05:00:00.5+03:00": time.Hour - 500*time.Millisecond,
		"2026-11-28 02:00:00": time.Hour, "2026-11-28 01:59:59.999": time.Hour + time.Millisecond, "2026-11-28 01:00:00 UTC": 2 * time.Hour,
	} {
		if got, err := ParseMoment(text, now); err != nil || !got.Equal(now.Add(-ago)) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]error{
		"+2h": ErrFuture, "2026-11-28T03:00:01Z": ErrFuture, "2026-11-28 03:00:00.001": ErrFuture,
		"": ErrNoMoment, "--2h": ErrNoMoment, "-1": ErrNoMoment, "2026-11-27": ErrNoMoment, "22:00": ErrNoMoment, "yesterday": ErrNoMoment,
		"2026-11-28T02:00:00": ErrNoMoment, "2026-11-28 02:00:00 CET": ErrNoMoment,
	} {
		if got, err := ParseMoment(text, now); !errors.Is(err, want) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}
