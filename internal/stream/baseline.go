package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// rebase takes a baseline and returns the position to go on from. Where the slot
// still has changes that the stream lacks, they are streamed first, exactly up to
// the snapshot; the slot is replaced only where it has nothing to offer.
func (s *session) rebase(ctx context.Context, p plan, last uint64, began func(string)) (at change.LSN, err error) {
	snap, err := s.postgres.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	keep := false
	defer func() {
		ended := snap.Done(context.WithoutCancel(ctx), keep && err == nil)
		err = errors.Join(err, ended)
	}()
	if err := s.takeOver(ctx, p, last); err != nil {
		return 0, err
	}
	s.wanted.Store(false) // this one does
	began(baselining)
	if p.gap != "" {
		if err := s.gap(ctx, p, snap.LSN()); err != nil {
			return 0, err
		}
	}
	if p.from != 0 && p.from < snap.LSN() {
		feed, err := s.start(ctx, p.from)
		if err != nil {
			return 0, err
		}
		if err := s.feedUntil(ctx, feed, snap.LSN()); err != nil {
			return 0, err
		}
	}
	s.logger.Info("taking a baseline", "lsn", snap.LSN().String(), "epoch", s.epoch)
	begin, end, err := s.baseline(ctx, snap)
	if err != nil {
		return 0, fmt.Errorf("take a baseline: %w", err)
	}
	if err := s.flushed(ctx, end, s.config.BaselineLag); err != nil {
		return 0, err
	}
	s.note.Baseline, s.note.Gap = begin, ""
	if err := s.notes.Write(ctx, s.note); err != nil {
		return 0, fmt.Errorf("note where the baseline begins: %w", err)
	}
	s.needs.rest(begin)
	s.confirmer.record(end, snap.LSN())
	s.tail.whole = snap.LSN()
	keep = p.from == 0
	return snap.LSN(), nil
}

// gap declares that changes are missing: up to the slot's position, or up to the
// snapshot where the slot has none.
func (s *session) gap(ctx context.Context, p plan, snapshot change.LSN) error {
	from, to := s.tail.whole, p.from
	if to == 0 {
		to = snapshot
	}
	if p.common != 0 && p.common < from {
		from = p.common // what the stream holds beyond is not in the database
	}
	s.logger.Info("changes are missing from the stream; declaring it, and taking a new baseline", "reason", p.gap)
	reading, err := s.clock.Read(ctx)
	if err != nil {
		return err
	}
	_, err = s.record(ctx, &change.Control{Kind: change.Gap, Time: reading.At, From: from, To: to, Reason: p.gap})
	return err
}

// baseline publishes all rows of a snapshot between two records, and returns the
// sequences of the two.
func (s *session) baseline(ctx context.Context, snap Snapshot) (begin, end change.Seq, err error) {
	start := time.Now()
	reading, err := s.clock.Read(ctx)
	if err != nil {
		return 0, 0, err
	}
	begin, err = s.record(ctx, &change.Control{Kind: change.BaselineBegin, LSN: snap.LSN(), Time: reading.At})
	if err != nil {
		return 0, 0, err
	}
	a := &assembler{
		config: &s.config, writer: s.writer, tally: s.tally,
		source: change.Source{DB: s.config.DB, Epoch: s.epoch, Snapshot: true},
		tx:     change.Transaction{CommitLSN: snap.LSN() - 1, Time: reading.At},
	}
	rows, quests, last := map[string]int64{}, 0, int64(0)
	err = snap.Read(ctx, func(quest int64, changes []change.Change) error {
		if quests == 0 || quest != last {
			quests, last = quests+1, quest
		}
		for i := range changes {
			rows[changes[i].Entity.String()]++
		}
		return a.snapshot(ctx, quest, changes)
	})
	if err != nil {
		return 0, 0, err
	}
	end, err = s.record(ctx, &change.Control{Kind: change.BaselineEnd, LSN: snap.LSN(), Time: reading.At, Rows: rows})
	s.logger.Info("baseline taken", "lsn", snap.LSN().String(), "quests", quests,
		"applications", rows[change.Application.String()], "participants", rows[change.Participant.String()],
		"took", time.Since(start).Round(time.Millisecond).String())
	return begin, end, err
}

// snapshot publishes rows of a baseline, cut as a large transaction's changes.
func (a *assembler) snapshot(ctx context.Context, quest int64, changes []change.Change) error {
	for i := range changes {
		a.order++
		c := changes[i]
		c.Order = a.order
		omit(&c, a.config.MaxPayload-headroom)
		size := sizeOf(&c)
		if len(a.held) > 0 && (len(a.held) >= chunkRows || a.bytes+size > min(chunkBytes, a.config.MaxPayload/2)) {
			if err := a.flush(ctx); err != nil {
				return err
			}
		}
		a.held, a.quests, a.bytes = append(a.held, c), append(a.quests, quest), a.bytes+size
	}
	return a.flush(ctx)
}
