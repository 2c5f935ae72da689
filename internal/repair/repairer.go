package repair

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Config is how a Repairer goes about its work.
type Config struct {
	// Namespace and Instance are whose repairs they are.
	Namespace, Instance string
	// Rules is what is judged, under a lock as by the checker.
	Rules rule.Policy
	Modes remedy.Modes
	// PerMinute and PerRule are how many automatic repairs a minute may have; 0 is no
	// limit.
	PerMinute, PerRule int
	Breaker            Limits
}

// actor is who an automatic repair is made by.
const actor = "questwatch"

const (
	// workers are how many quests are repaired at once: one whose row is locked holds up
	// no other.
	workers = 4
	// overseeEvery is how often the brake and the checker's health are looked at.
	overseeEvery = time.Second
)

// Repairer repairs. All but Run may be called at any time.
type Repairer struct {
	config Config
	state  State
	store  Store
	pulse  Pulse
	events Events
	lookup Lookup
	logger *slog.Logger
	wake   chan struct{} // a worker
	trips  chan struct{} // the overseer

	mu      sync.Mutex // what is heard comes while workers take and people ask
	queue   *queue
	budget  *budget
	breaker *breaker
	// notes are what became of open findings that are not in the queue any more.
	notes map[string]Note
	seen  overseen
	// halting is a halt that is not in the database yet, or not told. It stops us all the
	// same.
	halting *halt
	counts  Counts
}

// overseen is what was seen last.
type overseen struct {
	fit   bool
	brake *remedy.Brake
	// asked says that the brake is known.
	asked bool
	// told is the halt that others know of, and of whose end they do not; recalled, that
	// it is known whether there is one.
	told     *event.Halt
	recalled bool
	// blocked is until when nothing can be carried out, for a reason that has nothing to
	// do with any finding.
	blocked   time.Time
	blockedBy string
}

// Counts are what became of the automatic repairs of this process.
type Counts struct {
	Applied int64 `json:"applied"`
	Skipped int64 `json:"skipped"`
	Failed  int64 `json:"failed"`
}

// New makes a repairer; nothing runs yet.
func New(config Config, state State, store Store, pulse Pulse, events Events, lookup Lookup, logger *slog.Logger) *Repairer {
	return &Repairer{
		config: config, state: state, store: store, pulse: pulse, events: events, lookup: lookup, logger: logger,
		wake: make(chan struct{}, 1), trips: make(chan struct{}, 1), queue: newQueue(),
		budget: newBudget(config.PerMinute, config.PerRule), breaker: newBreaker(config.Breaker), notes: map[string]Note{},
	}
}

// Run repairs what is to be repaired by itself, until ctx ends.
func (r *Repairer) Run(ctx context.Context) error {
	r.mu.Lock()
	r.seen = overseen{} // another instance may have been at work
	r.mu.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.oversee(ctx) })
	for range workers {
		group.Go(func() error { return r.work(ctx) })
	}
	return group.Wait()
}

// Hear takes in what happened to findings, and never waits for anything. Anew says
// that what was heard before is void: all that is open is opened then.
func (r *Repairer) Hear(anew bool, transitions []drift.Transition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if anew {
		r.forget(transitions)
	}
	// The breaker counts all before a worker can take the first.
	for i := range transitions {
		f := &transitions[i].Finding
		switch {
		case transitions[i].What != drift.Opened:
			r.queue.remove(f.ID)
			delete(r.notes, f.ID)
			continue
		case !anew || f.Due > change.MillisOf(now.Add(-counted)):
			r.count(f)
		}
		r.enqueue(f, now)
	}
	r.trip()
	signal(r.wake)
}

// forget forgets all findings but those that are open.
func (r *Repairer) forget(open []drift.Transition) {
	ids := make(map[string]bool, len(open))
	for i := range open {
		ids[open[i].Finding.ID] = true
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
}

// count has the breaker count a finding that opened.
func (r *Repairer) count(f *drift.Finding) {
	if f.Where.Origin == drift.FromStream && f.Violation.Severity >= rule.Warning {
		r.breaker.add(f.ID, f.Due)
	}
}

// enqueue puts a finding in line that may be repaired without anybody asking. What a
// baseline shows began where nobody looked.
func (r *Repairer) enqueue(f *drift.Finding, now time.Time) {
	_, done := r.notes[f.ID]
	v := &f.Violation
	if !done && f.Where.Origin == drift.FromStream && r.config.Modes.Of(v.Rule, v.Cause) == remedy.ModeAuto {
		r.queue.add(f.ID, f.Quest, v.Rule, now)
	}
}

// signal wakes whoever waits for it.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// work repairs one finding after the other.
func (r *Repairer) work(ctx context.Context) error {
	for ctx.Err() == nil {
		it, wait := r.next(time.Now())
		if it != nil {
			signal(r.wake) // there may be more, and others to do it
			r.attempt(ctx, it)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// next is a finding to work on, or how long there is none.
func (r *Repairer) next(now time.Time) (*item, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen.fit || r.stopped() {
		return nil, time.Hour // whoever changes that wakes us
	}
	if wait := r.seen.blocked.Sub(now); wait > 0 {
		return nil, wait
	}
	it, wait := r.queue.take(now, func(of rule.Rule) time.Duration { return r.budget.wait(of, now) })
	if it != nil && !it.carried {
		r.budget.spend(it.rule, now)
	}
	return it, wait
}

// stopped reports whether automatic repairs are.
func (r *Repairer) stopped() bool {
	return !r.seen.asked || r.seen.brake != nil || r.halting != nil
}
