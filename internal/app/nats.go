package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/stream"
)

// markAfterGrace is how long after the longest grace marks stay frequent.
const markAfterGrace = time.Minute

// openBus connects to the external server, or starts the embedded one.
func (a *App) openBus(ctx context.Context) (err error) {
	n := &a.config.NATS
	bc := bus.Config{
		URL: n.URL, Namespace: a.config.Namespace, Manage: n.Manage, Logger: a.logger,
		CDCMaxAge: a.config.Stream.KeepFor, CDCMaxBytes: a.config.Stream.KeepBytes, EventsMaxAge: a.config.Stream.KeepEvents,
		Batches: a.always(), Checkpoints: a.checkpoints(), Reports: a.config.Watch.Enabled,
	}
	if external(n) {
		if bc.URL, bc.Options, err = credentials(n); err != nil {
			return err
		}
		bc.Options = append(bc.Options, a.sync.watch()...)
		a.logger.Info("using an external NATS server")
	} else {
		a.nats, err = embedded.Start(ctx, embedded.Config{
			Dir: a.config.Data, Listen: n.Listen, SyncInterval: embeddedSync, SyncAlways: a.always(), Logger: a.logger,
		})
		if err != nil {
			return err
		}
		a.onClose("embedded NATS server", a.nats.Stop)
		bc.URL, bc.Options = a.nats.ClientURL(), a.nats.InProcess()
		if a.always() {
			bc.BatchMessages, bc.Window = embedded.MaxBatch, 2*embedded.MaxBatch
		}
		a.logger.Info("embedded NATS server is listening", "url", a.nats.ClientURL(), "data", a.config.Data)
	}
	if a.bus, err = bus.Connect(ctx, bc); err != nil {
		return err
	}
	a.onClose("NATS connection", func() error { a.bus.Close(); return nil })
	if err := a.learnSync(ctx); err != nil {
		return err
	}
	if err := a.bus.Setup(ctx); err != nil {
		return err
	}
	return a.learnSync(ctx) // once more: now it is known which servers hold the stream
}

func external(n *config.NATS) bool { return n.URL != "" || n.Context != "" }

// credentials is how to reach the external server: by a context of the nats CLI,
// if one is named, and by what is set beside it.
func credentials(n *config.NATS) (url string, options []nats.Option, err error) {
	url = n.URL
	if n.Context != "" {
		c, err := natscontext.New(n.Context, true)
		if err == nil {
			options, err = c.NATSOptions()
		}
		if err != nil {
			return "", nil, hint.Setup(fmt.Errorf("read NATS context %q: %w", n.Context, err),
				"nats context ls shows those that are there")
		}
		url = cmp.Or(url, c.ServerURL())
	}
	if n.Creds != "" {
		options = append(options, nats.UserCredentials(n.Creds))
	}
	if n.User != "" {
		options = append(options, nats.UserInfo(n.User, n.Password))
	}
	return url, options, nil
}

// healthy says what keeps JetStream from taking messages.
func (a *App) healthy() error {
	if a.nats != nil {
		if err := a.nats.Healthy(); err != nil {
			return err
		}
	}
	if !a.bus.Connected() {
		return errors.New("not connected to NATS")
	}
	return nil
}

// Reasons lists why the program is not ready; none when it is.
func (a *App) Reasons() (reasons []string) {
	if err := a.healthy(); err != nil {
		reasons = append(reasons, err.Error())
	}
	s := a.stream.Status()
	switch {
	case !s.Streaming():
		reasons = append(reasons, fmt.Sprintf("%s since %s", s.State, s.Since.UTC().Format(time.RFC3339)))
		if s.Err != "" {
			reasons = append(reasons, s.Err)
		}
	case s.Late && time.Since(s.Since) > startMark:
		reasons = append(reasons, markless(&s, time.Now()))
	}
	reasons = append(reasons, a.alarming()...)
	if a.watch == nil {
		return reasons
	}
	w := a.watch.Status()
	switch {
	case w.Err != "":
		reasons = append(reasons, "the checker was interrupted: "+w.Err)
	case !w.CaughtUp:
		reasons = append(reasons, "the checker has not caught up with the stream")
	case !w.Known:
		reasons = append(reasons, "the checker has no baseline")
	}
	if n := a.verifier.Status().Mismatched; n > 0 {
		reasons = append(reasons, fmt.Sprintf("the checker's state differed from the database in %d quests and has not been found equal since", n))
	}
	return reasons
}

// markless says for how long there has been no progress mark.
func markless(s *stream.Status, now time.Time) string {
	if s.MarkedAt.IsZero() {
		return fmt.Sprintf("no progress mark yet, %s after it began to stream", now.Sub(s.Since).Round(time.Second))
	}
	return fmt.Sprintf("no progress mark for %s", now.Sub(s.MarkedAt).Round(time.Second))
}

// startMark is how long the first mark of a session may take.
const startMark = 5 * time.Second
