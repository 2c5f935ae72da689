package schedule

import (
	"context"
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
)

// Note is what all instances know of the timetable.
type Note struct {
	// Timetable is the one that it is about.
	Timetable string `json:"timetable"`
	// Counted is up to when planned times have had their audit, or have one now.
	Counted time.Time `json:"counted"`
	// Due is the planned time whose audit is not done; zero for none.
	Due time.Time `json:"due,omitzero"`
	// Attempt counts from 1, Tried is when it began, Instance who made it.
	Attempt  int       `json:"attempt,omitempty"`
	Tried    time.Time `json:"tried,omitzero"`
	Instance string    `json:"instance,omitempty"`
}

// ErrTaken says that another instance has written the note since it was read.
var ErrTaken = errors.New("another instance has written the note")

// Desk is where the note lies.
type Desk interface {
	// Read returns revision 0 where there is none.
	Read(ctx context.Context) (Note, uint64, error)
	// Write replaces the note that has the revision, or makes the first one; ErrTaken.
	Write(ctx context.Context, n Note, revision uint64) (uint64, error)
}

// Reports is where reports are kept.
type Reports interface {
	// Load is nil where there is none of the name.
	Load(ctx context.Context, name string) (*Report, error)
	// Names lists them, the oldest first.
	Names(ctx context.Context) ([]string, error)
	// Save stores one and forgets the oldest ones.
	Save(ctx context.Context, r *Report) error
}

// Events is where audits are told of.
type Events interface {
	Publish(ctx context.Context, events []event.Event) error
	// Told reports whether the newest event of its subject has the event's id.
	Told(ctx context.Context, e *event.Event) (bool, error)
}

// Checker is who watches all the time.
type Checker interface {
	// Witness is called before a snapshot is taken; verify.Verifier has it.
	Witness(ctx context.Context) (*verify.Witness, error)
}

// Database is what audits read.
type Database interface {
	// Survey is audit.Database's; it calls at first, with the snapshot's place.
	Survey(ctx context.Context, of remedy.Scope, at func(verify.At) error, begin func(remedy.Census) error, each func(*remedy.Case) error) error
}

// reading is a database for one audit that only reads.
type reading struct {
	Database
	at func(verify.At) error
}

var errReading = errors.New("an audit by timetable repairs nothing")

func (r reading) Survey(ctx context.Context, of remedy.Scope, begin func(remedy.Census) error, each func(*remedy.Case) error) error {
	return r.Database.Survey(ctx, of, r.at, begin, each)
}

func (reading) Writable(context.Context) error { return errReading }

func (reading) Repair(context.Context, *remedy.Order, func(*remedy.Case) ([]remedy.Part, error)) (remedy.Receipt, error) {
	return remedy.Receipt{}, errReading
}

var _ audit.Database = reading{}
