package schedule

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/timetable"
)

// Config sets up an Auditor.
type Config struct {
	Namespace, Instance string
	// Timetable is nil where audits are made on request only.
	Timetable *timetable.Timetable
	Within    time.Duration
	Rules     rule.Policy
	HTML      string
}

// Auditor makes audits, one at a time.
type Auditor struct {
	config   Config
	desk     Desk
	reports  Reports
	events   Events
	checker  Checker
	database Database
	logger   *slog.Logger

	busy chan struct{} // holds one, while an audit is made

	mu     sync.Mutex // Status is read while audits are made
	status Status
	unfit  time.Time // since when the checker has nothing to say to what is due
}

// Status is how audits stand.
type Status struct {
	// Next is when the next one is planned, zero for never.
	Next time.Time
	// Last is the newest one that was made, nil where there is none.
	Last *event.Audited
	// Done and Failed count since the program began; Err is why the newest failed, nil
	// when it did not.
	Done, Failed int
	Err          error
	// Blocked is why the timetable cannot be looked at now, nil when it can.
	Blocked error
}

// New makes an auditor; nothing runs yet.
func New(c Config, desk Desk, reports Reports, events Events, checker Checker, database Database, logger *slog.Logger) *Auditor {
	return &Auditor{
		config: c, desk: desk, reports: reports, events: events, checker: checker, database: database, logger: logger,
		busy: make(chan struct{}, 1),
	}
}

// Status is a copy of how audits stand.
func (a *Auditor) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

func (a *Auditor) note(change func(*Status)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.status)
}

const (
	// lookEvery is how long a clock that was set is believed.
	lookEvery = time.Minute
	// firstRetry and lastRetry are the shortest and the longest time between attempts.
	firstRetry, lastRetry = time.Minute, time.Hour
	// fitWithin is how long what is due waits for a checker that has something to say.
	fitWithin, fitEvery = 10 * time.Minute, 5 * time.Second
)

// Run makes what is due until ctx ends. Only one instance may run it at a time; should
// two do so for a moment, only one makes what is due.
func (a *Auditor) Run(ctx context.Context) error {
	a.remember(ctx)
	for a.config.Timetable != nil {
		again := time.NewTimer(a.turn(ctx))
		select {
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		case <-again.C:
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// remember takes the newest report for the status.
func (a *Auditor) remember(ctx context.Context) {
	r, err := a.before(ctx, "audit.") // above all names
	if err != nil && ctx.Err() == nil {
		a.logger.Warn("the newest audit's report could not be read", "err", err)
	}
	if r != nil {
		a.note(func(s *Status) { s.Last = &r.Audited })
	}
}

// turn makes an audit if one is due, and says when to look again.
func (a *Auditor) turn(ctx context.Context) time.Duration {
	wait, err := a.due(ctx)
	if !errors.Is(err, ErrTaken) && ctx.Err() == nil { // else it is the other's turn, or over
		a.blocked(err)
	}
	return max(min(wait, lookEvery), time.Millisecond)
}

// blocked notes why the timetable cannot be looked at, nil for that it can.
func (a *Auditor) blocked(err error) {
	was := a.Status().Blocked
	a.note(func(s *Status) { s.Blocked = err })
	switch {
	case was == nil && err != nil:
		a.logger.Error("audits cannot be planned; trying on", "err", err)
	case was != nil && err == nil:
		a.logger.Info("audits are planned again")
	}
}

func (a *Auditor) due(ctx context.Context) (wait time.Duration, err error) {
	n, revision, err := a.desk.Read(ctx)
	if err != nil {
		return lookEvery, err
	}
	now, table := time.Now(), a.config.Timetable
	if n.Timetable != table.String() || ahead(n.Counted, now) {
		n = Note{Timetable: table.String(), Counted: now}
		if revision, err = a.desk.Write(ctx, n, revision); err != nil {
			return lookEvery, err
		}
	}
	next := table.Next(now)
	a.note(func(s *Status) { s.Next = next })
	if due, found := table.Latest(n.Counted, now); found {
		n = Note{Timetable: n.Timetable, Counted: due, Due: due}
	}
	if n.Due.IsZero() {
		return next.Sub(now), nil
	}
	if pause := n.Tried.Add(retryAfter(n.Attempt)).Sub(now); pause > 0 && !ahead(n.Tried, now) {
		return min(pause, next.Sub(now)), nil
	}
	if !a.fit(ctx, now) {
		return fitEvery, nil
	}
	n.Attempt, n.Tried, n.Instance = n.Attempt+1, now, a.config.Instance
	if revision, err = a.desk.Write(ctx, n, revision); err != nil {
		return lookEvery, err
	}
	if !a.planned(ctx, &n) {
		return retryAfter(n.Attempt), nil
	}
	n = Note{Timetable: n.Timetable, Counted: n.Counted}
	_, err = a.desk.Write(ctx, n, revision)
	return 0, err
}

// ahead reports whether a clock was wrong when it noted a time. One that is a little ahead
// is another instance's, whose audit is not to be made again.
func ahead(noted, now time.Time) bool { return noted.Sub(now) > lastRetry }

// retryAfter is the time from an attempt to the next one; none before the first.
func retryAfter(attempt int) time.Duration {
	if attempt == 0 {
		return 0
	}
	return min(firstRetry<<min(attempt-1, 10), lastRetry)
}

// fit reports whether the checker has something to say, or has been waited for long
// enough.
func (a *Auditor) fit(ctx context.Context, now time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, lookEvery) // it may ask a database that hangs
	defer cancel()
	if _, err := a.checker.Witness(ctx); err == nil {
		a.unfit = time.Time{}
		return true
	}
	if a.unfit.IsZero() {
		a.unfit = now
	}
	return now.Sub(a.unfit) >= fitWithin
}

// planned makes the audit that is due, and reports whether it is done.
func (a *Auditor) planned(ctx context.Context, n *Note) bool {
	_, err := a.alone(ctx, event.AuditScheduled, n.Due)
	if err != nil && ctx.Err() == nil {
		a.failed("the audit failed", err, "due", n.Due.Format(time.RFC3339), "attempt", n.Attempt, "again_in", retryAfter(n.Attempt).String())
		a.tellFailure(ctx, n, err)
	}
	return err == nil
}

// Request makes an audit now.
func (a *Auditor) Request(ctx context.Context) (*Report, error) {
	r, err := a.alone(ctx, event.AuditRequested, time.Now())
	if err != nil && ctx.Err() == nil {
		a.failed("the audit that was asked for failed", err)
	}
	return r, err
}

// alone makes an audit when no other one is made.
func (a *Auditor) alone(ctx context.Context, kind string, at time.Time) (*Report, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a.busy <- struct{}{}:
	}
	defer func() { <-a.busy }()
	r, err := a.make(ctx, kind, at)
	if err != nil {
		return nil, err
	}
	a.done(r)
	return r, nil
}

func (a *Auditor) done(r *Report) {
	a.logger.Info("audit complete", "report", r.Report, "findings", r.Findings, "mismatched", r.Mismatched,
		"undecided", r.Undecided, "not_compared", cmp.Or(r.NotCompared, "-"), "took", (time.Duration(r.Took) * time.Millisecond).String())
	a.note(func(s *Status) { s.Last, s.Err, s.Done = &r.Audited, nil, s.Done+1 })
}

func (a *Auditor) failed(what string, err error, attrs ...any) {
	a.logger.Error(what, append([]any{"err", err}, attrs...)...)
	a.note(func(s *Status) { s.Err, s.Failed = err, s.Failed+1 })
}
