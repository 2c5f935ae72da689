package alert

import (
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
		at := func(hour, minute int) {
			t.Helper()
			now := time.Now().UTC()
			then := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
			if then.Before(now) {
				then = then.AddDate(0, 0, 1)
			}
			sleep(time.Until(then))
			synctest.Wait()
		}
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
		at(21, 0)
		m.add(t, finding(1, warning))
		told(1, 1)
		at(23, 0)
		m.add(t, finding(2, warning), resolved(9))
		at(23, 30)
		told(1, 1)
		m.add(t, finding(3)) // critical
		told(2, 4)
		m.add(t, finding(4, warning))
		at(1, 0)
		_ = stop()
		stop = begin(t, m, o)
		at(2, 0)
		told(2, 4)
		m.add(t, finding(5, warning))
		at(6, 59)
		told(2, 4)
		at(7, 1)
		told(3, 6)
		at(23, 0)
		for i := range int64(MaxWaiting) {
			m.add(t, finding(100+i, warning))
		}
		told(4, 6+MaxWaiting)
		_ = stop()
	})
}
