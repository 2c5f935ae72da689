package remedy

import (
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Order says what is to be repaired, for whom, and why: all that the journal keeps of
// a repair besides what it changed.
type Order struct {
	// Namespace and Instance are whose repair it is.
	Namespace, Instance string
	Finding             string
	Rule                rule.Rule
	Cause               rule.Cause
	Action              Action
	Quest               int64
	// User is the id of the violation's person as the database writes it, "" for a rule
	// about the whole quest.
	User string
	// Actor asked for it; Reason is why, in words, or "". Automatic says that nobody
	// asked: brakes and repetition hold for those alone.
	Actor, Reason string
	Automatic     bool
	// Violated is when the transaction that began the violation committed, 0 where the
	// stream did not see it.
	Violated change.Millis
}

// Entry is one repair of the journal, or one that took another back.
type Entry struct {
	Order
	ID int64
	// Undoes is the entry that this one took back, UndoneBy the one that took this one
	// back; 0 for none.
	Undoes, UndoneBy int64
	// At is when it was written, by the database's clock; XID is its transaction.
	At  Micros
	XID uint64
	// Rows are the rows that it changed, in the order of its writes.
	Rows []Image
}

// Image is a row before and after a repair. Before is nil for a row that was inserted,
// After for one that was deleted; a value is nil for NULL, else as the database writes
// it. Only the columns that the repair wrote are in it, and those of a whole row that
// was inserted or deleted.
type Image struct {
	Entity string             `json:"entity"`
	ID     int64              `json:"id"`
	Before map[string]*string `json:"before,omitempty"`
	After  map[string]*string `json:"after,omitempty"`
}

// Brake is why there are no automatic repairs now.
type Brake struct {
	// Halted says that the program stopped itself, and not a person.
	Halted bool
	// Actor and Reason are who stopped it and why.
	Actor, Reason string
	Since         Micros
}

func (b *Brake) String() string {
	verb := "paused"
	if b.Halted {
		verb = "halted"
	}
	text := fmt.Sprintf("%s by %s since %s", verb, b.Actor, time.UnixMicro(int64(b.Since)).UTC().Format("2006-01-02 15:04:05 MST"))
	if b.Reason != "" {
		text += ": " + b.Reason
	}
	return text
}

// What keeps an order from being carried out, or taken back.
var (
	// ErrHealed: under the lock, the rule is not violated any more.
	ErrHealed = errors.New("it has healed")
	// ErrRepaired: the journal has a repair of this finding already.
	ErrRepaired = errors.New("it has been repaired already")
	// ErrRepeated: an automatic repair of the same rule for the same quest and person has
	// been undone, or has not lasted.
	ErrRepeated = errors.New("it was repaired before, and that was undone or did not last")
	// ErrBraked: automatic repairs are paused or halted.
	ErrBraked = errors.New("automatic repairs are stopped")
	// ErrNoJournal: the database has no journal, and nothing is repaired without one.
	ErrNoJournal = errors.New("the database has no journal of repairs")
	// ErrBehind: the checker has not read in time what was committed before the lock.
	ErrBehind = errors.New("the stream is behind the database")
	// ErrIneffective: the database did not keep what was written, as a trigger may decide.
	ErrIneffective = errors.New("the database does not keep what is written")
	// ErrNoEntry: the journal has no entry of that number.
	ErrNoEntry = errors.New("the journal has no such entry")
	// ErrUndone: the entry has been undone already, or is itself the undoing of another.
	ErrUndone = errors.New("it has been undone already")
)

// Part is one repair of several that are made of a quest in one transaction.
type Part struct {
	Rule   rule.Rule
	Cause  rule.Cause
	Action Action
	User   quest.User
	Writes []Write
}

// Filter says which entries of the journal are wanted; what is not set does not count.
type Filter struct {
	Namespace string
	Quest     int64
	Rule      rule.Rule
	Since     Micros
	// Limit is how many at most, the newest; 0 is all of them.
	Limit int
}

// ChangedError says why a repair is not undone: somebody has written what it wrote.
type ChangedError struct {
	Table string
	ID    int64
	// Column is the first that is not as the repair left it, "" where the row is gone.
	Column string
}

func (e *ChangedError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("row %d of %s is gone", e.ID, e.Table)
	}
	return fmt.Sprintf("column %s of row %d of %s has been changed since", e.Column, e.ID, e.Table)
}
