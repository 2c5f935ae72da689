package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// What keeps a finding from being repaired, besides what the store says.
var (
	// errUnfit: this instance does not stream, or its checker has not caught up.
	errUnfit = errors.New("the stream is not being followed at present")
	// errEnded: the finding is not open any more.
	errEnded = errors.New("it has ended")
)

// leftAlone is why there is no plan.
type leftAlone string

func (l leftAlone) Error() string { return string(l) }

const (
	// caughtUpWithin bounds how long a quest stays locked while the checker reads up to
	// the lock.
	caughtUpWithin = time.Second
	// lookEvery is how often it is asked.
	lookEvery = 2 * time.Millisecond
)

// carry repairs a finding. policy says what may be done about it.
func (r *Repairer) carry(ctx context.Context, f *drift.Finding, o *remedy.Order, policy remedy.Policy) (*remedy.Entry, error) {
	o.Namespace, o.Instance = r.config.Namespace, r.config.Instance
	o.Finding, o.Rule, o.Cause, o.Quest, o.User = f.ID, f.Violation.Rule, f.Violation.Cause, f.Quest, f.User
	if f.Where.Origin == drift.FromStream {
		o.Violated = f.Where.Transaction.Time
	}
	confirm := func(ctx context.Context, behind change.LSN) error { return r.confirm(ctx, f, behind) }
	return r.store.Carry(ctx, o, confirm, func(c *remedy.Case) (remedy.Action, []remedy.Write, error) {
		return r.decide(f, c, policy)
	})
}

// confirm waits until the checker has read what committed before a lock was taken,
// and reports whether the finding is still there.
func (r *Repairer) confirm(ctx context.Context, f *drift.Finding, behind change.LSN) error {
	ctx, cancel := context.WithTimeoutCause(ctx, caughtUpWithin, remedy.ErrBehind)
	defer cancel()
	if err := r.pulse.Beat(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("have the stream pass the lock: %w", err)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		passed, err := r.stands(f, behind)
		if passed || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// stands reports whether the checker has passed a position; it is an error when the
// finding is not open any more for what it was opened for.
func (r *Repairer) stands(f *drift.Finding, behind change.LSN) (passed bool, err error) {
	err = r.state.Look(func(v *View) error {
		if v == nil || !v.Fit {
			return errUnfit
		}
		now, open := v.Finding(f.ID)
		if !open || now.Violation.Cause != f.Violation.Cause {
			return errEnded
		}
		passed = v.Passed > behind
		return nil
	})
	return passed, err
}

// decide judges the locked rows by the same rule. They have no history: the cause
// is what the checker knows, who has confirmed it.
func (r *Repairer) decide(f *drift.Finding, c *remedy.Case, policy remedy.Policy) (remedy.Action, []remedy.Write, error) {
	user := quest.User(0)
	if f.User != "" {
		for i := 1; i < len(c.People) && user == 0; i++ {
			if c.People[i].ID == f.User {
				user = quest.User(i)
			}
		}
		if user == 0 {
			return "", nil, remedy.ErrHealed
		}
	}
	plan, err := r.planFor(f, &c.Quest, user, policy)
	return plan.Action, plan.Writes, err
}

// planFor is what repairs a finding in a quest, which has its own numbers for people.
func (r *Repairer) planFor(f *drift.Finding, q *quest.Quest, user quest.User, policy remedy.Policy) (remedy.Plan, error) {
	for _, v := range r.config.Rules.Judge(nil, q) {
		if v.Rule != f.Violation.Rule || v.User != user {
			continue
		}
		v.Cause = f.Violation.Cause
		plan, why := remedy.For(q, &v, policy)
		if why != "" {
			return remedy.Plan{}, leftAlone(why)
		}
		return plan, nil
	}
	return remedy.Plan{}, remedy.ErrHealed
}

// policy is what may be done: more, when a person asks for it.
func (r *Repairer) policy(asked bool) remedy.Policy {
	return remedy.Policy{IncludeUnknown: asked, IncludeReleased: asked}
}

// find is an open finding of a checker that can be relied upon.
func (r *Repairer) find(id string) (f drift.Finding, err error) {
	err = r.state.Look(func(v *View) error {
		if v == nil || !v.Fit {
			return errUnfit
		}
		var open bool
		if f, open = v.Finding(id); !open {
			return errEnded
		}
		return nil
	})
	return f, err
}

var _ = rule.Policy{}
