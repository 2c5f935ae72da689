package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/peerquest/questwatch/internal/people"
)

// Channel sends notices to somebody.
type Channel interface {
	// Send returns when the other side has taken the notice, with what it answered, for
	// who tries the channel out. An error that is a *Refusal says more of what to do; after
	// any other it is tried again.
	Send(ctx context.Context, n *Notice) (answer string, err error)
}

// Outlet is a channel and what is sent over it.
type Outlet struct {
	Name    string
	Channel Channel
	Route   Route
	// GroupFor is the least time between notices: what comes meanwhile is told together.
	// With 0 each event is told by itself.
	GroupFor time.Duration
	// Quiet is nil where there is no quiet time.
	Quiet *Quiet
	// PerMinute bounds the notices; 0 does not.
	PerMinute int
	// Repeat is the time between notices of what is still open; 0 sends none.
	Repeat time.Duration
	// Template is nil for our own words.
	Template *Template
	// GiveUpAfter is for how long a notice is tried, TryFor how long one try may take; 0
	// is a quarter of a minute.
	GiveUpAfter time.Duration
	TryFor      time.Duration
}

// Config is what an Alerter needs to know.
type Config struct {
	Namespace string
	Outlets   []Outlet
	// Open is nil where nobody knows what is open.
	Open Open
	// Silences is nil where there are none.
	Silences Silences
}

// Alerter tells of events over channels.
type Alerter struct {
	config    Config
	events    Events
	positions Positions
	letters   Letters
	names     people.Names
	logger    *slog.Logger
	counts    counts
	health    []health // of the outlets
}

// counts is what came of deliveries.
type counts struct {
	notices  *prometheus.CounterVec
	events   *prometheus.CounterVec
	silenced *prometheus.CounterVec
}

// New makes an Alerter; names may be nil.
func New(c Config, events Events, positions Positions, letters Letters, names people.Names, logger *slog.Logger) *Alerter {
	a := &Alerter{
		config: c, events: events, positions: positions, letters: letters, names: names, logger: logger, health: make([]health, len(c.Outlets)),
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "questwatch", Name: name, Help: help}, labels)
	}
	a.counts = counts{
		counter("alert_deliveries_total", "What came of tries to send a notice: sent, failed, given_up.", "channel", "result"),
		counter("alert_events_total", "Events of which a channel was told.", "channel"),
		counter("alert_silenced_total", "Events of which a channel was not told because of a silence.", "channel"),
	}
	for i, o := range c.Outlets {
		a.health[i].status.Channel = o.Name
		for _, result := range []string{sent, failed, givenUp} {
			a.counts.notices.WithLabelValues(o.Name, result)
		}
		a.counts.events.WithLabelValues(o.Name)
		a.counts.silenced.WithLabelValues(o.Name)
	}
	return a
}

// What came of a try.
const (
	sent    = "sent"
	failed  = "failed"
	givenUp = "given_up"
)

// Measure registers what is counted.
func (a *Alerter) Measure(r prometheus.Registerer) {
	r.MustRegister(a.counts.notices, a.counts.events, a.counts.silenced)
}

// Begin keeps the end of the stream as the position of channels that have none: what
// comes after it is told, whenever Run is called.
func (a *Alerter) Begin(ctx context.Context) error {
	for _, o := range a.config.Outlets {
		_, _, err := a.positions.Load(ctx, o.Name)
		if errors.Is(err, ErrNone) {
			err = a.begin(ctx, o.Name)
		}
		if err != nil {
			return fmt.Errorf("begin alerts over %s: %w", o.Name, err)
		}
	}
	return nil
}

func (a *Alerter) begin(ctx context.Context, channel string) error {
	tail, err := a.events.Tail(ctx)
	if err == nil {
		_, err = a.positions.Save(ctx, channel, tail, 0)
	}
	if errors.Is(err, ErrConflict) { // another instance was faster
		return nil
	}
	return err
}

// Run tells of events until ctx ends, or ErrTaken.
func (a *Alerter) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range a.config.Outlets {
		o, h := &a.config.Outlets[i], &a.health[i]
		w := newWorker(a, o, h)
		group.Go(func() error { return w.run(ctx) })
		if s, ok := o.Channel.(standing); ok {
			group.Go(func() error { return a.standBy(ctx, o, h, s) })
		}
	}
	group.Go(func() error { // with no channel
		<-ctx.Done()
		return ctx.Err()
	})
	defer func() {
		for i := range a.health {
			a.health[i].rest()
		}
	}()
	return group.Wait()
}
