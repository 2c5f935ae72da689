package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/watch"
)

// Past is the whole CDC stream as it is stored.
type Past interface {
	Bounds(ctx context.Context) (Bounds, error)
	Message(ctx context.Context, seq change.Seq) (watch.Message, error)
	// Range gives the messages between two sequences, both included, in order.
	Range(ctx context.Context, from, to change.Seq, fn func(change.Record) error) error
	// Quest gives those of a quest, and the control records between them.
	Quest(ctx context.Context, quest int64, from, to change.Seq, fn func(change.Record) error) error
}

// Told are the checker's events as they are stored.
type Told interface {
	// Told gives up to a number of them, in order: from a sequence on or, where that is 0,
	// those stored at a time or after it.
	Told(ctx context.Context, from change.Seq, since time.Time, most int) ([]Stored, error)
	// Last is the position behind which the live checker goes on to tell, false where it
	// has told nothing.
	Last(ctx context.Context) (at event.Position, some bool, err error)
}

// Checking says what to judge anew, and by which rules.
type Checking struct {
	Rules    watch.Rules
	From, To Point
	// Differs is told of each difference; Progress, now and then, how far it is.
	Differs  func(Difference) error
	Progress func(done, total int64)
}

// Checked is what came of it.
type Checked struct {
	// First and Last are the messages whose events were compared, Base is behind which
	// message reading began, and Exact says that everything was known there that the live
	// checker knew.
	First change.Seq `json:"first"`
	Last  change.Seq `json:"last"`
	Base  change.Seq `json:"base"`
	Exact bool       `json:"exact"`
	// Messages and Changes were read, Events were found again in the range. Moved are those
	// of them that are the same but for their position: a server had lost the end of its
	// stream and got it anew.
	Messages    uint64 `json:"messages"`
	Changes     uint64 `json:"changes"`
	Events      uint64 `json:"events"`
	Moved       uint64 `json:"moved"`
	Differences uint64 `json:"differences"`
	// Untold were found again behind all that was told live: an instance that is behind, or
	// was killed, has them still to tell. They are no differences.
	Untold uint64 `json:"untold"`
	// Seconds is how long reading and judging took.
	Seconds float64 `json:"seconds"`
}

// Checker judges the past anew.
type Checker struct {
	past  Past
	told  Told
	store watch.Checkpoints // or nil
}

// NewChecker makes one; store is nil where no checkpoints are kept.
func NewChecker(past Past, told Told, store watch.Checkpoints) *Checker {
	return &Checker{past, told, store}
}

// Check judges a range anew and compares what is found with what was found live.
func (k *Checker) Check(ctx context.Context, c *Checking) (*Checked, error) {
	bounds, err := k.past.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	if bounds.First > bounds.Last {
		return nil, errors.New("the stream is empty")
	}
	r := &recheck{Checker: k, checking: c, finder: finder{past: k.past, bounds: bounds}, differ: newDiffer(c.Differs)}
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	r.result.Seconds = time.Since(began).Seconds()
	if err := r.late(ctx); err != nil {
		return nil, err
	}
	if err := r.differ.end(); err != nil {
		return nil, err
	}
	r.result.Events, r.result.Moved, r.result.Differences = r.differ.events, r.differ.moved, r.differ.differences
	return &r.result, nil
}

// String is the result as people read it.
func (c *Checked) String() string {
	verdict := "What is found is what was found live"
	if c.Differences > 0 {
		verdict = fmt.Sprintf("%d differences from what was found live", c.Differences)
	}
	text := fmt.Sprintf("%s: messages %d to %d, %d events.\n", verdict, c.First, c.Last, c.Events)
	text += fmt.Sprintf("Read %d messages with %d changes in %.1f s, from behind message %d.\n", c.Messages, c.Changes, c.Seconds, c.Base)
	if !c.Exact {
		text += "What came before that is gone from the stream: findings that began there were not compared, and causes that lie there are not known.\n"
	}
	if c.Untold > 0 {
		text += fmt.Sprintf("%d of the events have not been told yet: an instance that was killed or is behind tells them when it goes on.\n", c.Untold)
	}
	if c.Moved > 0 {
		text += fmt.Sprintf("%d events were found at other positions, and are else the same.\n", c.Moved)
	}
	return text
}
