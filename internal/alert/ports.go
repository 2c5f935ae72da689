package alert

import (
	"context"
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/event"
)

// ErrReset says that the stream is not the one in which a position was.
var ErrReset = errors.New("the events stream was made anew or rolled back")

// ErrConflict says that somebody else has moved a position.
var ErrConflict = errors.New("somebody else has moved the position")

// ErrNone says that there is no position yet.
var ErrNone = errors.New("no position is kept")

// ErrTaken says that another instance tells what this one was telling.
var ErrTaken = errors.New("another instance sends the alerts")

// Position is the place of an event in the events stream; zero before the first.
type Position struct {
	Sequence uint64 `json:"sequence"`
	// Stored is when it was stored, by which it is recognised.
	Stored time.Time `json:"stored"`
	// By is who keeps it: a word of its own for each run of a channel's worker.
	By string `json:"by,omitempty"`
	// Reminded is when a channel, whose position it is, was told last of what is still
	// open.
	Reminded time.Time `json:"reminded,omitzero"`
}

// Stored is a stored event.
type Stored struct {
	Position
	Subject string
	Data    []byte
}

// Events is the events stream.
type Events interface {
	// Tail is the newest event's position.
	Tail(ctx context.Context) (Position, error)
	// Follow gives all events after a position until ctx ends or fn fails, or ErrReset
	// if it is of another stream. With no sequence it begins after a time.
	Follow(ctx context.Context, after Position, fn func(Stored) error) error
}

// Positions keeps a position by channel, with a revision that grows with every change.
type Positions interface {
	// Load returns ErrNone where there is none.
	Load(ctx context.Context, channel string) (Position, uint64, error)
	// Save returns ErrConflict where the revision is another; 0 is where there is none.
	Save(ctx context.Context, channel string, p Position, revision uint64) (uint64, error)
}

// Letters takes events of our own.
type Letters interface {
	Publish(ctx context.Context, events []event.Event) error
}
