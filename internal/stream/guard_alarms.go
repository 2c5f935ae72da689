package stream

import (
	"cmp"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// check is what one look says of one alarm. Between raise and clear, where neither
// holds, an alarm stays what it is: so it does not flicker at its limit.
type check struct {
	alarm        event.Alarm // its reason, severity and numbers
	raise, clear bool
	after        time.Duration // how long raise must have held
}

// calm is how long clear must have held before an alarm is over.
const calm = 4 * time.Second

// alarms is what is raised, and since when.
type alarms struct {
	by map[string]*alarm
}

type alarm struct {
	up      bool
	current event.Alarm
	raising time.Time // since when raise holds; zero when it does not
	calming time.Time // the same for clear
}

// take takes in a check. It returns the alarm when it has begun or is over with it:
// Until says which.
func (s *alarms) take(c *check, now time.Time) (a event.Alarm, changed bool) {
	is := s.of(c.alarm.Reason)
	is.raising = began(is.raising, c.raise, now)
	is.calming = began(is.calming, c.clear && !c.raise, now)
	since := is.current.Since
	if c.raise || is.up && !c.clear {
		is.current = c.alarm // its newest numbers
		is.current.Since = since
	}
	switch {
	case !is.up && c.raise && now.Sub(is.raising) >= c.after:
		is.up, is.current.Since = true, change.MillisOf(is.raising)
		return is.current, true
	case is.up && !is.calming.IsZero() && now.Sub(is.calming) >= calm:
		is.up = false
		over := c.alarm
		over.Since, over.Until = since, change.MillisOf(is.calming)
		is.current = event.Alarm{}
		return over, true
	}
	return event.Alarm{}, false
}

// of is an alarm's state.
func (s *alarms) of(reason string) *alarm {
	if s.by == nil {
		s.by = map[string]*alarm{}
	}
	if s.by[reason] == nil {
		s.by[reason] = &alarm{}
	}
	return s.by[reason]
}

// adopt raises an alarm that was told already, unless it is raised.
func (s *alarms) adopt(a *event.Alarm) {
	if is := s.of(a.Reason); !is.up {
		is.up, is.current = true, *a
	}
}

// began is since when something holds.
func began(since time.Time, holds bool, now time.Time) time.Time {
	switch {
	case !holds:
		return time.Time{}
	case since.IsZero():
		return now
	}
	return since
}

// raised lists what is raised, the worst first.
func (s *alarms) raised() (list []event.Alarm) {
	for _, is := range s.by {
		if is.up {
			list = append(list, is.current)
		}
	}
	slices.SortFunc(list, func(a, b event.Alarm) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}
