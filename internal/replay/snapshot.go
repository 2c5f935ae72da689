package replay

import (
	"context"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/watch"
)

// Snapshot is what all quests were at a moment.
type Snapshot struct {
	State    *quest.State
	Sequence change.Seq // the last message that counts
	Time     change.Millis
}

// Snapshot builds what all quests were at a point, from where the rest of the stream allows.
// Where the stream has discarded what is needed, the error says the earliest possible time.
func (k *Checker) Snapshot(ctx context.Context, rules watch.Rules, at Point, progress func(done, total int64)) (*Snapshot, error) {
	bounds, err := k.past.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	f := finder{past: k.past, bounds: bounds}
	seq, err := f.moment(ctx, at)
	if err != nil {
		return nil, err
	}
	r := &recheck{Checker: k, checking: &Checking{Rules: rules, From: at}, finder: f}
	r.result.First, r.result.Last = seq+1, seq+1
	if err := r.base(ctx); err != nil {
		return nil, err
	}
	total := int64(seq - r.result.Base)
	err = k.past.Range(ctx, r.result.Base+1, seq, func(m change.Record) error {
		if n := int64(m.Seq - r.result.Base); n%progressEvery == 0 {
			progress(n, total)
		}
		_, err := r.checker.Take(m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the state of message %d: %w", seq, err)
	}
	if !r.checker.Known() {
		return nil, r.unknown(ctx, at, seq)
	}
	return &Snapshot{r.checker.State(), seq, r.finder.when(ctx, at, seq, r.checker.Now())}, nil
}

// unknown says from when on the state was known.
func (r *recheck) unknown(ctx context.Context, at Point, seq change.Seq) error {
	b, err := r.finder.baseline(ctx, seq+1, r.finder.bounds.Last, seq) // the end of one will do
	if err != nil {
		return err
	}
	lacking := &PointError{at.text, "is before the first baseline was whole: the state was not known yet"}
	if r.checker.Baselines() > 0 || r.result.Base >= r.finder.bounds.First {
		lacking.why = "is in a gap: changes are missing, and no whole baseline had made that good yet"
	}
	if b.end == 0 {
		return lacking
	}
	return hint.Wrap(lacking, "the earliest possible time is %s, message %d", r.finder.stampOf(ctx, b.end), b.end)
}
