package verify

import (
	"context"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// State is the checker's, while it goes on.
type State interface {
	// Look calls fn between two messages of the stream. The checker waits meanwhile:
	// fn must be done in a millisecond or so. What it is given is valid during the call.
	Look(fn func(*View) error) error
}

// View is the checker's state as of a message.
type View struct {
	State *quest.State
	// Recent says what touched which quests lately, Passed that all is in the state
	// that committed below it.
	Recent *quest.Recent
	Passed change.LSN
	// Known says that the state rests on a baseline and nothing is missing since;
	// CaughtUp, that the stream was read to where it ended at the start.
	Known, CaughtUp bool
	// Violated calls a function for everything that the checker holds to be violated,
	// open or only suspected; "" is no person.
	Violated   func(func(r rule.Rule, quest int64, user string))
	Sequence   change.Seq
	Epoch      uint64
	Generation Generation
}

// Generation tells states apart that do not follow from one another: that of
// another attempt to read the stream, or after another baseline.
type Generation struct{ Run, Baseline int }

// Stream is what fills the state.
type Stream interface {
	// Streaming reports whether changes flow from the database. While they do not, it
	// may have been replaced by another one.
	Streaming() bool
	// Hurry has the checker learn soon how far the stream has come.
	Hurry()
	// Restate asks for a new baseline.
	Restate()
}

// Database is what the state is of.
type Database interface {
	// NextXID is above the id of every transaction that had one before the call.
	NextXID(ctx context.Context) (uint64, error)
	// Moment takes a snapshot and calls fn with it.
	Moment(ctx context.Context, fn func(At, Rows) error) error
}

// At is a snapshot's place: LSN is above the commit of everything it sees.
type At struct {
	LSN     change.LSN
	Visible change.Visible
}

// Rows are the rows that a snapshot sees.
type Rows interface {
	// Digests are those of consecutive ranges of quests: each begins at one of starts
	// and ends before the next, the last one at last.
	Digests(ctx context.Context, starts []int64, last int64) ([]quest.Digest, error)
	// Range reads the rows of the quests from first to last, in ascending order; a
	// quest may come in parts. Quests does so for these ids, which ascend.
	Range(ctx context.Context, first, last int64, fn func(id int64, rows []change.Change) error) error
	Quests(ctx context.Context, ids []int64, fn func(id int64, rows []change.Change) error) error
}

// Events is where differences are told.
type Events interface {
	Publish(ctx context.Context, events []event.Event) error
}
