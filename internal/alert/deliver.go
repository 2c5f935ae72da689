package alert

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

const (
	tryFor     = 15 * time.Second // one try
	firstRetry = time.Second
	lastRetry  = time.Minute
	longestAsk = time.Hour // that the other side may ask us to wait
	namedIDs   = 20        // of an alert.undelivered
)

// Refusal is the other side's answer that it does not take a notice.
type Refusal struct {
	Err error
	// Final says that the same notice will not be taken later either.
	Final bool
	// After is when to try again, where the other side said so.
	After time.Duration
}

func (r *Refusal) Error() string { return r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

// deliver sends a notice, and returns when it was taken, given up or silenced. Meanwhile it takes
// what is handed over.
func (w *worker) deliver(ctx context.Context, queue <-chan read, items []item, n *Notice) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstRetry, lastRetry
	end := time.Now().Add(w.outlet.GiveUpAfter)
	for attempt := 1; ; attempt++ {
		err := w.try(ctx, n)
		switch {
		case err == nil:
			w.counts.events.WithLabelValues(w.outlet.Name).Add(float64(len(items)))
			if attempt > 1 {
				w.logger.Info("the channel takes alerts again", "attempts", attempt, "events", len(items))
			}
			return nil
		case ctx.Err() != nil, errors.Is(err, ErrTaken):
			return err
		}
		var refusal *Refusal
		wait, left := pauses.NextBackOff(), time.Until(end)
		if errors.As(err, &refusal) {
			wait = max(wait, min(refusal.After, longestAsk))
		}
		if left <= 0 || refusal != nil && refusal.Final {
			return w.giveUp(ctx, items, attempt, err)
		}
		if attempt == 1 {
			w.logger.Warn("an alert could not be sent; trying on", "events", len(items), "err", err)
		}
		rested, err := w.waitToTry(ctx, queue, min(wait, left))
		if err != nil {
			return err
		}
		end = end.Add(rested)
		if len(w.audible(ctx, items)) == 0 {
			w.counts.silenced.WithLabelValues(w.outlet.Name).Add(float64(len(items)))
			w.logger.Info("an alert that could not be sent was silenced meanwhile", "attempts", attempt, "events", len(items))
			return nil
		}
	}
}

// waitToTry takes what is handed over until the next try; rested is how long that was put
// off by a quiet time, which may have begun meanwhile.
func (w *worker) waitToTry(ctx context.Context, queue <-chan read, wait time.Duration) (rested time.Duration, err error) {
	if err := w.collect(ctx, queue, time.Now().Add(wait)); err != nil {
		return 0, err
	}
	began := time.Now()
	err = w.rest(ctx, queue)
	return time.Since(began), err
}

// try sends a notice once, if it is ours to send, and notes what came of it.
func (w *worker) try(ctx context.Context, n *Notice) error {
	if err := w.held(ctx); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, cmp.Or(w.outlet.TryFor, tryFor))
	defer cancel()
	_, err := w.outlet.Channel.Send(within, n)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	result := sent
	if err != nil {
		result = failed
	}
	w.counts.notices.WithLabelValues(w.outlet.Name, result).Inc()
	w.health.tried(err)
	return err
}

// giveUp tells of what is not told. Of the same kind of event it does not, or two
// channels that are away would tell of each other without end.
func (w *worker) giveUp(ctx context.Context, items []item, attempts int, cause error) error {
	w.counts.notices.WithLabelValues(w.outlet.Name, givenUp).Inc()
	w.logger.Error("an alert is given up", "attempts", attempts, "events", len(items), "seq", items[0].at.Sequence, "err", cause)
	u := event.Undelivered{
		Channel: w.outlet.Name, EventIDs: []string{}, First: items[0].at.Sequence, Last: items[len(items)-1].at.Sequence,
		Attempts: attempts, Error: cause.Error(), Time: change.MillisOf(time.Now()),
	}
	for i := range items {
		if _, again := items[i].event.Data.(event.Undelivered); again {
			continue
		}
		u.Events++
		if len(u.EventIDs) < namedIDs {
			u.EventIDs = append(u.EventIDs, items[i].event.ID)
		}
	}
	if u.Events == 0 {
		return nil
	}
	for warned := false; ; warned = true {
		err := w.letters.Publish(ctx, []event.Event{event.OfUndelivered(w.config.Namespace, &u)})
		if err == nil {
			return nil
		}
		if !warned {
			w.logger.Warn("what was given up cannot be told; trying on", "err", err)
		}
		if !pause(ctx, saveRetry) {
			return ctx.Err()
		}
	}
}
