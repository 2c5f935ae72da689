package app

import (
	"context"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/remedy"
)

// glance is what a status says of what NATS and the database hold. It is kept for a
// moment: those who ask for the status may be many, and ask again and again.
type glance struct {
	mu       sync.Mutex // who asks meanwhile waits for the one look
	until    time.Time
	streams  []StreamSize
	silences []alert.Silence
	brake    *remedy.Brake
}

const (
	// glanceFor is how old what it says may be.
	glanceFor = time.Second / 2
	// glancePatience bounds each look: a status without something is better than none.
	glancePatience = time.Second
)

// look returns what there was to see no longer than a moment ago. What could not be seen
// is left out.
func (g *glance) look(ctx context.Context, a *App) (streams []StreamSize, silences []alert.Silence, brake *remedy.Brake) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Now().After(g.until) {
		ctx, cancel := context.WithTimeout(ctx, glancePatience)
		defer cancel()
		var looks sync.WaitGroup
		looks.Go(func() { g.streams = a.streamSizes(ctx) })
		looks.Go(func() { g.silences = a.silences(ctx) })
		looks.Go(func() { g.brake = a.brake(ctx) })
		looks.Wait()
		g.until = time.Now().Add(glanceFor)
	}
	return g.streams, g.silences, g.brake
}

func (a *App) streamSizes(ctx context.Context) []StreamSize {
	sizes := []StreamSize{}
	add := func(name string, state bus.StreamState, err error) {
		if err == nil {
			sizes = append(sizes, StreamSize{Name: name, Messages: state.Messages, Bytes: state.Bytes})
		}
	}
	cdc, err := a.bus.CDCState(ctx)
	add(a.bus.CDCStream(), cdc, err)
	events, err := a.bus.EventsState(ctx)
	add(a.bus.EventsStream(), events, err)
	return sizes
}

func (a *App) silences(ctx context.Context) []alert.Silence {
	list, err := (&Silences{bucket: a.bus.Control()}).List(ctx)
	if err != nil {
		return []alert.Silence{}
	}
	return list
}

// brake is what stops automatic repairs. Where there are some the repairer knows; where
// there are none it does not ask, and a pause waits for them all the same.
func (a *App) brake(ctx context.Context) *remedy.Brake {
	if a.repairer == nil {
		return nil
	}
	if a.automatic() {
		return a.repairer.Status().Brake
	}
	brake, err := a.repairs.Brake(ctx, a.config.Namespace)
	if err != nil { // no journal, mostly
		return nil
	}
	return brake
}
