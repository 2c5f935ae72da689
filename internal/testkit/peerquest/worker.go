package peerquest

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// worker owns a handful of quests and does one thing after the other.
type worker struct {
	sim     *Simulator
	number  int
	rng     *rand.Rand
	quests  []*live
	retired []*live // kept where somebody repairs them still
	created int
	spent   int         // transactions since the throttle was last asked
	faults  map[int]int // how often each went wrong
}

// maxLive bounds the quests of a worker; most of them wait for a violation to become old enough.
const maxLive = 64

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func (w *worker) style() style {
	if w.rng.Float64() < w.sim.cfg.AutocommitShare {
		return apart
	}
	return inOne
}

// run works until stop ends. What it has begun it finishes with work, which lives longer.
func (w *worker) run(stop, work context.Context) error {
	for stop.Err() == nil {
		if err := w.step(stop, work); err != nil && !errors.Is(err, errInterrupted) {
			return err
		}
		if err := w.sim.throttle(stop, w.spent); err != nil {
			break // stop has ended
		}
		w.spent = 0
	}
	return nil
}

func (w *worker) step(stop, work context.Context) error {
	q, wait := w.ready()
	if q == nil && len(w.quests) >= maxLive {
		_ = sleep(stop, wait) // only stop ends it early, and run looks at that
		return nil
	}
	if q == nil || len(w.quests) < 4 && w.rng.IntN(3) == 0 {
		q, err := w.create(work)
		if q != nil {
			w.quests = append(w.quests, q)
		}
		return err
	}
	if young, err := w.catchUp(work, q); young || err != nil {
		return err
	}
	w.sim.operations.Add(1)
	op := w.choose(q)
	if op == nil {
		q.retired = true
	} else if err := op(work, q); err != nil {
		w.rest(q)
		return err
	}
	w.rest(q)
	return nil
}

// catchUp takes in what was repaired of a quest, and leaves it alone for longer when something came of that which is
// to be found and repaired in its turn.
func (w *worker) catchUp(ctx context.Context, q *live) (young bool, err error) {
	if !w.sim.cfg.Journal {
		return false, nil
	}
	if err := q.catchUp(ctx); err != nil {
		return false, err
	}
	return w.wait(q) && time.Until(q.notBefore) > 0, nil
}

// wait leaves a quest alone until what is wrong with it has lasted long enough to be found, and reports whether
// anything is at warning or above.
func (w *worker) wait(q *live) (fault bool) {
	for _, v := range q.standing {
		old := v.start.hi.Add(w.sim.cfg.Grace + settle)
		if old.After(q.notBefore) {
			q.notBefore = old
		}
		fault = fault || severityOf(v.cause) != "info"
	}
	return fault
}

// ready picks a quest that may be worked on, or says how long the first one takes.
func (w *worker) ready() (*live, time.Duration) {
	wait := time.Hour
	var can []*live
	for _, q := range w.quests {
		if d := time.Until(q.notBefore); d > 0 {
			wait = min(wait, d)
		} else {
			can = append(can, q)
		}
	}
	if len(can) == 0 {
		return nil, wait
	}
	return pick(w.rng, can), 0
}

// rest decides, after an operation, how a quest goes on. One with a violation is left alone until that has lasted
// long enough to be found.
func (w *worker) rest(q *live) {
	w.sim.ledger.settle(q.standing)
	q.steps++
	fault := w.wait(q)
	switch {
	case fault && w.sim.cfg.Journal && q.steps < maxSteps && w.rng.IntN(2) == 0: // it goes on when it has been repaired
	case fault && w.rng.Float64() < healShare:
		q.heal = true
	case fault, len(q.standing) > 0 && w.rng.IntN(2) == 0, q.steps >= maxSteps:
		q.retired = true
	}
	if !q.rows.exists || q.rows.quest.deleted || q.rows.quest.status == completed {
		q.retired = true
	}
	if q.retired {
		if w.sim.cfg.Journal {
			w.retired = append(w.retired, q)
		}
		for i := range w.quests {
			if w.quests[i] == q {
				w.quests = append(w.quests[:i], w.quests[i+1:]...)
				return
			}
		}
	}
}

type operation func(ctx context.Context, q *live) error

// choose returns what happens to a quest next, or nil when nothing more does.
func (w *worker) choose(q *live) operation {
	if q.heal {
		return w.lateFix
	}
	if w.rng.Float64() < w.sim.cfg.InjectShare {
		if op := w.chooseFault(q.rows); op != nil {
			return op
		}
	}
	return w.chooseOrdinary(q.rows)
}

// chooseFault is one of those that can happen, and have least often; nil where nothing can go wrong.
func (w *worker) chooseFault(s *state) operation {
	fresh := s.quest.status == open && len(s.parts) == 0
	waiting, approved := len(s.pending()), len(withApproval(s))
	assigned := s.quest.status == inProgress && s.quest.assignedTo != nil && s.takesPart(*s.quest.assignedTo)
	alone := approved == 1 && len(s.active()) == 1 && s.quest.status == inProgress
	faults := []struct {
		can bool
		op  operation
	}{
		{waiting > 0, w.loseParticipant},
		{waiting > 0 && fresh, w.loseStatus},
		{waiting > 0 && fresh, w.loseAssignment},
		{waiting > 0 && fresh, w.loseQuest},
		{waiting > 0, w.takeBack},
		{fresh, w.join},
		{approved > 0, w.removeEndpoint},
		{approved > 0, w.undo},
		{approved > 0 && w.sim.duplicates, w.duplicate},
		{approved > 0, w.dropAlone},
		{alone, w.approveAfterKick},
		{assigned && alone, w.abandon},
		{assigned, w.goBack},
		{assigned, w.handToStranger},
		{assigned && approved > 0, w.completeAlone},
		{w.sim.unchecked && len(s.apps) > 0, w.dangle},
	}
	rarest := -1
	for i, f := range faults {
		if f.can && (rarest < 0 || w.faults[i] < w.faults[rarest]) {
			rarest = i
		}
	}
	if rarest < 0 {
		return nil
	}
	w.faults[rarest]++
	return faults[rarest].op
}

func (w *worker) chooseOrdinary(s *state) operation {
	fresh := s.quest.status == open && len(s.parts) == 0
	waiting, active, approved := len(s.pending()), len(s.active()), len(withApproval(s))
	var ops []operation
	add := func(weight int, can bool, op operation) {
		for range weight {
			if can {
				ops = append(ops, op)
			}
		}
	}
	// After a kick an approval would leave the quest open, which is a fault: chooseFault's part.
	canApprove := waiting > 0 && (fresh || s.quest.status == inProgress)
	add(20, canApprove, w.approve)
	add(6, canApprove && waiting > 1, w.approveTwo)
	add(2, waiting > 0, w.approveRolledBack)
	add(2, waiting > 0, w.reject)
	add(10, fresh && len(s.apps) < 6, w.apply)
	add(3, active > 0 && len(s.apps) < 6, w.apply)
	add(2, len(turnedDown(s)) > 0, w.applyAgain)
	add(4, approved > 0, w.kick)
	add(4, approved > 0, w.leave)
	add(1, active > 0 && s.quest.assignedTo != nil && s.quest.status == inProgress, w.unassign)
	add(1, s.quest.status == inProgress, w.join)
	if u := s.quest.assignedTo; u != nil && len(s.active()) > 1 && s.takesPart(*u) {
		_, ok := s.approvedApp(*u)
		add(2, ok, w.leaveNamed)
		add(1, ok, w.leaveCleared)
	}
	add(1, len(departed(s)) > 0 && (fresh || s.quest.status == inProgress), w.putBack)
	add(1, len(departed(s)) > 0 && len(s.pending()) < 3, w.applyBack)
	add(8, active > 0, w.complete)
	add(2, true, w.edit)
	add(1, true, w.softDelete)
	add(1, true, w.hardDelete)
	add(4, s.quest.status == open && !fresh, nil)
	return pick(w.rng, ops)
}
