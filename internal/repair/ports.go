package repair

import (
	"context"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
)

// State is where the checker is looked at.
type State interface {
	// Look calls fn with the checker as it is between two messages, or with nil where
	// there is none. It stands still meanwhile: fn must be done in a few milliseconds.
	Look(fn func(*View) error) error
}

// View is the checker between two messages.
type View struct {
	State *quest.State
	// Open lists the open findings; Finding is one of them.
	Open    func() []drift.Finding
	Finding func(id string) (drift.Finding, bool)
	// Passed is a position of the database's log below which the state holds everything.
	Passed change.LSN
	// Now is stream time.
	Now change.Millis
	// Fit says that this instance streams, and that its checker has caught up and knows
	// every quest.
	Fit bool
}

// Store is the database that is repaired, and its journal.
type Store interface {
	// Carry carries out an order in one transaction. Under the quest's lock, confirm is
	// called with a position of the log behind everything that committed before the
	// lock, then decide with the rows. An error of either ends it, and nothing was written.
	Carry(
		ctx context.Context, order *remedy.Order, confirm func(context.Context, change.LSN) error,
		decide func(*remedy.Case) (remedy.Action, []remedy.Write, error),
	) (*remedy.Entry, error)
	// Brake is what stops automatic repairs now, or nil.
	Brake(ctx context.Context, namespace string) (*remedy.Brake, error)
	// Resumed is who let them go on last, "" where nobody ever did.
	Resumed(ctx context.Context, namespace string) (actor string, err error)
	// Stop stops them; who stopped them first is kept.
	Stop(ctx context.Context, namespace string, b remedy.Brake) error
}

// Pulse has the stream pass the end of the database's log at once, and not only
// when somebody writes next.
type Pulse interface {
	Beat(ctx context.Context) error
}

// Lookup is what people are shown besides.
type Lookup interface {
	Usernames(ctx context.Context, ids []string) (map[string]string, error)
	// Script is the SQL of a plan's writes.
	Script(ctx context.Context, questID int64, writes []remedy.Write, person func(quest.User) string) (string, error)
}

// Events tells others what is no function of the stream.
type Events interface {
	// Tell tells of a finding that was left alone, or of a halt, unless that was told
	// already, be it by an earlier process.
	Tell(ctx context.Context, e event.Event) error
	// Halted is the last halt that was told, if its end was not; else nil.
	Halted(ctx context.Context) (*event.Halt, error)
}
