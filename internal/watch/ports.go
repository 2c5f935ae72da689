package watch

import (
	"context"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// CDC is the stream that is read.
type CDC interface {
	// Bounds are the first and the last sequence of the stream now.
	Bounds(ctx context.Context) (first, last change.Seq, err error)
	// Consume gives the messages from a sequence on, in order and without holes,
	// until ctx ends or fn fails.
	Consume(ctx context.Context, from change.Seq, fn func(change.Record) error) error
}

// Outgoing is an encoded event.
type Outgoing struct {
	Subject, ID string
	Data        []byte
}

// Events is where events go.
type Events interface {
	// Publish stores events in order; one with a known id is stored once.
	Publish(ctx context.Context, events []Outgoing) error
	// Published says how far ours have come.
	Published(ctx context.Context) (Published, error)
}

// Published is how far the events have come that are stored.
type Published struct {
	// Last is the position of the newest one whose cause the CDC stream holds; Some
	// is false when there is none.
	Last event.Position
	Some bool
	// Lost are the ids of newer ones: the CDC stream lost its end, and with it what
	// caused them. When that comes again, perhaps at other sequences, so do they.
	Lost map[string]bool
}

// before reports whether a position is no later than the last one.
func (p *Published) before(at event.Position) bool { return p.Some && !at.After(p.Last) }

// Findings holds what is open now, by finding id.
type Findings interface {
	Put(ctx context.Context, id string, data []byte) error
	Delete(ctx context.Context, id string) error
	Keys(ctx context.Context) ([]string, error)
}

// Names looks up people's names by id; ids that nobody has are left out.
type Names interface {
	Usernames(ctx context.Context, ids []string) (map[string]string, error)
}
