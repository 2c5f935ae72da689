package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/watch"
)

// recheck is one check.
type recheck struct {
	*Checker
	checking *Checking
	finder   finder
	checker  *watch.Checker
	before   uint64     // changes that it had taken
	known    change.LSN // findings that began before it are not compared
	result   Checked
	differ   *differ

	// from and to are what is compared, so much more than the range that what has moved over
	// its ends finds its like.
	from, to change.Seq
	// stored are events that were read ahead; next is the sequence behind them, newest the
	// position of the newest one.
	stored []Stored
	next   change.Seq
	since  time.Time
	newest event.Position
	all    bool // there are no more
}

// open finds the range, and the state to begin it with.
func (r *recheck) open(ctx context.Context) error {
	b, c := &r.finder.bounds, r.checking
	var err error
	r.result.Last = b.Last
	if c.To.Given() {
		if r.result.Last, err = r.finder.locate(ctx, c.To, true); err != nil {
			return err
		}
	}
	if c.From.Given() && !c.From.Baseline {
		if r.result.First, err = r.finder.locate(ctx, c.From, false); err != nil {
			return err
		}
		if r.result.First > r.result.Last {
			return &PointError{c.From.text, fmt.Sprintf("comes after %q: the range is empty", c.To.text)}
		}
	}
	if err := r.base(ctx); err != nil {
		return err
	}
	if r.result.First > r.result.Last && !c.To.Given() {
		return errors.New("nothing has come since the earliest possible time")
	}
	if r.result.First > r.result.Last {
		return &PointError{c.To.text, fmt.Sprintf("is before the earliest possible time, %s", r.finder.stampOf(ctx, r.result.First))}
	}
	r.from = max(r.result.Base+1, r.result.First-min(border, r.result.First-1))
	r.to = min(b.Last, r.result.Last+border)
	r.differ.first, r.differ.last = uint64(r.result.First), uint64(r.result.Last)
	m, err := r.past.Message(ctx, r.from)
	if err != nil {
		return fmt.Errorf("look at message %d: %w", r.from, err)
	}
	r.since = m.Stored.Add(-skew)
	if r.since.Before(b.Created) { // what was told then is of another stream
		r.since = b.Created
	}
	return nil
}

// border is by how many messages a server that lost the end of its stream is expected to
// have moved it.
const border = 4096

// progressEvery is how many messages are read between two words about it.
const progressEvery = 16_384

// read reads and judges the range, and compares as it goes.
func (r *recheck) read(ctx context.Context) error {
	from, total := r.result.Base+1, int64(r.result.Last-r.result.Base)
	err := r.past.Range(ctx, from, r.to, func(m change.Record) error {
		found, err := r.checker.Take(m)
		if err != nil {
			return err
		}
		if m.Seq <= r.result.Last {
			r.result.Messages++
			r.result.Changes = r.checker.Changes() - r.before
		}
		now := m.Seq%progressEvery == 0
		if now {
			r.checking.Progress(min(int64(m.Seq-from)+1, total), total)
		}
		if m.Seq < r.from || len(found) == 0 && !now {
			return nil
		}
		for i := range found {
			if err := r.again(&found[i]); err != nil {
				return err
			}
		}
		return r.live(ctx, m.Seq)
	})
	if err != nil {
		return fmt.Errorf("judge the stream anew: %w", err)
	}
	return r.live(ctx, r.to)
}

func (r *recheck) again(f *watch.Found) error {
	namespace := r.checking.Rules.Drift.Namespace
	data, err := f.Event.Encode(namespace)
	if err != nil {
		return err
	}
	if r.older(data) {
		return nil
	}
	subject := strings.TrimPrefix(f.Event.Subject(namespace), namespace+".events.")
	return r.differ.fromAgain(compared{f.Event.ID, subject, f.Position, digestOf(data), f.Event.Weight(), f.Event.Time})
}

// older reports whether an event is about what began before anything was known.
func (r *recheck) older(data []byte) bool {
	if r.known == 0 {
		return false
	}
	e, err := event.Parse(data)
	if err != nil {
		return false
	}
	switch d := e.Data.(type) {
	case event.Finding:
		return d.Transaction.CommitLSN < r.known
	case event.Approval:
		return d.Transaction.CommitLSN < r.known
	case event.Planned:
		return d.Transaction.CommitLSN < r.known
	case event.Baseline:
		return d.LSN < r.known
	}
	return false
}

// ahead is how many events are read at a time.
const ahead = 2000

// live takes in the live events that were due up to a message.
func (r *recheck) live(ctx context.Context, upTo change.Seq) error {
	for {
		if len(r.stored) == 0 {
			if r.all {
				return nil
			}
			if err := r.fetch(ctx); err != nil || len(r.stored) == 0 {
				return err
			}
		}
		s := &r.stored[0]
		t, err := comparedOf(s.Subject, s.Data)
		if err != nil {
			return fmt.Errorf("event %d: %w", s.Seq, err)
		}
		if t.at.Sequence > uint64(upTo) {
			return nil
		}
		r.stored, r.newest = r.stored[1:], t.at
		if t.at.Sequence < uint64(r.from) || r.older(s.Data) {
			continue
		}
		if err := r.differ.fromLive(t); err != nil {
			return err
		}
	}
}

func (r *recheck) fetch(ctx context.Context) (err error) {
	if r.stored, err = r.told.Told(ctx, r.next, r.since, ahead); err != nil {
		return fmt.Errorf("read what was found live: %w", err)
	}
	if n := len(r.stored); n > 0 {
		r.next = r.stored[n-1].Seq + 1
	}
	r.all = len(r.stored) < ahead
	return nil
}

// lateFor is how long the live checker is waited for: it may be about to tell what was
// found again at the end of the stream.
const (
	lateFor   = 3 * time.Second
	lateEvery = 100 * time.Millisecond
)

func (r *recheck) late(ctx context.Context) error {
	deadline := time.Now().Add(lateFor)
	for {
		r.all = false
		if err := r.live(ctx, r.to); err != nil {
			return err
		}
		if !r.differ.again.newest().After(r.newest) {
			return nil
		}
		if time.Now().After(deadline) {
			return r.untold(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lateEvery):
		}
	}
}

// untold leaves out what the live checker has not come to.
func (r *recheck) untold(ctx context.Context) error {
	last, some, err := r.told.Last(ctx)
	if err != nil {
		return fmt.Errorf("find the last event: %w", err)
	}
	r.all = false
	if err := r.live(ctx, r.to); err != nil { // up to that one
		return err
	}
	if some {
		r.result.Untold = r.differ.untold(last)
	}
	return nil
}
