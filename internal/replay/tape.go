package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// Kind is which of the two streams is meant.
type Kind string

// The streams.
const (
	KindCDC    Kind = "cdc"
	KindEvents Kind = "events"
)

// Message is a stored message of either stream. Its data is valid until the call ends that
// gives it.
type Message struct {
	Seq     change.Seq
	Subject string // below the namespace's, as in cdc.3.42
	ID      string // "" where it has none
	Data    []byte
}

// Tape is a stored stream that is played.
type Tape interface {
	// Extent is what the stream holds and how old its name is, and whether there is
	// anything.
	Extent(ctx context.Context) (Extent, error)
	// Read gives the messages of a stretch in order. It may give others too that were not
	// asked for. What was discarded before it could be read is a *MovedError.
	Read(ctx context.Context, s *Stretch, fn func(*Message) error) error
	// Knows reports whether the stream, or that of changes, has anything of a quest.
	Knows(ctx context.Context, quest int64) (bool, error)
}

// Extent is what a stream holds.
type Extent struct {
	Stream      string // its name
	First, Last change.Seq
	// Created tells a stream from one that was made anew in its place.
	Created change.Millis
	// Oldest is when the first message was stored; 0 where that does not matter.
	Oldest change.Millis
}

// Stretch is what is read of a stream.
type Stretch struct {
	Kind Kind
	// First and Last are sequences, both included. With a First of 0 it begins at what was
	// stored since then, or at the oldest.
	First, Last change.Seq
	Since       time.Time
	// Quests and Rule select messages, where they are given.
	Quests []int64
	Rule   string
}

// MovedError says that the stream discarded messages before they were read.
type MovedError struct{ First change.Seq }

func (e *MovedError) Error() string {
	return fmt.Sprintf("the stream discarded messages while they were replayed: it begins with message %d now, and what is missing is not known", e.First)
}

// DamageError says that what is stored is not what was written: who reads on from there meets
// it again.
type DamageError struct{ error }

func (e DamageError) Unwrap() error { return e.error }

// Damaged makes an error one.
func Damaged(err error) error { return DamageError{err} }

// Item is a message with what it says.
type Item struct {
	*Message
	Kind Kind
	// At is when it committed or happened; of a record that does not say, when that before
	// it did. LSN and Transaction are 0 where it has none.
	At          change.Millis
	LSN         change.LSN
	Transaction uint64
	// One of them is there.
	Step    *change.Step
	Control *change.Control
	Event   *event.Event

	cols    *[change.Participant + 1]columns
	chosen  bool   // changes are those that match, else all of Step's do
	changes []seen // of Step
}

// Changes is how many changes of it match.
func (i *Item) Changes() int {
	if i.Step != nil && !i.chosen {
		return len(i.Step.Changes)
	}
	return len(i.changes)
}

// rows are the changes that match, taken apart.
func (i *Item) rows() ([]seen, error) {
	if i.Step == nil || i.chosen {
		return i.changes, nil
	}
	return i.choose(func(*seen) bool { return true })
}

// choose takes the changes apart, and keeps those that match.
func (i *Item) choose(matches func(*seen) bool) ([]seen, error) {
	i.chosen, i.changes = true, i.changes[:0]
	for n := range i.Step.Changes {
		c, err := read(i.cols, &i.Step.Changes[n])
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i.Seq, err)
		}
		if matches(&c) {
			i.changes = append(i.changes, c)
		}
	}
	return i.changes, nil
}

// reader takes messages apart, in memory that it uses again.
type reader struct {
	kind    Kind
	cols    *[change.Participant + 1]columns
	decoder change.Decoder
	step    change.Step
	item    Item
}

func (r *reader) read(m *Message) (*Item, error) {
	i := &r.item
	*i = Item{Message: m, Kind: r.kind, At: i.At, cols: r.cols, changes: i.changes[:0]}
	var err error
	switch {
	case r.kind == KindEvents:
		// One that this version cannot read is nobody's, and stands where it was stored.
		e, unread := event.Parse(m.Data)
		if i.Event = &e; unread == nil {
			i.At = e.Time
		}
	case change.IsControl(m.Data):
		if i.Control, err = r.decoder.Control(m.Data); err == nil {
			i.control()
		}
	default:
		if err = r.decoder.Step(m.Data, &r.step); err == nil {
			i.Step, i.At = &r.step, r.step.Transaction.Time
			i.LSN, i.Transaction = r.step.Transaction.CommitLSN, r.step.Transaction.ID
		}
	}
	if err != nil {
		return nil, fmt.Errorf("message %d: %w", m.Seq, err)
	}
	return i, nil
}

func (i *Item) control() {
	c := i.Control
	i.LSN = c.LSN
	if c.Time != 0 {
		i.At = c.Time
	}
	if t := c.Transaction; t != nil {
		i.At, i.LSN, i.Transaction = t.Time, t.CommitLSN, t.ID
	}
}

// errPassed ends a reading behind its range.
var errPassed = errors.New("behind the range")
