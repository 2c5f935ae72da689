package timetable_test

import (
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/timetable"
)

func TestParseLength(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "2d": 2 * day, "1w": 7 * day, "1w2d12h30m": 9*day + 12*time.Hour + 30*time.Minute,
		"0": 0, "0d": 0, "-1d": -day, "-1d1h": -25 * time.Hour, "1.5h": 90 * time.Minute, "36500d": 36500 * day,
	} {
		if got, err := timetable.ParseLength(text); err != nil || got != want {
			t.Errorf("%q is %v, error %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "-", "d", "w", "2", "2days", "1d2w", "2d2d", "1.5d", "--1d", "1d-1h", "-1d-1h", "2 d", "200000d", "30000w", "106751d24h", "99999999999999999999d",
	} {
		if got, err := timetable.ParseLength(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}
