package alert

import (
	"context"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/rule"
)

// Quiet is a time of each day in which a channel is told of nothing but what is critical.
// What comes meanwhile is told when it ends, or with the first critical event; so is what
// comes when more than 4,096 events wait.
type Quiet struct {
	// From and To are times of the day, since midnight; where To is not after From it is
	// the next day's.
	From, To time.Duration
	Zone     *time.Location
}

// until is when a quiet time ends that is going on.
func (q *Quiet) until(now time.Time) (end time.Time, quiet bool) {
	now = now.In(q.Zone)
	for _, day := range []int{-1, 0} { // it may have begun yesterday
		from, to := q.at(now, day, q.From), q.at(now, day, q.To)
		if q.To <= q.From {
			to = q.at(now, day+1, q.To)
		}
		if !now.Before(from) && now.Before(to) {
			return to, true
		}
	}
	return time.Time{}, false
}

// at is a time of the day, some days after now's, by the clock of its zone.
func (q *Quiet) at(now time.Time, days int, of time.Duration) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+days, int(of/time.Hour), int(of/time.Minute)%60, 0, 0, q.Zone)
}

// clockJumps bounds how long a wait for a time of the day may be wrong.
const clockJumps = time.Minute

// rest waits until what is pending may be told.
func (w *worker) rest(ctx context.Context, queue <-chan read) error {
	for len(w.pending) < MaxWaiting {
		end, quiet := w.outlet.Quiet.holds(w.audible(ctx, w.pending), time.Now())
		if !quiet {
			return nil
		}
		timer := time.NewTimer(min(time.Until(end), clockJumps))
		select {
		case r := <-queue:
			w.take(r)
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// holds reports whether, and until when, events are not to be told now. A nil Quiet holds
// nothing.
func (q *Quiet) holds(items []item, now time.Time) (end time.Time, quiet bool) {
	if q == nil || slices.ContainsFunc(items, func(it item) bool { return it.severity >= rule.Critical && !it.over }) {
		return time.Time{}, false
	}
	return q.until(now)
}
