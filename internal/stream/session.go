package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// session is one connection to both sides: it finds out where the stream ends,
// and goes on from there until something fails.
type session struct {
	config   Config
	postgres Postgres
	clock    Clock
	cdc      CDC
	notes    Notes
	logger   *slog.Logger

	writer    Writer
	confirmer *confirmer
	marks     *marks
	flight    *flight
	tally     *tally
	needs     *needs
	// stall tells that the session waits for JetStream, and why; held is then true.
	stall   func(error)
	held    atomic.Bool
	wanted  *atomic.Bool // a baseline
	tail    tail
	note    Note
	slot    Slot // as the session began
	history []Switch
	epoch   uint64
	nextXID uint64
	fed     bool // a feed of ours was open
}

// plan is how a session begins.
type plan struct {
	// from is where the slot goes on; 0 when there is nothing to go on from.
	from change.LSN
	// gap says why changes are missing, "" when none are.
	gap string
	// common is where they begin to be missing, 0 for the end of the stream.
	common change.LSN
	// baseline says why one is needed, "" when none is.
	baseline string
}

// decide compares the stream's tail with the slot. It never resumes from a
// position that the stream does not hold, and never without a baseline to judge
// from, unless nobody needs one that begins at or behind the message need. end is
// where the server's log ends, history how it came there.
func decide(t *tail, slot Slot, n Note, need change.Seq, history []Switch, end change.LSN) plan {
	p := plan{from: t.whole}
	common, same := onBranch(t, n, slot.Timeline, history)
	switch {
	case t.last == 0:
		p.baseline = "start"
	case n.Baseline == 0 || n.Baseline < need:
		p.baseline = "no_baseline"
	}
	switch {
	case n.System != "" && n.System != slot.System:
		p.gap, p.from = "other_system", 0
	case !same:
		// A standby took over that had not received all, or a backup was restored.
		p.gap, p.from, p.common = "timeline", 0, common
	case !slot.Exists:
		p.gap, p.from = "slot_missing", 0
	case !slot.Usable:
		p.gap, p.from = "slot_lost", 0
	case n.Gap != "":
		p.gap, p.from = n.Gap, 0
	case n.Publication != "" && n.Publication != slot.Publication:
		// What was written meanwhile was not written for us, or not all of it.
		p.gap, p.from = "publication_changed", 0
	case t.passed() > end:
		// The log went back on its own timeline: a copy of the server's files was put
		// in their place. What it writes now would be taken for what we have.
		p.gap, p.from = "log_behind", 0
	case t.last == 0 || slot.Confirmed > t.whole && t.whole != 0:
		p.gap, p.from = "stream_behind", slot.Confirmed
	case t.whole == 0:
		// The newest messages are gone by retention or purge. What they recorded was
		// confirmed, so that the slot knows.
		p.from = slot.Confirmed
	}
	if (p.gap == "slot_missing" || p.gap == "timeline") && !slot.Exists && t.whole == 0 && n.Baseline == 0 {
		p.gap, p.common = "", 0 // there has never been a whole baseline: nothing was promised
	}
	switch {
	case p.gap != "":
		p.baseline = p.gap
	case p.baseline == "" && n.Columns != "" && n.Columns != slot.Columns:
		// Nothing is missing, but rows that nobody wrote may have other values.
		p.baseline = "columns_changed"
	}
	return p
}

// open reads both sides and makes the writer.
func (s *session) open(ctx context.Context) (plan, error) {
	slot, err := s.postgres.Slot(ctx)
	if err != nil {
		return plan{}, err
	}
	if slot.Active {
		return plan{}, ErrBusy
	}
	s.slot = slot
	s.marks.drop()
	if slot.Timeline > 1 { // the first one has no history
		if s.history, err = s.postgres.History(ctx); err != nil {
			return plan{}, fmt.Errorf("read the history of the server's log: %w", err)
		}
	}
	if s.tail, err = readTail(ctx, s.cdc); err != nil {
		return plan{}, err
	}
	if s.note, err = s.notes.Read(ctx); err != nil {
		return plan{}, fmt.Errorf("read where the baseline begins: %w", err)
	}
	reading, err := s.clock.Read(ctx)
	if err != nil {
		return plan{}, err
	}
	s.nextXID = reading.NextXID
	s.writer = s.flight.of(s.cdc.Writer(s.tail.last), &s.tally.messages)
	p := decide(&s.tail, slot, s.note, s.needed(), s.history, reading.LSN)
	if p.gap == "" && s.wanted.Load() {
		p.baseline = "mismatch"
	}
	s.confirmer = &confirmer{lag: s.config.ConfirmLag, notBefore: time.Now().Add(s.config.TailLag)}
	if p.from != 0 {
		s.confirmer.confirmed = slot.Confirmed
	}
	if p.gap == "" { // else the stream's positions may be another cluster's
		s.confirmer.record(s.tail.last, s.tail.whole)
	}
	return p, nil
}

// needed is where a baseline must begin to be of use. Of a stream without messages
// no reader can go on.
func (s *session) needed() change.Seq {
	need := s.needs.open(s.note.Baseline, s.tail.last)
	if !s.config.Asked || s.tail.first > s.tail.last {
		need = s.tail.first
	}
	return need
}

// run goes on from the plan until something fails. last is the epoch that this
// instance wrote last, 0 if it wrote none. began is called as each part begins.
func (s *session) run(ctx context.Context, p plan, last uint64, began func(string)) error {
	defer s.writer.Close()
	from := p.from
	if p.baseline != "" {
		at, err := s.rebase(ctx, p, last, began)
		if err != nil {
			return err
		}
		from, s.tail.partial = at, partial{}
	}
	feed, err := s.start(ctx, from)
	if err != nil {
		return err
	}
	if p.baseline == "" {
		if err := s.takeOver(ctx, p, last); err != nil {
			return errors.Join(err, feed.Close())
		}
	}
	s.logger.Info("streaming", "lsn", from.String(), "epoch", s.epoch)
	began(streaming)
	return s.feedUntil(ctx, feed, 0)
}

// takeOver begins a new epoch, unless the newest one is ours and goes on. It is
// called when Postgres has given us what it gives to one only, the slot or the
// snapshot: of two instances that start at once, only one writes.
func (s *session) takeOver(ctx context.Context, p plan, last uint64) error {
	s.epoch = max(s.tail.epoch, s.note.Epoch)
	reason := p.baseline
	if reason == "" {
		failedOver := s.note.Timeline != 0 && s.note.Timeline != s.slot.Timeline
		if s.epoch != 0 && s.epoch == last && !failedOver {
			return nil
		}
		reason = "resume"
		if failedOver {
			reason = "failover"
		}
	}
	s.epoch++
	s.note.Epoch, s.note.System, s.note.Publication, s.note.Columns = s.epoch, s.slot.System, s.slot.Publication, s.slot.Columns
	s.note.Timeline, s.note.Forked = s.slot.Timeline, forked(s.history, s.slot.Timeline)
	// Whatever ends a rebase early, the next session must not take the baseline
	// before the gap for one that still holds, nor the note of the new server for one
	// that the stream agrees with.
	if p.baseline != "" {
		s.note.Baseline = 0
		s.needs.rest(0)
	}
	if p.gap != "" && p.from == 0 {
		s.note.Gap = p.gap
	}
	if err := s.notes.Write(ctx, s.note); err != nil {
		return fmt.Errorf("note the epoch: %w", err)
	}
	return s.announce(ctx, reason)
}

func (s *session) announce(ctx context.Context, reason string) error {
	reading, err := s.clock.Read(ctx)
	if err != nil {
		return err
	}
	_, err = s.record(ctx, &change.Control{
		Kind: change.Epoch, Time: reading.At, Reason: reason,
		System: s.slot.System, Timeline: s.slot.Timeline, Instance: s.config.Instance,
	})
	return err
}

// record publishes a control record outside of any feed.
func (s *session) record(ctx context.Context, c *change.Control) (change.Seq, error) {
	a := &assembler{config: &s.config, writer: s.writer, source: change.Source{
		DB: s.config.DB, Epoch: s.epoch, Snapshot: c.Kind == change.BaselineBegin || c.Kind == change.BaselineEnd,
	}}
	return a.control(ctx, c)
}

// flushed waits until a message has been acknowledged for the lag.
func (s *session) flushed(ctx context.Context, seq change.Seq, lag time.Duration) error {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for s.writer.Acked() < seq {
		if err := s.writer.Err(); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
	if lag == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(lag):
		return nil
	}
}
