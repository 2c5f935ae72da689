package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/peerquest/questwatch/internal/hint"
)

const (
	// lookEvery is how often Keep looks at the server.
	lookEvery = time.Second
	// brokenFor is how long it must have been broken: what recovers by itself takes
	// a moment.
	brokenFor = 3 * time.Second
	// restartPause bounds the pauses between two restarts that did not help.
	restartPause = time.Minute
)

// InProcessConn connects to the server that runs now; see nats.InProcessServer.
func (s *Server) InProcessConn() (net.Conn, error) { return s.current().InProcessConn() }

// Keep starts the server again whenever it is broken and its disk has room, until
// ctx ends. A server whose disk was full takes nothing more, whatever is freed.
func (s *Server) Keep(ctx context.Context) error {
	k := keeper{server: s, pauses: backoff.NewExponentialBackOff()}
	k.pauses.InitialInterval, k.pauses.MaxInterval = lookEvery, restartPause
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-ticks.C:
			k.runOnce(ctx, now)
		}
	}
}

type keeper struct {
	server *Server
	pauses *backoff.ExponentialBackOff
	since  time.Time // broken since; zero while it is not
	next   time.Time // no restart before this
}

func (k *keeper) runOnce(ctx context.Context, now time.Time) {
	broken := k.server.broken()
	if broken == nil {
		k.since = time.Time{}
		if now.Sub(k.next) > restartPause {
			k.pauses.Reset()
		}
		return
	}
	if k.since.IsZero() {
		k.since = now
	}
	free, _, err := k.server.Space()
	if now.Sub(k.since) < brokenFor || now.Before(k.next) || err != nil || free < k.server.cfg.Room {
		return
	}
	log := k.server.cfg.Logger
	log.Warn("the embedded NATS server does not recover by itself; starting it again", "err", broken)
	err = k.server.Restart(ctx)
	k.next = time.Now().Add(k.pauses.NextBackOff())
	if err != nil {
		log.Warn("the embedded NATS server did not start again", "err", err, "advice", hint.Of(err))
		return
	}
	log.Info("the embedded NATS server is running again", "url", k.server.ClientURL())
}

// Restart ends the server and starts another in its place, with the same
// directory and address, which stays locked. Its clients connect again. After an
// error no server may be running; Restart can be called again then.
func (s *Server) Restart(ctx context.Context) error {
	s.restarting.Lock()
	defer s.restarting.Unlock()
	select {
	case <-s.stopped:
		return errors.New("restart nats server: it was stopped")
	default:
	}
	cfg, old := s.cfg, s.current()
	if addr := old.Addr(); addr != nil { // the port may have been any
		cfg.Listen = addr.String()
	}
	s.cfg.Listen = cfg.Listen
	if err := end(old); err != nil {
		return fmt.Errorf("restart nats server: %w", err)
	}
	s.starting.Wait()
	next, err := newServer(ctx, cfg, s.lock)
	if err != nil {
		return fmt.Errorf("restart nats server: %w", err)
	}
	s.starting.Go(next.nats.Start)
	if err := next.ready(ctx, cfg); err != nil {
		err = errors.Join(err, end(next.nats))
		return fmt.Errorf("restart nats server: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nats, s.log = next.nats, next.log
	return nil
}

// end shuts a server down, as far as that takes no longer than stopTimeout.
func end(ns *server.Server) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ns.Shutdown()
		ns.WaitForShutdown()
	}()
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return hint.Failed("stop nats server", ErrStopTimeout, "look for a slow or failing disk")
	}
}
