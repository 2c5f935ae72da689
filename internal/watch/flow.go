package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/rule"
)

// Flow runs a Checker over a live stream.
type Flow struct {
	rules    Rules
	cdc      CDC
	events   Events
	findings Findings
	teller   *teller
	logger   *slog.Logger
	keeping  Keeping
	follow   func(News)

	// turn is held while the checker takes a message, and by whoever else looks at
	// its state: the state has a lock neither for its writer nor for its readers.
	turn    sync.Mutex
	checker *Checker
	runs    int // checkers so far

	tally *tally
	// approvals are those that the checker's state has seen, counted are those of them
	// that the tally has taken in or left out.
	approvals, counted uint64

	mu     sync.Mutex // Status is read while Run writes it
	status Status
}

// Status says how far a Flow has come.
type Status struct {
	// Read is the newest message taken, ReadBytes what was read in this attempt; Known is
	// as Checker.Known.
	Read      change.Seq
	ReadBytes int64
	Known     bool
	// CaughtUp says that the stream has been read up to where it ended at the start.
	CaughtUp bool
	// Now is stream time.
	Now change.Millis
	// Open counts the open findings.
	Open map[rule.Rule]int
	// Severe counts them by severity.
	Severe map[rule.Severity]int
	// Refused counts the logical messages that were not believed.
	Refused Refused
	// Checkpoint is the newest one.
	Checkpoint CheckpointStatus
	// Err is what the last attempt ended with.
	Err string
}

// New makes a flow; nothing runs yet.
func New(rules Rules, cdc CDC, events Events, findings Findings, names people.Names, logger *slog.Logger) *Flow {
	return &Flow{
		rules: rules, cdc: cdc, events: events, findings: findings, logger: logger,
		teller: newTeller(names, rules.Schema, logger), tally: newTally(),
		keeping: Keeping{Baseline: func(change.Seq) {}}, follow: func(News) {},
	}
}

// Keep has checkpoints kept, or says that none are; it is called before Run.
func (f *Flow) Keep(k Keeping) {
	if k.Messages == 0 {
		k.Messages = defaultMessages
	}
	if k.Baseline == nil {
		k.Baseline = func(change.Seq) {}
	}
	f.keeping = k
}

// Status is a copy of how far the flow has come.
func (f *Flow) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Checker is the last run's checker, for use after Run has returned.
func (f *Flow) Checker() *Checker { return f.checker }

// Look calls fn with the checker as it is between two messages, if there is one,
// and how many there have been: each attempt to read the stream has its own. The
// flow stands still meanwhile, and fn must be done in a few milliseconds.
func (f *Flow) Look(fn func(c *Checker, run int) error) error {
	f.turn.Lock()
	defer f.turn.Unlock()
	return fn(f.checker, f.runs)
}

// renew puts another checker in place.
func (f *Flow) renew(c *Checker) {
	f.turn.Lock()
	defer f.turn.Unlock()
	f.checker, f.runs, f.approvals, f.counted = c, f.runs+1, 0, 0
}

// snapshot is the checker's, where it has one to give.
func (f *Flow) snapshot() (*Snapshot, bool) {
	f.turn.Lock()
	defer f.turn.Unlock()
	return f.checker.Snapshot()
}

func (f *Flow) take(r change.Record) ([]Found, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	found, err := f.checker.Take(r)
	f.approvals = f.checker.State().Approvals()
	return found, err
}

// ErrDeposed says that another instance writes the stream by now. It publishes
// what there is to publish from its first record on.
var ErrDeposed = errors.New("another instance has taken over")

// Run watches until ctx ends, until the stream cannot be understood, or until
// another writer than self, who must have written the newest epoch record, has
// taken over. One who was stopped for a while and goes on must not publish again
// what its successor published long ago.
func (f *Flow) Run(ctx context.Context, self Writer) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 100*time.Millisecond, 5*time.Second
	for {
		start := time.Now()
		err := f.watch(ctx, self)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, change.ErrMalformed), errors.Is(err, ErrDeposed):
			return err
		}
		if time.Since(start) > 10*time.Second {
			pauses.Reset()
		}
		pause := pauses.NextBackOff()
		f.note(func(s *Status) { s.Err, s.CaughtUp = err.Error(), false })
		f.logger.Warn("checking was interrupted; reading the stream again", "err", err, "in", pause.Round(time.Millisecond).String())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (f *Flow) note(change func(*Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.status)
}

// watch reads the stream from the newest checkpoint that can be used, or from its
// beginning.
func (f *Flow) watch(ctx context.Context, self Writer) error {
	published, err := f.events.Published(ctx)
	if err != nil {
		return fmt.Errorf("find the last event: %w", err)
	}
	if n := len(published.Lost); n > 0 {
		f.logger.Warn("the stream has lost its end since events of it were published; they will not be published twice", "events", n)
	}
	first, last, err := f.cdc.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("look at the stream: %w", err)
	}
	from, events, err := f.begin(ctx, first, &published)
	if err != nil {
		return err
	}
	if self.deposed(f.checker.Writer()) {
		return ErrDeposed
	}
	caughtUp := last < from
	f.note(func(s *Status) {
		s.Read, s.ReadBytes, s.CaughtUp, s.Known, s.Now = from-1, 0, caughtUp, f.checker.Known(), f.checker.Now()
		s.Open, s.Severe = countOpen(f.checker.Open())
	})
	if caughtUp {
		if err := f.arrive(ctx, last); err != nil {
			return err
		}
	}
	var wait paused
	keep := f.newKeeper(ctx, events)
	err = f.cdc.Consume(ctx, from, func(r change.Record) error {
		found, err := f.take(r)
		if err != nil {
			return err
		}
		if self.deposed(f.checker.Writer()) {
			return ErrDeposed
		}
		keep.found(&r, found)
		if found, err = wait.hold(ctx, f.cdc, r.Seq, found); err != nil {
			return err
		}
		if err := f.publish(ctx, found, &published, caughtUp); err != nil {
			return err
		}
		switch {
		case caughtUp:
			f.followed(found)
		case r.Seq >= last && !wait.holds():
			caughtUp = true
			if err := f.arrive(ctx, r.Seq); err != nil {
				return err
			}
		}
		f.progress(r.Seq, keep.stand.read, caughtUp)
		if !wait.holds() {
			keep.after(r, caughtUp)
		}
		return nil
	})
	f.follow(News{Anew: true})
	keep.end(ctx.Err() != nil)
	return err
}

// begin makes the checker and says from where it reads on.
func (f *Flow) begin(ctx context.Context, first change.Seq, published *Published) (from change.Seq, events EventsMark, err error) {
	from, events, err = f.load(ctx, first, published)
	if err != nil {
		return 0, events, err
	}
	if from != 0 {
		f.keeping.Baseline(0)
		return from, events, nil
	}
	f.renew(NewChecker(f.rules))
	from = max(first, 1)
	f.note(func(s *Status) { s.Checkpoint = CheckpointStatus{} })
	f.keeping.Baseline(from)
	return from, events, nil
}

// deposed reports whether another instance has begun to write the stream.
func (w Writer) deposed(by Writer) bool { return by.Epoch > w.Epoch && by.Instance != w.Instance }

// arrive is called once a start, when the stream has been read up to where it
// ended then.
func (f *Flow) arrive(ctx context.Context, seq change.Seq) error {
	if err := f.reconcile(ctx); err != nil {
		return err
	}
	f.teller.caughtUp(seq, f.checker.Known(), f.Status().Open)
	f.followAnew()
	return nil
}

func (f *Flow) progress(seq change.Seq, bytes int64, caughtUp bool) {
	if caughtUp {
		f.tally.approvals.Add(float64(f.approvals - f.counted))
	}
	f.counted = f.approvals
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Read, f.status.ReadBytes, f.status.CaughtUp, f.status.Err = seq, bytes, caughtUp, ""
	f.status.Known, f.status.Now = f.checker.Known(), f.checker.Now()
	if r := f.checker.Refused(); r.Reports != f.status.Refused.Reports {
		f.status.Refused = r
		if caughtUp {
			f.teller.refused(r)
		}
	}
}

// publish sends the events that have not been sent before a restart, and brings
// the bucket of open findings up to date.
func (f *Flow) publish(ctx context.Context, found []Found, published *Published, caughtUp bool) error {
	f.count(found)
	var out []Outgoing
	var fresh []*Found
	for i := range found {
		e := &found[i].Event
		if published.before(found[i].Position) {
			continue
		}
		fresh = append(fresh, &found[i])
		if published.Lost[e.ID] {
			continue
		}
		data, err := e.Encode(f.rules.Drift.Namespace)
		if err != nil {
			return err
		}
		out = append(out, Outgoing{Subject: e.Subject(f.rules.Drift.Namespace), ID: e.ID, Data: data})
	}
	if len(out) > 0 {
		if err := f.events.Publish(ctx, out); err != nil {
			return fmt.Errorf("publish events: %w", err)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	open := f.Status().Open
	for _, one := range fresh {
		if err := f.keep(ctx, one.Transition); err != nil {
			return err
		}
		if !published.Lost[one.Event.ID] {
			f.tally.told(one, caughtUp)
			f.teller.tell(ctx, one, open)
		}
	}
	return nil
}
