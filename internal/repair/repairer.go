package repair

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Config is how a Repairer goes about its work.
type Config struct {
	// Namespace and Instance are whose repairs they are.
	Namespace, Instance string
	// Rules is what is judged, here as by the checker.
	Rules rule.Policy
	// Mode is what is done about a rule's violation by a cause.
	Mode func(rule.Rule, rule.Cause) remedy.Mode
	// Reactivate has somebody join again who dropped out and was approved.
	Reactivate bool
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

// Repairer repairs. Hear, List, Show, Apply and Status may be called at any time.
type Repairer struct {
	config Config
	state  State
	store  Store
	pulse  Pulse
	events Events
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
	// halting is a halt that is not in the database yet; it stops us all the same.
	halting *halt
	counts  Counts
}

// overseen is what was seen last.
type overseen struct {
	fit   bool
	run   int
	brake *remedy.Brake
	// asked says that the brake is known, after a start.
	asked bool
	// blocked is until when nothing can be carried out, for a reason that has nothing to
	// do with any finding.
	blocked time.Time
}

// Counts are what became of the automatic repairs of this process.
type Counts struct{ Applied, Skipped, Failed int64 }

// New makes a repairer; nothing runs yet.
func New(config Config, state State, store Store, pulse Pulse, events Events, logger *slog.Logger) *Repairer {
	return &Repairer{
		config: config, state: state, store: store, pulse: pulse, events: events, logger: logger,
		wake: make(chan struct{}, 1), trips: make(chan struct{}, 1), queue: newQueue(), budget: newBudget(config.PerMinute, config.PerRule),
		breaker: newBreaker(config.Breaker), notes: map[string]Note{},
	}
}

// Run repairs what is to be repaired by itself, until ctx ends.
func (r *Repairer) Run(ctx context.Context) error {
	r.forget()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.oversee(ctx) })
	for range workers {
		group.Go(func() error { return r.work(ctx) })
	}
	return group.Wait()
}

// forget begins anew: what was heard while another instance was at work is stale.
func (r *Repairer) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = overseen{}
}

// Hear takes in what happened to findings. It never waits.
func (r *Repairer) Hear(transitions []drift.Transition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range transitions {
		if t := &transitions[i]; t.What == drift.Opened {
			r.count(&t.Finding)
		}
	}
	now := time.Now()
	for i := range transitions {
		t := &transitions[i]
		if t.What == drift.Opened {
			r.enqueue(&t.Finding, now)
			continue
		}
		r.queue.remove(t.Finding.ID)
		delete(r.notes, t.Finding.ID)
	}
	r.trip()
	r.signal()
}

// count has the breaker count a finding that opened.
func (r *Repairer) count(f *drift.Finding) {
	if f.Where.Origin == drift.FromStream && f.Violation.Severity >= rule.Warning {
		r.breaker.add(f.ID, f.Due)
	}
}

// enqueue puts a finding in line that is to be repaired without anybody asking.
func (r *Repairer) enqueue(f *drift.Finding, now time.Time) {
	if _, told := r.notes[f.ID]; !told && r.automatic(f) {
		r.queue.add(f.ID, f.Quest, f.Violation.Rule, now)
	}
}

// automatic reports whether nobody has to ask. What a baseline shows began where
// nobody looked.
func (r *Repairer) automatic(f *drift.Finding) bool {
	return f.Where.Origin == drift.FromStream && r.config.Mode(f.Violation.Rule, f.Violation.Cause) == remedy.Auto
}

// signal wakes a worker.
func (r *Repairer) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// work repairs one finding after the other.
func (r *Repairer) work(ctx context.Context) error {
	for {
		it, wait := r.next(time.Now())
		if it != nil {
			r.signal() // there may be more, and others to do it
			r.attempt(ctx, it)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-r.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
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
