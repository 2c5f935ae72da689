package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/watch"
)

// base finds where to begin: the newest checkpoint before the range that was taken under the
// same rules; or the stream's own beginning; or, where that is gone, a checkpoint under other
// rules, or the first baseline that is left.
func (r *recheck) base(ctx context.Context) error {
	b, first := &r.finder.bounds, r.result.First
	whole := b.First <= 1
	if first != 0 || !whole {
		used, err := r.checkpoint(ctx, first, false)
		if used || err != nil {
			return err
		}
	}
	r.checker = watch.NewChecker(r.checking.Rules)
	if whole {
		r.result.Base, r.result.Exact = b.First-1, true
		r.result.First = max(first, b.First)
		return nil
	}
	if used, err := r.checkpoint(ctx, first, true); used || err != nil {
		return err
	}
	return r.baseline(ctx, first)
}

// checkpoint uses the newest one before the range; without a range the oldest. Where it was
// taken under other rules, findings that began before are not compared.
func (r *recheck) checkpoint(ctx context.Context, first change.Seq, otherRules bool) (used bool, err error) {
	if r.store == nil {
		return false, nil
	}
	list, err := r.store.List(ctx)
	if err != nil && !errors.Is(err, watch.ErrNoStore) {
		return false, fmt.Errorf("list checkpoints: %w", err)
	}
	from := watch.Resuming{Rules: r.checking.Rules, Store: r.store, Stream: r.past, First: r.finder.bounds.First, OtherRules: otherRules}
	for i := range list {
		s := list[i]
		if first == 0 {
			s = list[len(list)-1-i]
		}
		if first != 0 && s.Seq >= first || s.Seq >= r.result.Last {
			continue
		}
		c, same, err := from.Resume(ctx, s)
		if errors.Is(err, watch.ErrUnusable) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("read checkpoint %s: %w", s.Name, err)
		}
		r.checker, r.before = c, c.Changes()
		r.result.Base, r.result.Exact, r.result.First = s.Seq, same, max(first, s.Seq+1)
		if !same {
			r.known = c.Passed() + 1
		}
		return true, nil
	}
	return false, nil
}

// baseline begins with the first whole baseline in what is left of the stream.
func (r *recheck) baseline(ctx context.Context, first change.Seq) error {
	b, err := r.finder.baseline(ctx, r.finder.bounds.First, r.result.Last, 0)
	switch {
	case err != nil:
		return err
	case b.end == 0:
		return r.impossible(ctx)
	case first != 0 && first <= b.end:
		return r.tooEarly(ctx, r.checking.From, b.end+1, "a baseline")
	}
	r.known = b.lsn
	r.result.Base, r.result.First = b.begin-1, max(first, b.end+1)
	return nil
}

// tooEarly says that a point has to be later, behind something.
func (r *recheck) tooEarly(ctx context.Context, asked Point, earliest change.Seq, behind string) error {
	return hint.Wrap(&PointError{asked.text, "is before the earliest possible time: what the stream has discarded is needed"},
		"the earliest possible time is %s, message %d, behind %s", r.finder.stampOf(ctx, earliest), earliest, behind)
}

// impossible says what is in the way of a range, and what can be had.
func (r *recheck) impossible(ctx context.Context) error {
	err := errors.New("the stream has discarded what is needed, and no baseline or checkpoint stands before that")
	asked := r.checking.From
	if !asked.Given() {
		asked = r.checking.To
	}
	if asked.Given() {
		r.result.Last = r.finder.bounds.Last
		if used, failed := r.checkpoint(ctx, 0, true); used && failed == nil {
			return r.tooEarly(ctx, asked, r.result.First, "a checkpoint")
		}
		if b, failed := r.finder.baseline(ctx, r.finder.bounds.First, r.result.Last, 0); failed == nil && b.end != 0 {
			return r.tooEarly(ctx, asked, b.end+1, "a baseline")
		}
	}
	return hint.Wrap(err, "the stream begins with message %d; watch.keep_checkpoints says how many checkpoints are kept", r.finder.bounds.First)
}
