package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/peerquest/questwatch/internal/change"
)

// errReached ends a feed that was to run up to a position only.
var errReached = errors.New("position reached")

// feedUntil streams until ctx ends, the connection fails, or, where until is not
// 0, everything that committed below it is published. It returns nil only in the
// last case. It closes the feed.
func (s *session) feedUntil(ctx context.Context, feed Feed, until change.LSN) error {
	a := s.assembler()
	a.lastStep.Store(time.Now().UnixNano())
	t := &ticker{
		config: &s.config, feed: feed, clock: s.clock, marks: s.marks,
		confirmed: func(now time.Time) change.LSN { return s.confirmer.update(s.writer.Acked(), now) },
		lastStep:  func() time.Time { return time.Unix(0, a.lastStep.Load()) },
		nextXID:   feed.NextXID,
		held:      s.held.Load,
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.run(gctx) })
	group.Go(func() error {
		err := s.pump(gctx, feed, a, until)
		if until == 0 { // a snapshot must not be kept for long
			s.hold(gctx, err)
		}
		return err
	})
	group.Go(func() error { return s.stayFit(gctx) })
	group.Go(func() error { // Receive knows no context: closing ends it
		<-gctx.Done()
		return feed.Close()
	})
	err := group.Wait()
	switch {
	case errors.Is(err, errReached):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// assembler makes one that goes on where the stream ends.
func (s *session) assembler() *assembler {
	return &assembler{
		config: &s.config, writer: s.writer, recorded: s.confirmer.record, tally: s.tally,
		source: change.Source{DB: s.config.DB, Epoch: s.epoch}, resume: s.tail.partial,
		passed: s.tail.passed(),
	}
}

// ownTimeout is how long our own previous connection may still hold the slot.
const ownTimeout = 5 * time.Second

// start opens the feed. Within a session a busy slot is busy with the feed that
// we have just closed, and the server takes a moment to notice.
func (s *session) start(ctx context.Context, from change.LSN) (Feed, error) {
	deadline := time.Now().Add(ownTimeout)
	for {
		feed, err := s.postgres.Start(ctx, from, s.nextXID)
		if err == nil {
			s.fed = true
			return feed, nil
		}
		if !errors.Is(err, ErrBusy) || !s.fed || time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fitEvery is how often the database is looked at while it streams.
const fitEvery = 5 * time.Second

// stayFit ends the session when the database no longer fits, when what it
// publishes has changed, or when new connections lead to another server than the
// stream's: the stream itself would say nothing of it. It does so too when somebody
// wants a baseline.
func (s *session) stayFit(ctx context.Context) error {
	tick := time.NewTicker(fitEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if s.wanted.Load() {
			return errRestate
		}
		slot, err := s.postgres.Slot(ctx)
		switch {
		case errors.Is(err, ErrUnfit):
			return err
		case err == nil && slot.Publication != s.slot.Publication:
			return errors.New("somebody has changed what the publication publishes")
		case err == nil && slot.Columns != s.slot.Columns:
			return errors.New("somebody has altered columns that the rules need")
		case err == nil && (slot.System != s.slot.System || slot.Timeline != s.slot.Timeline):
			return errors.New("another server has taken over")
		}
		// Other errors are the connection's, and the feed has one of its own.
	}
}

// lost remembers that a new baseline is needed, and why changes are missing if
// any are. It comes before the stream says anything of it: a crash in between
// costs a baseline.
func (s *session) lost(ctx context.Context, gap string) error {
	s.note.Baseline, s.note.Gap = 0, gap
	if err := s.notes.Write(ctx, s.note); err != nil {
		return fmt.Errorf("note that a baseline is needed: %w", err)
	}
	return nil
}

// errColumns ends a session: the rules cannot be judged without the columns, and
// what is written now does not say what is in them.
var errColumns = errors.New("columns are gone or altered that the rules need")

// pump moves signals from the feed to the stream, and marks between them.
func (s *session) pump(ctx context.Context, feed Feed, a *assembler, until change.LSN) error {
	var sig change.Signal
	gone := false
	for {
		if err := feed.Receive(&sig); err != nil {
			return err
		}
		if sig.Kind != change.Alive {
			s.marks.heard.Add(1)
		}
		// On the way to a baseline that is being taken already, they may be gone.
		if until == 0 && sig.Kind == change.Noted && len(sig.Control.Missing)+len(sig.Control.Retyped) > 0 {
			gone = true
			if err := s.lost(ctx, ""); err != nil {
				return err
			}
		}
		if !a.inTx {
			// First, because a mark beyond until would record more than the baseline that
			// follows does.
			if until != 0 && sig.WALEnd >= until {
				return errReached
			}
			if err := s.mark(ctx, a, sig.WALEnd); err != nil {
				return err
			}
		}
		if err := a.take(ctx, &sig); err != nil {
			return err
		}
		if gone && sig.Kind == change.Committed {
			return errColumns
		}
	}
}

// mark publishes the waiting reading if the server has read past it. What
// committed below it has then been published, because it comes in commit order.
//
// A reading may come late, when the stream has passed it already. Its time still
// holds, but its position would send whoever resumes from it back behind what is
// published; the server's own position is taken then.
func (s *session) mark(ctx context.Context, a *assembler, read change.LSN) error {
	if read < a.passed {
		return nil
	}
	r := s.marks.reached(read)
	if r == nil {
		return nil
	}
	lsn := r.LSN
	if lsn < a.passed {
		lsn = read
	}
	seq, err := a.control(ctx, &change.Control{Kind: change.Progress, LSN: lsn, Time: r.At})
	if err != nil {
		return fmt.Errorf("mark progress: %w", err)
	}
	a.passed = lsn
	a.recorded(seq, lsn)
	s.marks.published(r, time.Now())
	return nil
}
