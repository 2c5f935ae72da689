package app

import (
	"context"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/watch"
)

// openPort is what is open, for those who are told of it again and again. It asks who
// finds it, and so goes on while NATS is away.
type openPort struct{ app *App }

func (p openPort) Findings(context.Context) ([]event.Event, error) {
	w := p.app.watch
	if w == nil {
		return nil, nil
	}
	status := w.Status()
	var found []drift.Finding
	err := w.Look(func(c *watch.Checker, _ int) error {
		if c == nil || !status.CaughtUp || !c.Known() {
			return alert.ErrUnknown
		}
		found = c.Open()
		return nil
	})
	events := make([]event.Event, len(found))
	for i := range found {
		events[i] = event.OfTransition(&drift.Transition{What: drift.Opened, Finding: found[i], At: found[i].Due}, event.Position{})
	}
	return events, err
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
