package app

import (
	"context"
	"fmt"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/watch"
)

// openPort is what is open, for those who are told of it again and again.
type openPort struct{ app *App }

// Findings asks the checker, and so goes on while NATS is away; and the bucket while the
// checker has yet to catch up.
func (p openPort) Findings(ctx context.Context) (events []event.Event, err error) {
	w := p.app.watch
	if w == nil {
		return nil, nil
	}
	status, known := w.Status(), false
	var open []drift.Finding
	_ = w.Look(func(c *watch.Checker, _ int) error {
		if known = c != nil && status.CaughtUp && c.Known(); known {
			open = c.Open()
		}
		return nil
	})
	if !known {
		return keptOpen(ctx, p.app.bus.Findings())
	}
	for i := range open {
		if open[i].Where.Origin == drift.FromBaseline { // not told singly, and there may be very many
			continue
		}
		f := event.FindingOf(&open[i])
		e, err := event.OfOpen(&f)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// keptOpen is what the bucket holds.
func keptOpen(ctx context.Context, bucket *bus.Bucket) (events []event.Event, err error) {
	values, err := bucket.Values(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", alert.ErrUnknown, err)
	}
	for _, value := range values {
		f, err := event.KeptFinding(value)
		var e event.Event
		if err == nil {
			e, err = event.OfOpen(&f)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", alert.ErrUnknown, err)
		}
		events = append(events, e)
	}
	return events, nil
}

func (p openPort) Troubles() (list []event.Event) {
	for _, alarm := range p.app.guard.Alarms() {
		list = append(list, event.OfAlarm(p.app.config.Namespace, &alarm))
	}
	if r := p.app.repairer; r != nil {
		if h := r.Status().Told; h != nil {
			list = append(list, event.OfHalt(p.app.config.Namespace, h))
		}
	}
	return list
}
