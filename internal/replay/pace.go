package replay

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/peerquest/questwatch/internal/change"
)

// Pace is how fast messages are played: by their commit times, so many times as fast as
// they came, and so many a second. Zero is as fast as can be.
type Pace struct {
	Speed, Rate float64
}

// ParsePace reads a speed (1x, 10x, max) and a rate (500/s); "" is as fast as can be.
func ParsePace(speed, perSecond string) (p Pace, err error) {
	number := func(text, unit string) (float64, bool) {
		digits, had := strings.CutSuffix(text, unit)
		n, err := strconv.ParseFloat(digits, 64)
		return n, had && err == nil && n > 0 && !math.IsInf(n, 0)
	}
	ok := true
	if speed != "" && speed != "max" {
		if p.Speed, ok = number(speed, "x"); !ok {
			return p, fmt.Errorf("--speed is %q: want 1x, 10x or max", speed)
		}
	}
	if perSecond != "" {
		if p.Rate, ok = number(perSecond, "/s"); !ok {
			return p, fmt.Errorf("--rate is %q: want messages a second, as in 500/s", perSecond)
		}
	}
	return p, nil
}

// pacer waits for when a message is due.
type pacer struct {
	Pace
	limit *rate.Limiter
	began time.Time
	from  change.Millis
}

func newPacer(p Pace) *pacer {
	w := &pacer{Pace: p}
	if p.Rate > 0 {
		w.limit = rate.NewLimiter(rate.Limit(p.Rate), max(1, int(p.Rate/20)))
	}
	return w
}

// wait returns when a message of a time is due. One that committed before another that was
// played is due at once.
func (p *pacer) wait(ctx context.Context, at change.Millis) error {
	if p.Speed > 0 && at != 0 { // what does not say when is due at once
		if p.began.IsZero() {
			p.began, p.from = time.Now(), at
		}
		due := float64(at-p.from) / p.Speed * float64(time.Millisecond)
		if due > math.MaxInt64/2 {
			due = math.MaxInt64 / 2
		}
		if left := time.Until(p.began.Add(time.Duration(due))); left > 0 {
			t := time.NewTimer(left)
			defer t.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-t.C:
			}
		}
	}
	if p.limit == nil {
		return nil
	}
	return p.limit.Wait(ctx)
}
