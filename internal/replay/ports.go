package replay

import (
	"context"
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// ErrNone says that there is no such message, event or finding.
var ErrNone = errors.New("there is none")

// Stream is the CDC stream as it is stored.
type Stream interface {
	Bounds(ctx context.Context) (Bounds, error)
	// Steps gives the stored steps of a quest between two sequences, both included, in
	// order, and returns.
	Steps(ctx context.Context, quest int64, from, to change.Seq, fn func(change.Record) error) error
	// Control is the first control record at a sequence or after it, or ErrNone.
	Control(ctx context.Context, from change.Seq) (change.Record, error)
}

// Bounds is what a stream holds.
type Bounds struct {
	// First and Last are sequences; an empty stream has First above Last.
	First, Last change.Seq
	// Created tells a stream from one that was made anew in its place.
	Created time.Time
	// Oldest is the message at First; its Data is nil where there is none.
	Oldest change.Record
}

// Ref is a stored event without its data.
type Ref struct {
	Seq         change.Seq
	Subject, ID string
}

// Stored is a stored event.
type Stored struct {
	Ref
	Data []byte
	At   time.Time // when it was stored
}

// Events are the stored events. Filters are subjects below the namespace's, as in
// "drift.>".
type Events interface {
	Bounds(ctx context.Context) (first, last change.Seq, err error)
	// Refs gives the events between two sequences, both included, in order, and
	// returns.
	Refs(ctx context.Context, filters []string, from, to change.Seq, fn func(Ref) error) error
	// Event is one event, or ErrNone.
	Event(ctx context.Context, seq change.Seq) (Stored, error)
}

// Findings holds what is open now, by finding id.
type Findings interface {
	// Get is a kept finding, or ErrNone.
	Get(ctx context.Context, id string) ([]byte, error)
	Keys(ctx context.Context) ([]string, error)
}
