package repair

import (
	"context"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/remedy"
)

// oversee follows the brake in the database and the checker's health.
func (r *Repairer) oversee(ctx context.Context) error {
	tick := time.NewTicker(overseeEvery)
	defer tick.Stop()
	for {
		r.halt(ctx)
		r.askBrake(ctx)
		r.regard()
		r.signal()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.trips:
		case <-tick.C:
		}
	}
}

// regard looks at the checker. What it has open after a start of its own was not
// heard of, and what has ended neither.
func (r *Repairer) regard() {
	var now overseen
	quests := 0
	_ = r.state.Look(func(v *View) error {
		if v != nil {
			now.fit, now.run, quests = v.Fit, v.Run, v.State.Len()
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.seen
	r.seen.fit, r.seen.run, r.breaker.quests = now.fit, now.run, quests
	if now.fit && (!was.fit || now.run != was.run) {
		// Nothing is heard meanwhile, so that nothing new is taken for what has ended.
		_ = r.state.Look(func(v *View) error {
			if v != nil {
				r.restate(v.Open(), v.Now)
			}
			return nil
		})
	}
}

// restate makes queue and notes what the open findings say.
func (r *Repairer) restate(open []drift.Finding, now change.Millis) {
	ids, at := make(map[string]bool, len(open)), time.Now()
	for i := range open {
		f := &open[i]
		ids[f.ID] = true
		if f.Due > now.Add(-counted) {
			r.count(f)
		}
		r.enqueue(f, at)
	}
	for id := range r.queue.items {
		if !ids[id] {
			r.queue.remove(id)
		}
	}
	for id := range r.notes {
		if !ids[id] {
			delete(r.notes, id)
		}
	}
	r.trip()
}

// brakeTimeout bounds the question whether repairs are stopped.
const brakeTimeout = 5 * time.Second

// askBrake asks the database what stops automatic repairs. Where it does not answer,
// what was known goes on.
func (r *Repairer) askBrake(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, brakeTimeout)
	defer cancel()
	brake, err := r.store.Brake(ctx, r.config.Namespace)
	if err != nil {
		if ctx.Err() == nil {
			r.block(err)
		}
		return
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
}

// blockedFor is how long nothing is tried after a failure that is no finding's.
const blockedFor = 30 * time.Second

// block puts all automatic repairs off. The reason is logged once each time.
func (r *Repairer) block(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.After(r.seen.blocked) {
		r.seen.blocked = now.Add(blockedFor)
		r.logger.Warn("nothing can be repaired automatically at present", "err", err, "in", blockedFor.String())
	}
}

// halt is what the breaker decided.
type halt struct {
	why    string
	opened int
	at     change.Millis
	stored bool
}

// trip takes over from a breaker that has tripped. One that trips again after a
// start, under the halt that it brought about, has nothing new to say.
func (r *Repairer) trip() {
	if r.breaker.tripped == "" || r.breaker.taken {
		return
	}
	r.breaker.taken = true
	if b := r.seen.brake; b != nil && b.Halted {
		return
	}
	r.halting = &halt{why: r.breaker.tripped, opened: len(r.breaker.opened), at: r.breaker.newest}
	select {
	case r.trips <- struct{}{}:
	default:
	}
}

// halt brings a halt into the database and tells it. Until both are done it is tried
// again, and nothing is repaired automatically.
func (r *Repairer) halt(ctx context.Context) {
	r.mu.Lock()
	h := r.halting
	r.mu.Unlock()
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, brakeTimeout)
	defer cancel()
	brake := remedy.Brake{Halted: true, Actor: actor, Reason: h.why}
	if !h.stored {
		if err := r.store.Stop(ctx, r.config.Namespace, brake); err != nil {
			r.logger.Error("the halt of automatic repairs cannot be kept", "err", err)
			return
		}
		h.stored = true
		r.logger.Error("automatic repairs are halted", "reason", h.why)
	}
	if err := r.tellHalt(ctx, h); err != nil {
		r.logger.Warn("the halt of automatic repairs cannot be told", "err", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.halting, r.seen.brake = nil, &brake
}
