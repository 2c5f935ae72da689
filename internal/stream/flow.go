package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// Flow streams one database into one CDC stream.
type Flow struct {
	config   Config
	postgres Postgres
	clock    Clock
	cdc      CDC
	notes    Notes
	logger   *slog.Logger
	marks    marks
	flight   flight
	tally    *tally
	needs    needs
	epoch    uint64      // the one that this instance wrote last
	wanted   atomic.Bool // a baseline

	mu     sync.Mutex // Status is read while Run writes it
	status Status
}

// Status says what a Flow is doing.
type Status struct {
	State string
	// Since is when the state began.
	Since time.Time
	// Err is what the last session ended with, "" when it goes well.
	Err string
	// Marked is the newest progress mark's time, MarkedAt when it was published.
	Marked   change.Millis
	MarkedAt time.Time
	// Late says that the next mark is overdue: the stream has stalled.
	Late bool
	// Behind is how long ago everything that is streamed had been committed, less the
	// time between two marks. Silent is how long something of ours has been in the
	// database's log without anything coming through the slot.
	Behind, Silent time.Duration
	// Waiting is how long a message has waited for its acknowledgement.
	Waiting time.Duration
	Published
	// Cause is what Err is the text of.
	Cause error
}

// The states of a Flow.
const (
	starting   = "starting"
	standby    = "standby"
	baselining = "baseline"
	streaming  = "streaming"
	stalled    = "stalled" // connected, and waiting for JetStream
	retrying   = "retrying"
)

// States lists them.
func States() []string { return []string{starting, standby, baselining, streaming, stalled, retrying} }

// Streaming reports whether changes flow.
func (s Status) Streaming() bool { return s.State == streaming }

// Standby reports whether another instance has the slot.
func (s Status) Standby() bool { return s.State == standby }

// DefaultConfig fills in what a Config leaves out.
func DefaultConfig(c Config) Config {
	set := func(value *int, fallback int) {
		if *value == 0 {
			*value = fallback
		}
	}
	set(&c.MaxRows, 4096)
	set(&c.MaxBytes, 8<<20)
	set(&c.MaxPayload, 1<<20)
	every := func(value *time.Duration, fallback time.Duration) {
		if *value == 0 {
			*value = fallback
		}
	}
	if c.ConfirmLag == nil {
		c.ConfirmLag = func() time.Duration { return 150 * time.Second }
	}
	every(&c.MarkEvery, 250*time.Millisecond)
	every(&c.MarkFor, 63*time.Second)
	every(&c.IdleMarkEvery, 10*time.Second)
	if c.Takes == nil {
		c.Takes = func(context.Context) error { return nil }
	}
	return c
}

// New makes a flow; nothing runs yet.
func New(config Config, postgres Postgres, clock Clock, cdc CDC, notes Notes, logger *slog.Logger) *Flow {
	return &Flow{
		config: DefaultConfig(config), postgres: postgres, clock: clock, cdc: cdc, notes: notes, logger: logger,
		tally: &tally{}, status: Status{State: starting, Since: time.Now()},
	}
}

// Status is a copy of what the flow is doing now.
func (f *Flow) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, now := f.status, time.Now()
	s.Marked, s.MarkedAt, s.Late = f.marks.last(now)
	s.Behind, s.Silent = f.marks.behind(now), f.marks.silence(now)
	s.Waiting, s.Published = f.flight.waiting(now), f.tally.read()
	return s
}

// enter notes a new state. It reports whether it is another one than before.
func (f *Flow) enter(state string, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := f.status.State != state
	if changed {
		f.status.State, f.status.Since = state, time.Now()
	}
	f.status.Err, f.status.Cause = "", err
	if err != nil {
		f.status.Err = err.Error()
	}
	return changed
}

// standbyEvery is how often a standby looks whether the slot is free.
const standbyEvery = time.Second

// Run streams until ctx ends. With wait it stands by while another instance
// streams; without, that is ErrBusy. Active is called with each epoch that
// this instance begins.
func (f *Flow) Run(ctx context.Context, wait bool, active func(epoch uint64)) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 100*time.Millisecond, 5*time.Second
	for {
		start := time.Now()
		err := f.session(ctx, active)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrBusy) && !wait && f.epoch == 0, errors.Is(err, change.ErrMalformed):
			return err
		}
		if time.Since(start) > 10*time.Second {
			pauses.Reset()
		}
		pause := f.interrupted(err, pauses)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// interrupted notes why a session ended, and says how long to wait before the
// next one.
func (f *Flow) interrupted(err error, pauses *backoff.ExponentialBackOff) time.Duration {
	if errors.Is(err, errNeeded) {
		f.logger.Info("the checker has nothing to go on from; taking a baseline")
		return 0
	}
	if errors.Is(err, ErrBusy) {
		f.Need(0)
		if f.enter(standby, err) {
			f.logger.Info("the replication slot is in use; standing by")
		}
		return standbyEvery
	}
	pause := pauses.NextBackOff()
	if f.enter(retrying, err) || pause > time.Second {
		attrs := []any{"err", err, "in", pause.Round(time.Millisecond).String()}
		if advice := hint.Of(err); advice != "" {
			attrs = append(attrs, "advice", advice)
		}
		f.logger.Warn("streaming was interrupted; trying again", attrs...)
	}
	return pause
}

// session runs one session.
func (f *Flow) session(ctx context.Context, active func(epoch uint64)) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	f.needs.start(end)
	s := &session{
		config: f.config, postgres: f.postgres, clock: f.clock, cdc: f.cdc, notes: f.notes,
		logger: f.logger, marks: &f.marks, flight: &f.flight, tally: f.tally, needs: &f.needs, wanted: &f.wanted,
		stall: func(err error) {
			if f.enter(stalled, err) {
				f.logger.Warn("JetStream takes no messages; the log waits in Postgres", "err", err)
			}
		},
	}
	p, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("open the stream: %w", err)
	}
	err = s.run(ctx, p, f.epoch, func(state string) {
		if f.epoch != s.epoch {
			f.epoch = s.epoch
			active(s.epoch)
		}
		f.enter(state, nil)
	})
	switch {
	case errors.Is(context.Cause(ctx), errNeeded):
		return errNeeded
	case errors.Is(err, change.ErrUnreadable):
		err = errors.Join(err, s.lost(ctx, "log_unreadable"))
	case errors.Is(err, errRestate):
		err = errors.Join(err, s.lost(ctx, ""))
	}
	return err
}

// errRestate ends a session that is to be followed by a baseline.
var errRestate = errors.New("a new baseline is wanted")

// Restate has a new baseline taken soon, as a difference: nothing is known to be
// missing from the stream, and yet what it amounts to is not what the database
// holds.
func (f *Flow) Restate() { f.wanted.Store(true) }

// hurryFor is for how long a wish for marks holds.
const hurryFor = 2 * time.Second

// Hurry has marks come as often as while something is suspected, for a moment:
// somebody waits for one.
func (f *Flow) Hurry() { f.marks.hurried.Store(time.Now().Add(hurryFor).UnixNano()) }
