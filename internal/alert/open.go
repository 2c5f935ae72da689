package alert

import (
	"context"
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/people"
)

// ErrUnknown says that nobody knows at present what is open.
var ErrUnknown = errors.New("what is open is not known now")

// Open is what has begun and is not over, as the events that told its beginning.
type Open interface {
	// Findings may return ErrUnknown.
	Findings(ctx context.Context) ([]event.Event, error)
	// Troubles are alarms, and repairs that have stopped by themselves.
	Troubles() []event.Event
}

// standing is a channel that has to be told again and again of what is open.
type standing interface {
	// every is how often.
	every() time.Duration
	// stand is called with what lists it.
	stand(ctx context.Context, open func() []item, name func(id string) string) error
}

// opened remembers what was open when that was known last.
type opened struct {
	*Alerter
	outlet *Outlet
	last   []event.Event
}

// list is what is open of that which the channel is told of. Where the findings cannot be
// known now they are what they were last: nobody may think that they are over.
func (o *opened) list(ctx context.Context) []item {
	if o.config.Open == nil {
		return nil
	}
	asked, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	if findings, err := o.config.Open.Findings(asked); err == nil {
		o.last = findings
	}
	var items []item
	for _, list := range [][]event.Event{o.last, o.config.Open.Troubles()} {
		for _, e := range list {
			if it := (item{event: e}); o.outlet.Route.take(o.outlet.Name, &it) {
				items = append(items, it)
			}
		}
	}
	return items
}

// standBy tells a channel of what is open until ctx ends.
func (a *Alerter) standBy(ctx context.Context, outlet *Outlet, h *health, s standing) error {
	open, book := opened{Alerter: a, outlet: outlet}, people.NewBook(a.names)
	logger := a.logger.With("channel", outlet.Name)
	for failing := false; ; {
		var items []item
		err := s.stand(ctx, func() []item {
			items = open.list(ctx)
			return items
		}, book.Call(ctx))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !failing:
			logger.Warn("what is open cannot be told; trying on", "err", err)
		case err == nil && failing && len(items) > 0:
			logger.Info("what is open is told again")
		}
		if err != nil || len(items) > 0 { // else nobody was asked
			failing = err != nil
			h.tried(err)
		}
		if !pause(ctx, s.every()) {
			return ctx.Err()
		}
	}
}
