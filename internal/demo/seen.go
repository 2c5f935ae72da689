package demo

import (
	"fmt"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
)

// sighting is an event as a subscriber got it.
type sighting struct {
	event.Finding
	resolved bool
	at       time.Time
}

// seen collects the events of a subscription.
type seen struct {
	mu       sync.Mutex // the subscription adds while the view reads
	last     bus.Seq
	opened   []sighting
	resolved int
	recent   []sighting
	summary  *event.Baseline
}

// keepRecent is how many sightings the view can show.
const keepRecent = 12

func newSeen() *seen { return &seen{} }

func (s *seen) take(seq bus.Seq, data []byte, at time.Time) error {
	e, err := event.Parse(data)
	if err != nil {
		return fmt.Errorf("event %d: %w", seq, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = seq
	got := sighting{at: at, resolved: e.What == string(drift.Resolved)}
	switch data := e.Data.(type) {
	case event.Baseline:
		s.summary = &data
		return nil
	case event.Finding:
		got.Finding = data
	default:
		return nil
	}
	if got.resolved {
		s.resolved++
	} else {
		s.opened = append(s.opened, got)
	}
	s.recent = append(s.recent, got)
	if len(s.recent) > keepRecent {
		s.recent = s.recent[1:]
	}
	return nil
}

func (s *seen) all() []sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sighting(nil), s.opened...)
}

func (s *seen) upTo() bus.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
