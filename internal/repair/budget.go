package repair

import (
	"time"

	"github.com/peerquest/questwatch/internal/rule"
)

// budget allows so many automatic repairs within any minute, in all and of each
// rule. A token bucket would not do: full, it lets twice as many through.
type budget struct {
	all   window
	rules map[rule.Rule]*window
}

func newBudget(perMinute, perRule int) *budget {
	b := &budget{all: window{limit: perMinute}, rules: map[rule.Rule]*window{}}
	for _, r := range rule.All {
		b.rules[r] = &window{limit: perRule}
	}
	return b
}

// wait is how long until a repair of the rule is allowed; 0 is now.
func (b *budget) wait(r rule.Rule, now time.Time) time.Duration {
	return max(b.all.wait(now), b.rules[r].wait(now))
}

func (b *budget) spend(r rule.Rule, now time.Time) {
	b.all.spend(now)
	b.rules[r].spend(now)
}

// window is when the newest repairs were begun, as many as a minute may have.
type window struct {
	limit int // 0 is none
	times []time.Time
	next  int // the oldest, once there are as many as may be
}

func (w *window) wait(now time.Time) time.Duration {
	if w.limit == 0 || len(w.times) < w.limit {
		return 0
	}
	return max(0, w.times[w.next].Add(time.Minute).Sub(now))
}

func (w *window) spend(now time.Time) {
	switch {
	case w.limit == 0:
	case len(w.times) < w.limit:
		w.times = append(w.times, now)
	default:
		w.times[w.next] = now
		w.next = (w.next + 1) % w.limit
	}
}
