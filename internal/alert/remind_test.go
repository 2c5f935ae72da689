package alert

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// TestStillOpen: what is open for long is told once in each interval, together, whatever
// is restarted, and no longer when it is over.
func TestStillOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, open := newMemory(), &sink{}, &state{}
		o := chat(s)
		o.Repeat = 4 * time.Hour
		stop := beginOpen(t, m, open, o)
		began := time.Now()
		one, two := finding(1), finding(2)
		info := finding(7, func(f *event.Finding) { f.Severity = rule.Info })
		old := finding(8, func(f *event.Finding) { f.Origin = drift.FromBaseline })
		alarm := event.OfAlarm("questwatch", &event.Alarm{Reason: "disk", Severity: event.Warning, Since: now()})
		m.add(t, one)
		open.set([]event.Event{info, one, old}, alarm)
		sleep(4*time.Hour - time.Second)
		if len(s.told()) != 1 {
			t.Fatalf("told %+v", s.told())
		}
		two.Time = now()
		m.add(t, two)
		open.set([]event.Event{info, one, two, old}, alarm)
		sleep(2 * time.Minute)
		if len(s.told()) != 3 || s.told()[2].Open != 3 || s.told()[2].Title() != "critical: still open: 3" || s.told()[2].ID == s.told()[1].ID {
			t.Fatalf("told %+v", s.told())
		}
		for range 5 { // a restart every 45 minutes
			sleep(45 * time.Minute)
			m.add(t, info) // moves the position and is not told
			stop()
			stop = beginOpen(t, m, open, o)
		}
		if len(s.told()) != 3 {
			t.Errorf("restarts were told of: %+v", s.told()[3:])
		}
		s.mu.Lock()
		s.answer = func(_ context.Context, try int) error {
			if try == 4 {
				return errors.New("away")
			}
			return nil
		}
		s.mu.Unlock()
		sleep(25 * time.Minute)
		s.mu.Lock()
		tries := s.tries
		s.mu.Unlock()
		if len(s.told()) != 4 || tries != 5 || s.told()[3].Open != 3 {
			t.Errorf("%d tries, told %+v", tries, s.told()[3:])
		}
		open.forget() // nobody knows: as it was
		sleep(4 * time.Hour)
		if len(s.told()) != 5 {
			t.Errorf("told %+v", s.told()[4:])
		}
		open.set([]event.Event{info, old})
		sleep(24 * time.Hour)
		three := finding(3)
		three.Time = now()
		open.set([]event.Event{three})
		m.add(t, three)
		sleep(3 * time.Hour)
		if len(s.told()) != 6 || s.told()[5].Open != 0 {
			t.Errorf("told %+v", s.told()[5:])
		}
		if lines := s.told()[2].lines(); len(lines) != 3 || lines[0][:10] != began.UTC().Format(time.DateOnly) {
			t.Errorf("lines %q", lines)
		}
		if len(m.letters) > 0 {
			t.Errorf("letters %+v", m.letters)
		}
		stop()
	})
}

// TestNotReminded: without an interval nothing is told twice.
func TestNotReminded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, open := newMemory(), &sink{}, &state{}
		stop := beginOpen(t, m, open, chat(s))
		m.add(t, finding(1))
		open.set([]event.Event{finding(1)})
		sleep(48 * time.Hour)
		if len(s.told()) != 1 {
			t.Errorf("told %+v", s.told())
		}
		stop()
	})
}

// TestRemindedInTheFuture: a clock that was wrong once ends no reminders.
func TestRemindedInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, open := newMemory(), &sink{}, &state{}
		o := chat(s)
		o.Repeat = 4 * time.Hour
		if _, err := m.Save(t.Context(), o.Name, Position{Reminded: time.Now().AddDate(4, 0, 0)}, 0); err != nil {
			t.Fatal(err)
		}
		open.set([]event.Event{finding(1)})
		stop := beginOpen(t, m, open, o)
		sleep(9 * time.Hour)
		stop()
		if len(s.told()) != 2 {
			t.Errorf("reminded %d times in nine hours", len(s.told()))
		}
	})
}
