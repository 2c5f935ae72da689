package verify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
)

// Config sets up a Verifier.
type Config struct {
	Namespace string
	Schema    change.Schema
	Statuses  quest.Statuses
	// Every is the time between passes in the background, 0 for none.
	Every time.Duration
	// Patience is how long the checker may take to pass a position, a minute by
	// default.
	Patience time.Duration
}

// Verifier compares a state with its database, in the background and on request,
// one comparison at a time.
type Verifier struct {
	config   Config
	state    State
	stream   Stream
	database Database
	events   Events
	logger   *slog.Logger

	busy chan struct{} // holds one, while a comparison is made
	woke chan struct{} // holds one, when due has changed

	mu     sync.Mutex // Status is read, and comparisons are asked for, while one is made
	status Status
	due    time.Time // when the next one is, zero for never
	// asking counts those who wait for one, yield ends the one that is made in the
	// background.
	asking int
	yield  context.CancelFunc
	// restated is the state that a baseline was asked for, until all is found equal.
	restated *Generation
}

// Status is how the last comparison ended.
type Status struct {
	// At is when it ended, zero before the first.
	At     time.Time
	Result *Result
	Err    error
	// Mismatched counts the quests that differed when last any did; 0 since all were
	// found equal.
	Mismatched int
}

const (
	defaultPatience = time.Minute
	// firstShare is after which part of Every the first pass begins.
	firstShare = 10
	// recheckAfter is when to compare again, after a difference or a failure.
	recheckAfter = time.Minute
)

// New makes a verifier; nothing runs yet.
func New(config Config, state State, stream Stream, database Database, events Events, logger *slog.Logger) *Verifier {
	if config.Patience == 0 {
		config.Patience = defaultPatience
	}
	return &Verifier{
		config: config, state: state, stream: stream, database: database, events: events, logger: logger,
		busy: make(chan struct{}, 1), woke: make(chan struct{}, 1),
	}
}

// Status is a copy of how the last comparison ended.
func (v *Verifier) Status() Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.status
}

// Run compares now and then until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	v.schedule(v.config.Every / firstShare)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-v.woke:
		case <-v.alarm():
			v.schedule(0)
			v.background(ctx)
		}
	}
}

// schedule sets when the next comparison in the background is due; 0 is never.
func (v *Verifier) schedule(in time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.due = time.Time{}
	if in > 0 {
		v.due = time.Now().Add(in)
	}
	select {
	case v.woke <- struct{}{}:
	default:
	}
}

// alarm fires when the next comparison is due.
func (v *Verifier) alarm() <-chan time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.due.IsZero() {
		return nil
	}
	return time.After(time.Until(v.due))
}

// background makes a gentle comparison, and gives way to one that is asked for.
func (v *Verifier) background(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case v.busy <- struct{}{}:
	}
	defer func() { <-v.busy }()
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	v.mu.Lock()
	v.yield = cancel
	if v.asking > 0 {
		cancel()
	}
	v.mu.Unlock()
	_, err := v.compare(work, true, func(Progress) {})
	if err != nil && work.Err() == nil {
		v.logger.Warn("the checker's state could not be compared with the database", "err", err, "again_in", recheckAfter.String())
	}
}

// Verify compares now and as fast as it can, and tells how far it has come.
func (v *Verifier) Verify(ctx context.Context, tell func(Progress)) (*Result, error) {
	v.ask(1)
	defer v.ask(-1)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case v.busy <- struct{}{}:
	}
	defer func() { <-v.busy }()
	return v.compare(ctx, false, tell)
}

func (v *Verifier) ask(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asking += n
	if v.asking > 0 && v.yield != nil {
		v.yield()
	}
}

// attempts bounds how often a pass begins anew because the state was replaced.
const attempts = 3

// compare makes a comparison and does what follows from it.
func (v *Verifier) compare(ctx context.Context, gentle bool, tell func(Progress)) (*Result, error) {
	began := time.Now()
	var p *pass
	var err error
	for range attempts {
		p = &pass{
			Verifier: v, gentle: gentle, tell: tell, pending: map[int64]*suspect{}, result: &Result{Mismatches: []Mismatch{}},
		}
		if err = p.run(ctx); !errors.Is(err, errReplaced) {
			break
		}
	}
	if errors.Is(err, errTruncated) {
		p.result.Truncated, err = true, nil
	}
	if err == nil && p.result.Mismatched > 0 && !v.stream.Streaming() {
		err = errStalled // what was compared may be another database than the stream's
	}
	p.result.Took = time.Since(began).Milliseconds()
	if ctx.Err() != nil { // it says nothing
		v.plan(p.result, ctx.Err())
		return nil, ctx.Err()
	}
	v.note(p.result, err)
	v.plan(p.result, err)
	if err != nil {
		return nil, err
	}
	v.conclude(ctx, p)
	return p.result, nil
}

// note keeps how a comparison ended for Status.
func (v *Verifier) note(r *Result, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status.At, v.status.Result, v.status.Err = time.Now(), r, err
	switch {
	case err != nil:
		v.status.Result = nil
	case r.Mismatched > 0:
		v.status.Mismatched = r.Mismatched
	case r.Undecided == 0:
		v.status.Mismatched, v.restated = 0, nil
	}
}

// plan says when the next comparison is: soon after one that failed or found a
// difference for the first time.
func (v *Verifier) plan(r *Result, err error) {
	next := v.config.Every
	v.mu.Lock()
	soon := err != nil && (next > 0 || v.restated != nil) || err == nil && r.Mismatched > 0 && v.restated == nil
	v.mu.Unlock()
	if soon && (next == 0 || next > recheckAfter) {
		next = recheckAfter
	}
	v.schedule(next)
}

// conclude tells how a comparison ended.
func (v *Verifier) conclude(ctx context.Context, p *pass) {
	switch r := p.result; {
	case r.Mismatched > 0:
		v.denounce(ctx, r)
		v.restate(p.generation)
	case r.Undecided > 0:
		v.logger.Warn("some quests could not be compared with the database", attrs(r)...)
	default:
		v.logger.Info("the checker's state equals the database", attrs(r)...)
	}
}

func attrs(r *Result) []any {
	return []any{
		"quests", r.Quests, "mismatched", r.Mismatched, "undecided", r.Undecided, "ranges", r.Ranges, "differing_ranges", r.Differing,
		"rounds", r.Rounds, "lsn", r.Position.LSN.String(), "seq", uint64(r.Position.Sequence),
		"took", (time.Duration(r.Took) * time.Millisecond).String(),
	}
}

const (
	// loggedSingly bounds the log lines about single quests.
	loggedSingly = 20
	// publishFor bounds the telling of differences.
	publishFor = 30 * time.Second
)

// denounce tells of differences everywhere.
func (v *Verifier) denounce(ctx context.Context, r *Result) {
	v.logger.Error("the checker's state differs from the database", attrs(r)...)
	for i, m := range r.Mismatches {
		if i == loggedSingly {
			break
		}
		v.logger.Error("quest differs", "quest", m.QuestID, "differences", m.text())
	}
	at := event.Compared{
		Epoch: r.Position.epoch, Sequence: uint64(r.Position.Sequence), LSN: r.Position.LSN, Time: change.MillisOf(time.Now()),
	}
	summary := event.Mismatches{Mismatched: r.Mismatched, Truncated: r.Truncated, Compared: at}
	var events []event.Event
	for _, m := range r.Mismatches {
		summary.QuestIDs = append(summary.QuestIDs, m.QuestID)
		events = append(events, event.OfMismatch(v.config.Namespace, &event.Mismatch{
			QuestID: m.QuestID, Differences: m.Differences, More: m.More, Compared: at,
		}))
	}
	events = append(events, event.OfMismatches(v.config.Namespace, &summary))
	telling, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	if err := v.events.Publish(telling, events); err != nil {
		v.logger.Warn("the differences could not be published", "err", err)
	}
}

// restate has the state made anew, once: if that does not help, doing it again
// will not either.
func (v *Verifier) restate(at Generation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch was := v.restated; {
	case was != nil && *was == at:
		v.logger.Warn("the baseline that will replace the state has not ended yet")
	case was != nil && was.Run == at.Run:
		v.logger.Error("a new baseline did not mend the state: tables are written without being published, or this is a fault of the program")
	default:
		v.logger.Info("asking for a new baseline, which replaces the state")
		v.restated = &at
		v.stream.Restate()
	}
}
