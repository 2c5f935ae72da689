package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
)

// TryAlert sends a test over a channel of alerts, and says what the other side answered.
// It needs no running instance.
func TryAlert(ctx context.Context, c *config.Config, channel string, logger *slog.Logger) (answer string, err error) {
	list, err := outlets(c, logger)
	if err != nil {
		return "", err
	}
	names := make([]string, 0, len(list))
	for i := range list {
		if list[i].Name == channel {
			return alert.Try(ctx, c.Namespace, &list[i])
		}
		names = append(names, list[i].Name)
	}
	if len(names) == 0 {
		return "", &AskedError{"no channel of alerts is set up"}
	}
	return "", &AskedError{fmt.Sprintf("no channel %q is set up: there is %s", channel, strings.Join(names, ", "))}
}

// openAlerts makes the flow of alerts, which begins with what is stored from now on.
func (a *App) openAlerts(ctx context.Context) error {
	list, err := outlets(&a.config, a.logger)
	if err != nil {
		return err
	}
	a.alerts = alert.New(alert.Config{Namespace: a.config.Namespace, Outlets: list, Open: openPort{a}, Silences: silencesPort{Silences{bucket: a.bus.Control()}}}, alertEvents{a.bus},
		alertPositions{a.bus.Control()}, toldPort{a.bus, a.config.Namespace}, a.store, a.logger)
	for _, o := range list {
		a.logger.Info("alerts are sent", "channel", o.Name, "severity", o.Route.Severity.String())
	}
	return a.alerts.Begin(ctx)
}

// takenFor is how long alerts are left to another instance that sends them, while this one
// holds itself to be active too: to take them back at once would go to and fro.
const takenFor = 10 * time.Second

// alertWhileActive sends alerts while this instance does not stand by.
func (a *App) alertWhileActive(ctx context.Context) error {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	var left time.Time // until when another instance is left to it
	for {
		if !time.Now().Before(left) && !a.stream.Status().Standby() {
			err := a.alertUntilStandby(ctx, ticks.C)
			if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
				a.logger.Warn("alerts were interrupted", "err", err)
			}
			if errors.Is(err, alert.ErrTaken) {
				left = time.Now().Add(takenFor)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
	}
}

func (a *App) alertUntilStandby(ctx context.Context, ticks <-chan time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.alerts.Run(ctx) }()
	for {
		select {
		case err := <-done:
			return err
		case <-ticks:
			if a.stream.Status().Standby() {
				cancel()
			}
		}
	}
}

// alertEvents is the events stream for alerts.
type alertEvents struct{ bus *bus.Conn }

func (p alertEvents) Tail(ctx context.Context) (alert.Position, error) {
	state, err := p.bus.EventsState(ctx)
	if err != nil || state.Last == 0 {
		return alert.Position{}, err
	}
	m, err := p.bus.EventMessage(ctx, state.Last)
	if errors.Is(err, bus.ErrNoMessage) { // it is foreign, or too old
		err = nil
	}
	return alert.Position{Sequence: uint64(state.Last), Stored: m.Stored}, err
}

func (p alertEvents) Follow(ctx context.Context, after alert.Position, fn func(alert.Stored) error) error {
	var options []bus.ConsumeOption
	from := bus.Seq(after.Sequence) + 1
	switch {
	case after.Sequence != 0:
		if err := p.recognise(ctx, after); err != nil {
			return err
		}
	case !after.Stored.IsZero():
		from, options = 0, []bus.ConsumeOption{bus.Since(after.Stored.Add(1))}
	}
	err := p.bus.ConsumeEvents(ctx, nil, from, func(m bus.Message) error {
		return fn(alert.Stored{
			Position: alert.Position{Sequence: uint64(m.Seq), Stored: m.Stored}, Subject: m.Subject, Data: bytes.Clone(m.Data),
		})
	}, options...)
	if errors.Is(err, bus.ErrStreamReset) {
		err = fmt.Errorf("%w: %w", alert.ErrReset, err)
	}
	return err
}

// recognise makes sure that an event is still the one that it was. One that is too old
// to be there cannot be anything else.
func (p alertEvents) recognise(ctx context.Context, at alert.Position) error {
	m, err := p.bus.EventMessage(ctx, bus.Seq(at.Sequence))
	switch {
	case errors.Is(err, bus.ErrNoMessage):
		return nil
	case err == nil && !at.Stored.IsZero() && !m.Stored.Equal(at.Stored):
		return fmt.Errorf("recognise event %d: %w", at.Sequence, alert.ErrReset)
	}
	return err
}

// alertPositions keeps how far channels have been told, with the other notes of the
// program.
type alertPositions struct{ bucket *bus.Bucket }

func alertKey(channel string) string { return "alert." + channel }

func (p alertPositions) Load(ctx context.Context, channel string) (at alert.Position, revision uint64, err error) {
	e, err := p.bucket.Get(ctx, alertKey(channel))
	switch {
	case errors.Is(err, bus.ErrNoKey):
		return at, 0, alert.ErrNone
	case err != nil:
		return at, 0, err
	}
	if err := json.Unmarshal(e.Value, &at); err != nil {
		return at, 0, fmt.Errorf("decode the position of %s: %w", channel, err)
	}
	return at, e.Revision, nil
}

func (p alertPositions) Save(ctx context.Context, channel string, at alert.Position, revision uint64) (uint64, error) {
	data, err := json.Marshal(at)
	if err != nil {
		return 0, fmt.Errorf("encode the position of %s: %w", channel, err)
	}
	if revision == 0 {
		revision, err = p.bucket.Create(ctx, alertKey(channel), data)
	} else {
		revision, err = p.bucket.Update(ctx, alertKey(channel), data, revision)
	}
	if errors.Is(err, bus.ErrConflict) {
		err = fmt.Errorf("%w: %w", alert.ErrConflict, err)
	}
	return revision, err
}
