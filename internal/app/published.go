package app

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/watch"
)

// Published goes back from the newest of the checker's events to one whose cause
// the CDC stream still holds. Newer ones are of a tail that the server has lost
// since. An event that is older than the stream speaks of one that is gone.
func (p eventsPort) Published(ctx context.Context) (done watch.Published, err error) {
	cdc, err := p.bus.CDCState(ctx)
	if err != nil {
		return done, err
	}
	events, err := p.bus.EventsState(ctx)
	if err != nil {
		return done, err
	}
	newest, err := p.newest(ctx)
	if err != nil {
		return done, err
	}
	done.Created, done.First, done.Newest = events.Created, events.First, newest
	done.Lost = map[string]bool{}
	for seq := newest; seq >= events.First && seq > 0; seq-- {
		m, err := p.bus.EventMessage(ctx, seq)
		switch {
		case errors.Is(err, bus.ErrNoMessage) || err == nil && !p.ours(m.Subject):
			continue
		case err != nil:
			return done, err
		case m.Stored.Before(cdc.Created):
			return done, nil
		}
		if done.Last, err = event.PositionOf(m.Data); err != nil {
			return done, err
		}
		if done.Some, err = p.caused(ctx, cdc, m, done.Last); done.Some || err != nil {
			return done, err
		}
		id, err := event.IDOf(m.Data)
		if err != nil {
			return done, err
		}
		done.Lost[id] = true
	}
	return done, nil
}

func (p eventsPort) ours(subject string) bool {
	return slices.ContainsFunc(event.Positioned(), func(filter string) bool {
		return strings.HasPrefix(subject, p.bus.EventSubject(strings.TrimSuffix(filter, ">")))
	})
}

// newest is the sequence of the checker's newest event, 0 if there is none.
func (p eventsPort) newest(ctx context.Context) (seq bus.Seq, err error) {
	for _, filter := range event.Positioned() {
		m, err := p.bus.LastEvent(ctx, p.bus.EventSubject(filter))
		if err != nil && !errors.Is(err, bus.ErrNoMessage) {
			return 0, err
		}
		seq = max(seq, m.Seq)
	}
	return seq, nil
}

// caused reports whether the CDC stream's message at an event's position can have
// been its cause: one that came after it cannot.
func (p eventsPort) caused(ctx context.Context, cdc bus.StreamState, m bus.Message, at event.Position) (bool, error) {
	cause, err := p.bus.CDCMessage(ctx, bus.Seq(at.Sequence))
	if errors.Is(err, bus.ErrNoMessage) {
		return bus.Seq(at.Sequence) < cdc.First, nil // discarded since, or not there yet
	}
	return err == nil && !cause.Stored.After(m.Stored), err
}
