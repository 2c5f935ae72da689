package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/remedy"
)

// What keeps a finding from being repaired, besides what package remedy lists.
var (
	// ErrUnfit: this instance does not stream, or its checker has not caught up.
	ErrUnfit = errors.New("the stream is not being followed at present")
	// ErrEnded: the finding is not open any more, or not for the same cause.
	ErrEnded = errors.New("it has ended")
)

const (
	// caughtUpWithin bounds how long a quest stays locked while the checker reads up to
	// the lock.
	caughtUpWithin = time.Second
	// lookEvery is how often it is asked whether it has.
	lookEvery = 2 * time.Millisecond
)

// carry carries an order for a finding out.
func (r *Repairer) carry(ctx context.Context, f *drift.Finding, o *remedy.Order) (*remedy.Entry, error) {
	o.Namespace, o.Instance = r.config.Namespace, r.config.Instance
	policy := r.config.Modes.Policy(!o.Automatic)
	return r.store.Carry(ctx, o,
		func(ctx context.Context, locked change.LSN) error { return r.confirm(ctx, f, o, locked) },
		func(c *remedy.Case) (remedy.Action, []remedy.Write, error) {
			return remedy.Decide(c, o, &r.config.Rules, policy)
		})
}

// confirm waits until the checker has read what committed before a lock was taken;
// it is an error when the finding has ended by then, or must not be repaired any more.
func (r *Repairer) confirm(ctx context.Context, f *drift.Finding, o *remedy.Order, locked change.LSN) error {
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
		if passed, err := r.stands(f, o, locked); passed || err != nil {
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
// finding is not open any more for what it was opened for, and when nobody asks for a
// repair that waits for somebody by now: an open finding outlives a quest's release.
func (r *Repairer) stands(f *drift.Finding, o *remedy.Order, locked change.LSN) (passed bool, err error) {
	err = r.state.Look(func(v *View) error {
		switch now, open := find(v, f.ID); {
		case v == nil || !v.Fit:
			return ErrUnfit
		case !open || now.Violation.Cause != f.Violation.Cause:
			return ErrEnded
		}
		if passed = v.Passed > locked; !passed || !o.Automatic {
			return nil
		}
		if p := r.config.Modes.Propose(v.State.Quest(f.Quest), f); !p.Automatic {
			return remedy.LeftAlone(p.LeftAlone + p.Waits) // one of them is empty
		}
		return nil
	})
	return passed, err
}

func find(v *View, id string) (drift.Finding, bool) {
	if v == nil {
		return drift.Finding{}, false
	}
	return v.Finding(id)
}

// propose is an open finding, and what is to be done about it as the checker knows its
// quest at a stream time.
func (r *Repairer) propose(id string) (f drift.Finding, p remedy.Proposal, now change.Millis, err error) {
	err = r.state.Look(func(v *View) error {
		if v == nil || !v.Fit {
			return ErrUnfit
		}
		var open bool
		if f, open = v.Finding(id); !open {
			return ErrEnded
		}
		p, now = r.config.Modes.Propose(v.State.Quest(f.Quest), &f), v.Now
		return nil
	})
	return f, p, now, err
}
