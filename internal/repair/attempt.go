package repair

import (
	"context"
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
)

// The words for why a finding was not repaired. The first two are said of one that
// was skipped, the others of one that was given up.
const (
	healed    = "healed"     // the rule holds again
	leftAlone = "left_alone" // as the rows are now, a person has to ask
	repeated  = "repeated"   // it was repaired before, and that was undone or did not last
	noEffect  = "no_effect"  // it was repaired, and is violated still
	locked    = "locked"     // others held its rows for too long
	refused   = "refused"    // the database did not do it
)

// How often and how long a repair is tried that met somebody else, or a failure.
const (
	tries      = 8
	firstPause = 250 * time.Millisecond
	lastPause  = 15 * time.Second
	// proof is how long after a repair its finding must have ended: the stream is a
	// fraction of a second behind the database, else stream time says so.
	proof = 10 * time.Second
)

// Note is what became of a finding that is open and not in line any more.
type Note struct {
	What, Reason string
}

// attempt works on one item and decides what becomes of it.
func (r *Repairer) attempt(ctx context.Context, it *item) {
	f, p, now, err := r.propose(it.finding)
	switch {
	case errors.Is(err, ErrUnfit):
		r.unfit(it)
		return
	case err != nil, !p.Automatic: // what has ended needs no word, nor what another cause has made of it
		r.finish(it, nil)
		return
	case it.carried && now < it.shown:
		r.again(it, time.Second) // the stream is that far behind
		return
	case it.carried:
		r.tell(ctx, it, &f, p.Action, outcome{failed, noEffect, remedy.ErrIneffective})
		return
	}
	order := remedy.OrderFor(&f, p.Action)
	order.Actor, order.Automatic = actor, true
	entry, err := r.carry(ctx, &f, &order)
	r.settle(ctx, it, &f, p.Action, entry, err)
}

// settle decides how an item goes on after it was carried out, or was not.
func (r *Repairer) settle(ctx context.Context, it *item, f *drift.Finding, a remedy.Action, entry *remedy.Entry, err error) {
	switch {
	case err == nil, errors.Is(err, remedy.ErrRepaired):
		r.carried(it, f, entry)
	case ctx.Err() != nil: // whoever is next finds it open, or repaired
		r.finish(it, nil)
	case errors.Is(err, ErrUnfit):
		r.unfit(it)
	case errors.Is(err, remedy.ErrBraked):
		r.braked(it)
	case errors.Is(err, remedy.ErrNoJournal):
		r.block(err)
		r.again(it, blockedFor)
	case errors.Is(err, remedy.ErrBehind):
		r.again(it, pause(min(it.tries, 3))) // the stream's delay is no fault of the finding's
	case errors.Is(err, remedy.ErrHealed), errors.Is(err, ErrEnded):
		r.tell(ctx, it, f, a, outcome{skipped, healed, nil})
	case errors.As(err, new(remedy.LeftAlone)):
		r.tell(ctx, it, f, a, outcome{skipped, leftAlone, err})
	case errors.Is(err, remedy.ErrRepeated):
		r.tell(ctx, it, f, a, outcome{failed, repeated, err})
	case errors.Is(err, remedy.ErrIneffective):
		r.tell(ctx, it, f, a, outcome{failed, noEffect, err})
	case it.tries+1 >= tries:
		r.tell(ctx, it, f, a, outcome{failed, whyNot(err), err})
	default:
		it.tries++
		r.logger.Warn("a repair did not work; it is tried again", "finding", f.ID, "quest", f.Quest, "rule", f.Violation.Rule.String(),
			"err", err, "in", pause(it.tries).String())
		r.again(it, pause(it.tries))
	}
}

// whyNot is the word for an error of the store.
func whyNot(err error) string {
	var from interface{ SQLState() string }
	if errors.As(err, &from) && from.SQLState() == "55P03" { // lock_not_available
		return locked
	}
	return refused
}

// pause is how long to wait after so many tries.
func pause(tries int) time.Duration {
	return min(lastPause, firstPause<<max(tries-1, 0))
}

// carried keeps an item until the stream shows that its finding has ended.
func (r *Repairer) carried(it *item, f *drift.Finding, entry *remedy.Entry) {
	if entry != nil {
		r.logger.Debug("repaired", "finding", f.ID, "quest", f.Quest, "rule", f.Violation.Rule.String(), "cause", string(f.Violation.Cause),
			"action", string(entry.Action), "entry", entry.ID, "xid", entry.XID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if entry != nil {
		r.counts.Applied++
	}
	it.carried, it.shown = true, change.MillisOf(time.Now().Add(proof/2))
	r.queue.done(it)
	r.queue.again(it, time.Now().Add(proof))
}

func (r *Repairer) again(it *item, in time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.done(it)
	r.queue.again(it, time.Now().Add(in))
}

// unfit puts an item back, and stops until the checker is well again.
func (r *Repairer) unfit(it *item) {
	r.again(it, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.fit = false
}

// braked puts an item back, and stops until it is known that the brake is off.
func (r *Repairer) braked(it *item) {
	r.again(it, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.asked = false
}

// finish forgets an item, or keeps a note of what became of its finding.
func (r *Repairer) finish(it *item, n *Note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.done(it)
	if n != nil && !it.gone {
		r.notes[it.finding] = *n
	}
	r.queue.remove(it.finding)
}

// What became of a repair.
const (
	skipped = "skipped"
	failed  = "failed"
)

type outcome struct {
	what, reason string
	err          error
}

// tell tells of a finding that is not repaired, and is done with it.
func (r *Repairer) tell(ctx context.Context, it *item, f *drift.Finding, a remedy.Action, o outcome) {
	data := &event.NotRepaired{
		Remedy: event.Remedy{
			Finding: f.ID, Rule: f.Violation.Rule, Cause: f.Violation.Cause, Action: string(a), QuestID: f.Quest, Automatic: true,
		},
		Reason: o.reason, Actor: actor, Time: change.MillisOf(time.Now()),
	}
	if f.User != "" {
		data.UserID = &f.User
	}
	if o.err != nil {
		data.Error = o.err.Error()
	}
	e, log := event.OfSkipped(r.config.Namespace, data), r.logger.Info
	if o.what == failed {
		e, log = event.OfFailed(r.config.Namespace, data), r.logger.Warn
	}
	if err := r.events.Tell(ctx, e); err != nil {
		if ctx.Err() == nil {
			r.logger.Warn("what became of a repair cannot be told yet", "finding", f.ID, "err", err)
		}
		r.again(it, lastPause) // the same comes of it
		return
	}
	attrs := []any{"finding", f.ID, "quest", f.Quest, "rule", f.Violation.Rule.String(), "reason", o.reason}
	if o.err != nil {
		attrs = append(attrs, "err", o.err)
	}
	log("not repaired", attrs...)
	r.finish(it, &Note{What: o.what, Reason: o.reason})
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.what == failed {
		r.counts.Failed++
	} else {
		r.counts.Skipped++
	}
}
