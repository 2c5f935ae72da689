package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/hint"
)

const (
	// embeddedSync is how often the embedded server writes through to the disk.
	embeddedSync = time.Second
	// embeddedLag is how long a message of it must have been acknowledged before
	// Postgres may forget; five times the sync interval, for slow disks.
	embeddedLag = 5 * embeddedSync
	// unknownSync is the sync interval of a server that does not say: NATS's own
	// default.
	unknownSync = 2 * time.Minute
	// externalTailLag is how long what a session finds on an external server may be
	// on its way to the disk although the server syncs always by now: it may have
	// been killed and set up in another way since. The kernel takes half of that.
	externalTailLag = time.Minute
	// learnEvery is how often the external server is asked how it syncs.
	learnEvery = 30 * time.Second
)

// always reports whether every batch is to be durable when it is acknowledged.
func (a *App) always() bool { return a.config.Stream.Durability == "always" }

// confirmLag is how long an acknowledged message may still be lost, as far as is
// known at the moment.
func (a *App) confirmLag() time.Duration {
	switch {
	case a.config.Stream.ConfirmLag != 0:
		return a.config.Stream.ConfirmLag
	case a.nats == nil:
		return a.sync.lagOr(a.unknownLag())
	case a.always():
		return 0
	}
	return embeddedLag
}

// tailLag is how long what a session finds in the stream may still be lost. The
// embedded server brings it to the disk before it starts.
func (a *App) tailLag() time.Duration {
	switch {
	case a.config.Stream.ConfirmLag != 0:
		return a.config.Stream.ConfirmLag
	case a.nats == nil:
		return externalTailLag
	}
	return 0
}

// baselineLag is how long the end of a baseline waits before the slot is made
// permanent. Losing it costs another baseline and no data, so that an external
// server, which may take minutes, is not waited for.
func (a *App) baselineLag() time.Duration {
	if a.nats == nil || a.always() {
		return 0
	}
	return embeddedSync * 5 / 4
}

// unknownLag is the lag for a server that does not say how it syncs.
func (a *App) unknownLag() time.Duration {
	if a.config.NATS.SyncInterval != 0 {
		return a.config.NATS.SyncInterval * 5 / 4
	}
	return unknownSync * 5 / 4
}

// externalSync is what is known of how the external server syncs. It is forgotten
// when the connection is lost: the server may come back set up in another way.
type externalSync struct {
	changed chan struct{} // the connection is there again

	mu     sync.Mutex // the connection's events and the readers of the lag meet
	lag    time.Duration
	known  bool
	losses int    // of the connection, so that what was read before one does not count
	said   string // the newest log line, so that it is not repeated
}

// watch makes the options by which a connection tells of its losses.
func (s *externalSync) watch() []nats.Option {
	s.changed = make(chan struct{}, 1)
	return []nats.Option{
		nats.DisconnectErrHandler(func(*nats.Conn, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.known = false
			s.losses++
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			select {
			case s.changed <- struct{}{}:
			default:
			}
		}),
	}
}

func (s *externalSync) lagOr(unknown time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known {
		return s.lag
	}
	return unknown
}

func (s *externalSync) lossesSoFar() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.losses
}

// learn notes a lag that was read since that many losses of the connection.
func (s *externalSync) learn(lag time.Duration, known bool, losses int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known && losses != s.losses {
		return // whoever waits for changed reads again
	}
	s.lag, s.known = lag, known
}

// news reports whether a log line says something new.
func (s *externalSync) news(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == line {
		return false
	}
	s.said = line
	return true
}

var errSyncsLater = errors.New("the NATS server acknowledges before it syncs")

// learnSync finds out how the external server syncs, and refuses one that is not
// known to sync always where that is wanted.
func (a *App) learnSync(ctx context.Context) error {
	if a.nats != nil {
		return nil
	}
	policy, err := a.readSync(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case !a.always():
		return nil
	case err != nil:
		return hint.Setup(err, "stream.durability: always needs a server that is known to sync always: set nats.monitoring to the monitoring URL of each server that holds the stream, or stream.durability to interval")
	case !policy.Always:
		return hint.Setup(errSyncsLater, "stream.durability: always needs a server that does: set sync_interval: always in the jetstream block of its configuration, or stream.durability to interval")
	}
	return nil
}

var errNoMonitoring = errors.New("how the NATS server syncs is unknown: nats.monitoring is not set")

// readSync lets the lag follow what the server says, and logs what is new.
func (a *App) readSync(ctx context.Context) (policy bus.SyncPolicy, err error) {
	losses := a.sync.lossesSoFar()
	if a.config.NATS.Monitoring == "" {
		err = errNoMonitoring
	} else {
		policy, err = a.bus.SyncPolicy(ctx, a.config.NATS.Monitoring)
	}
	if ctx.Err() != nil {
		return policy, ctx.Err()
	}
	if err != nil {
		a.sync.learn(0, false, losses)
		a.warnUnknown(err)
		return policy, err
	}
	lag := max(policy.Interval, a.config.NATS.SyncInterval) * 5 / 4
	if policy.Always {
		lag = 0
	}
	a.sync.learn(lag, true, losses)
	if a.sync.news(policy.String()) {
		a.saySync(policy)
	}
	return policy, nil
}

func (a *App) warnUnknown(err error) {
	if a.config.Stream.ConfirmLag == 0 && a.sync.news("unknown") {
		a.logger.Warn("how the external NATS server syncs is unknown; Postgres keeps what was acknowledged for longer than it may take",
			"err", err, "lag", a.confirmLag().String(), "advice", "set nats.monitoring to the monitoring URL of each server that holds the stream, such as http://127.0.0.1:8222")
	}
}

func (a *App) saySync(policy bus.SyncPolicy) {
	attrs := []any{"sync", policy.String(), "lag", a.confirmLag().String()}
	configured := a.config.NATS.SyncInterval
	switch {
	case a.always() && !policy.Always:
		a.logger.Error("the external NATS server no longer syncs always, which stream.durability asks for; what it acknowledges counts as durable later", attrs...)
	case configured != 0 && policy.Interval > configured:
		a.logger.Warn("the external NATS server syncs less often than nats.sync_interval says; its own word holds", attrs...)
	default:
		a.logger.Info("the external NATS server says how it syncs", attrs...)
	}
}

// followSync keeps what is known of the external server up to date.
func (a *App) followSync(ctx context.Context) error {
	if a.nats != nil || a.config.NATS.Monitoring == "" {
		return nil
	}
	again := time.NewTicker(learnEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.sync.changed:
		case <-again.C:
		}
		_, _ = a.readSync(ctx) // it is logged, and tried again
	}
}
