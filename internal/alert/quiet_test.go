package alert

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

func TestQuiet(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	night := Quiet{22 * time.Hour, 7 * time.Hour, berlin}
	noon := Quiet{12 * time.Hour, 13*time.Hour + 30*time.Minute, berlin}
	for _, c := range []struct {
		q          Quiet
		now, until string // in Berlin; "" when it is not quiet
	}{
		{night, "2026-01-10T21:59:59+01:00", ""},
		{night, "2026-01-10T22:00:00+01:00", "2026-01-11T07:00:00+01:00"},
		{night, "2026-01-11T03:00:00+01:00", "2026-01-11T07:00:00+01:00"},
		{night, "2026-01-11T07:00:00+01:00", ""},
		{night, "2026-01-11T05:00:00Z", "2026-01-11T07:00:00+01:00"},
		{night, "2026-03-28T23:00:00+01:00", "2026-03-29T07:00:00+02:00"}, // an hour less
		{night, "2026-10-25T00:30:00+02:00", "2026-10-25T07:00:00+01:00"}, // an hour more
		{noon, "2026-01-11T11:59:59+01:00", ""},
		{noon, "2026-01-11T12:00:00+01:00", "2026-01-11T13:30:00+01:00"},
		{noon, "2026-01-11T13:30:00+01:00", ""},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if end, quiet := c.q.until(now); quiet {
			got = end.Format(time.RFC3339)
		}
		if got != c.until {
			t.Errorf("at %s: until %q, want %q", c.now, got, c.until)
		}
	}
}

// TestQuietHours: at night only what is critical is told, with what came before it; the
// rest in the morning, also after a restart in the night.
func TestQuietHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		o := chat(s)
		o.Quiet = &Quiet{22 * time.Hour, 7 * time.Hour, time.UTC}
		stop := begin(t, m, o)
		warning := func(f *event.Finding) { f.Severity = rule.Warning }
		told := func(notices, events int) {
			t.Helper()
			synctest.Wait()
			n := 0
			for _, one := range s.told() {
				n += one.New + one.Over
			}
			if len(s.told()) != notices || n != events {
				t.Fatalf("%s: %d notices of %d events, want %d of %d", time.Now().UTC(), len(s.told()), n, notices, events)
			}
		}
		sleepUntil(21, 0)
		m.add(t, finding(1, warning))
		told(1, 1)
		sleepUntil(23, 0)
		m.add(t, finding(2, warning), resolved(9))
		sleepUntil(23, 30)
		told(1, 1)
		m.add(t, finding(3)) // critical
		told(2, 4)
		m.add(t, finding(4, warning))
		sleepUntil(1, 0)
		_ = stop()
		stop = begin(t, m, o)
		sleepUntil(2, 0)
		told(2, 4)
		m.add(t, finding(5, warning))
		sleepUntil(6, 59)
		told(2, 4)
		sleepUntil(7, 1)
		told(3, 6)
		sleepUntil(23, 0)
		for i := range int64(MaxWaiting) {
			m.add(t, finding(100+i, warning))
		}
		told(4, 6+MaxWaiting)
		_ = stop()
	})
}

// sleepUntil lets the time pass up to one of the day.
func sleepUntil(hour, minute int) {
	now := time.Now().UTC()
	then := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
	if then.Before(now) {
		then = then.AddDate(0, 0, 1)
	}
	sleep(time.Until(then))
}

// TestQuietAfterAnOutage: a channel that comes back in its quiet time is not told of what
// is not critical before the morning, nor is that given up for the hours it rested.
func TestQuietAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		o := chat(s)
		o.Quiet, o.GiveUpAfter = &Quiet{22 * time.Hour, 7 * time.Hour, time.UTC}, 2*time.Hour
		sleepUntil(21, 50)
		began := time.Now()
		var back time.Duration
		s.answer = func(context.Context, int) error {
			if time.Since(began) < back {
				return errors.New("no route to host")
			}
			return nil
		}
		told := func(notices int) {
			t.Helper()
			if got := len(s.told()); got != notices {
				t.Errorf("%s: told %d notices, want %d", time.Now().UTC(), got, notices)
			}
		}
		warning := func(f *event.Finding) { f.Severity = rule.Warning }
		back = 3 * time.Hour
		stop := begin(t, m, o)
		m.add(t, finding(1, warning))
		sleepUntil(6, 59)
		told(0)
		sleepUntil(7, 1)
		told(1)
		sleepUntil(21, 59)
		began, back = time.Now(), 9*time.Hour+30*time.Minute
		m.add(t, finding(2, warning))
		sleepUntil(8, 0)
		told(2)
		sleepUntil(21, 59)
		began, back = time.Now(), 3*time.Hour
		m.add(t, finding(3, warning))
		sleepUntil(3, 0)
		told(2)
		m.add(t, finding(4)) // critical
		sleep(time.Minute)
		told(4)
		_ = stop()
		if len(m.letters) > 0 {
			t.Errorf("given up: %+v", m.letters)
		}
	})
}
