package watch

import (
	"context"
	"errors"
	"io"
	"time"

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
	// Created is when the stream of events was made, First the oldest sequence that it
	// keeps, and Newest that of our newest event, 0 where there is none.
	Created       time.Time
	First, Newest change.Seq
}

// before reports whether a position is no later than the last one.
func (p *Published) before(at event.Position) bool { return p.Some && !at.After(p.Last) }

// Findings holds what is open now, by finding id.
type Findings interface {
	Put(ctx context.Context, id string, data []byte) error
	Delete(ctx context.Context, id string) error
	Keys(ctx context.Context) ([]string, error)
}

// Message is a message of the stream as the server knows it.
type Message struct {
	change.Record
	// Stored is when it was stored, Created when the stream was made, by the server's
	// clock.
	Stored, Created time.Time
}

// ErrNoMessage says that the stream has no such message, or no longer.
var ErrNoMessage = errors.New("no such message in the stream")

// Messages looks at single messages of the stream.
type Messages interface {
	// Message reads one; ErrNoMessage when it is not there.
	Message(ctx context.Context, seq change.Seq) (Message, error)
}

// Saved is a checkpoint that is stored.
type Saved struct {
	Name  string
	Seq   change.Seq
	Bytes int64
}

// ErrNoStore says that there is no store of checkpoints, or that we may not read it.
var ErrNoStore = errors.New("no store of checkpoints")

// Checkpoints is where they are stored.
type Checkpoints interface {
	// List lists those that are stored as a whole, that of the newest message first.
	List(ctx context.Context) ([]Saved, error)
	// Load gives one to fn as it comes. What it has of its own to say against it is
	// ErrDamaged.
	Load(ctx context.Context, s Saved, fn func(io.Reader) error) error
	// Save stores what write writes as the checkpoint behind a message, whole or not at
	// all, and forgets the oldest ones. With an error and a name it could not do that.
	Save(ctx context.Context, seq change.Seq, write func(io.Writer) error) (Saved, error)
}
