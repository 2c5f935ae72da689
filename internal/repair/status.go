package repair

import (
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
)

// Status is how automatic repairs stand.
type Status struct {
	// Waiting counts the findings in line, and those whose end the stream has yet to show.
	Waiting int `json:"waiting"`
	Counts
	// Blocked is why nothing can be repaired automatically at present, or "".
	Blocked string `json:"blocked,omitempty"`
	// Brake is what stops them, or nil.
	Brake *remedy.Brake `json:"-"`
	// Told is the halt that was told, and its end not yet, or nil.
	Told *event.Halt `json:"-"`
}

// Status is a copy of how automatic repairs stand.
func (r *Repairer) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Waiting: len(r.queue.items), Counts: r.counts}
	if time.Now().Before(r.seen.blocked) {
		s.Blocked = r.seen.blockedBy
	}
	if r.seen.told != nil {
		h := *r.seen.told
		s.Told = &h
	}
	if r.seen.brake != nil {
		b := *r.seen.brake
		s.Brake = &b
	}
	return s
}
