package repair

import (
	"context"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
)

// overseeTimeout bounds each question to the database, and each word to others.
const overseeTimeout = 5 * time.Second

// oversee follows the brake in the database and the checker's health.
func (r *Repairer) oversee(ctx context.Context) error {
	tick := time.NewTicker(overseeEvery)
	defer tick.Stop()
	for {
		r.once(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.trips:
		case <-tick.C:
		}
	}
}

func (r *Repairer) once(ctx context.Context) {
	r.regard()
	for _, step := range []func(context.Context) error{r.recall, r.askBrake, r.halt, r.resumed} {
		bounded, cancel := context.WithTimeout(ctx, overseeTimeout)
		err := step(bounded)
		cancel()
		if err != nil && ctx.Err() == nil {
			r.block(err)
		}
	}
	signal(r.wake)
}

// regard looks at the checker.
func (r *Repairer) regard() {
	fit, quests := false, 0
	_ = r.state.Look(func(v *View) error {
		if v != nil {
			fit, quests = v.Fit, v.State.Len()
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.fit, r.breaker.quests = fit, quests
	r.breaker.check() // as many as before may be too many of fewer quests
	r.trip()
}

// askBrake asks the database what stops automatic repairs. Where it does not answer,
// what was known holds.
func (r *Repairer) askBrake(ctx context.Context) error {
	brake, err := r.store.Brake(ctx, r.config.Namespace)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.seen.brake
	r.seen.brake, r.seen.asked = brake, true
	switch {
	case brake != nil && was == nil:
		r.logger.Warn("automatic repairs are stopped", "by", brake.Actor, "reason", brake.Reason, "halted", brake.Halted)
	case brake == nil && was != nil:
		r.breaker.reset()
		r.logger.Info("automatic repairs go on")
	}
	return nil
}

// blockedFor is how long nothing is tried after a failure that is no finding's.
const blockedFor = 10 * time.Second

// block puts all automatic repairs off, and says why.
func (r *Repairer) block(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.After(r.seen.blocked) {
		r.seen.blocked, r.seen.blockedBy = now.Add(blockedFor), err.Error()
		r.logger.Warn("nothing is repaired automatically at present", "err", err, "for", blockedFor.String())
	}
}

// halt is what the breaker decided.
type halt struct {
	event.Halt
	why    string
	stored bool
}

// trip takes over from a breaker that has tripped. One that trips again under the
// halt that it brought about before a restart has nothing new to say.
func (r *Repairer) trip() {
	b := r.breaker
	if b.tripped == "" || b.taken {
		return
	}
	b.taken = true
	if s := r.seen.brake; s != nil && s.Halted {
		return
	}
	r.halting = &halt{why: b.tripped, Halt: event.Halt{
		Reason: tooMany, Severity: event.Critical, Since: change.MillisOf(time.Now()),
		Opened: len(b.opened), LimitOpened: b.limits.Opened, Quests: b.quests, LimitPercent: b.limits.Percent,
	}}
	signal(r.trips)
}

// tooMany is the word for why repairs halt.
const tooMany = "breaker"

// halt brings a halt into the database and tells it. Until both are done nothing is
// repaired automatically, and it is tried again.
func (r *Repairer) halt(ctx context.Context) error {
	r.mu.Lock()
	h := r.halting
	r.mu.Unlock()
	if h == nil {
		return nil
	}
	brake := remedy.Brake{Halted: true, Actor: actor, Reason: h.why}
	if !h.stored {
		if err := r.store.Stop(ctx, r.config.Namespace, brake); err != nil {
			return err
		}
		h.stored = true
		r.logger.Error("automatic repairs are halted", "reason", h.why)
	}
	if err := r.events.Tell(ctx, event.OfHalt(r.config.Namespace, &h.Halt)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.halting, r.seen.brake, r.seen.told = nil, &brake, &h.Halt
	return nil
}

// recall finds out, after a start, whether others still take repairs for halted.
func (r *Repairer) recall(ctx context.Context) error {
	if r.seen.recalled {
		return nil
	}
	told, err := r.events.Halted(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.told, r.seen.recalled = told, true
	return nil
}

// resumed tells the end of a halt that was told.
func (r *Repairer) resumed(ctx context.Context) error {
	r.mu.Lock()
	told, over := r.seen.told, r.seen.asked && r.seen.brake == nil && r.halting == nil
	r.mu.Unlock()
	if told == nil || !over {
		return nil
	}
	actor, err := r.store.Resumed(ctx, r.config.Namespace)
	if err != nil {
		return err
	}
	end := *told
	end.Until, end.Actor = change.MillisOf(time.Now()), actor
	if err := r.events.Tell(ctx, event.OfHalt(r.config.Namespace, &end)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.told = nil
	return nil
}
