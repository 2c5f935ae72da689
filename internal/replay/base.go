package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/watch"
)

// base finds where to begin: the newest checkpoint before the range or, where none can be
// used, the stream's own beginning, or the first baseline in what is left of it.
func (r *recheck) base(ctx context.Context) error {
	b, first := &r.finder.bounds, r.result.First
	whole := b.First <= 1
	if first != 0 || !whole {
		used, err := r.checkpoint(ctx, first)
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
	return r.baseline(ctx, first)
}

// checkpoint uses the newest one before the range; without a range the oldest.
func (r *recheck) checkpoint(ctx context.Context, first change.Seq) (used bool, err error) {
	if r.store == nil {
		return false, nil
	}
	list, err := r.store.List(ctx)
	if err != nil && !errors.Is(err, watch.ErrNoStore) {
		return false, fmt.Errorf("list checkpoints: %w", err)
	}
	for i := range list {
		s := list[i]
		if first == 0 {
			s = list[len(list)-1-i]
		}
		if first != 0 && s.Seq >= first || s.Seq >= r.result.Last {
			continue
		}
		c, err := watch.Resume(ctx, r.checking.Rules, r.store, s, r.past, r.finder.bounds.First)
		if errors.Is(err, watch.ErrUnusable) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("read checkpoint %s: %w", s.Name, err)
		}
		r.checker, r.before = c, c.Changes()
		r.result.Base, r.result.Exact, r.result.First = s.Seq, true, max(first, s.Seq+1)
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
		return r.impossible(ctx, first)
	case first != 0 && first <= b.end:
		return r.tooEarly(ctx, b.end+1, "a baseline")
	}
	r.known = b.lsn
	r.result.Base, r.result.First = b.begin-1, max(first, b.end+1)
	return nil
}

// tooEarly says that the range has to begin later, behind something.
func (r *recheck) tooEarly(ctx context.Context, earliest change.Seq, behind string) error {
	return hint.Wrap(&PointError{r.checking.From.text, "is before the earliest possible time: what the stream has discarded is needed"},
		"the earliest possible time is %s, message %d, behind %s", r.finder.stampOf(ctx, earliest), earliest, behind)
}

// impossible says what is in the way of a range, and what can be had.
func (r *recheck) impossible(ctx context.Context, first change.Seq) error {
	err := errors.New("the range cannot be judged anew: what the stream has discarded is needed, and no baseline or checkpoint by the same rules stands before it")
	if first != 0 {
		if used, failed := r.checkpoint(ctx, 0); used && failed == nil {
			return r.tooEarly(ctx, r.result.First, "a checkpoint")
		}
	}
	return hint.Wrap(err, "the stream begins with message %d; a checkpoint serves the rules that the instance runs with, and no others", r.finder.bounds.First)
}
