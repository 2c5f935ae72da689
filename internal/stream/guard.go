package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
)

// Surroundings is where a Guard looks. Its methods are called one at a time each,
// and return when their context ends.
type Surroundings interface {
	// Postgres says what the slot keeps there. With holder it also looks who keeps the
	// server from letting go.
	Postgres(ctx context.Context, holder bool) (Usage, error)
	// Store says how full the stream is.
	Store(ctx context.Context) (Store, error)
	// Tell stores an event; one that is stored twice under its id is stored once.
	Tell(ctx context.Context, subject, id string, data []byte) error
}

// Told is what guards have told so far.
type Told interface {
	// Open is the newest alarm of a reason that was told and is not over; false when
	// there is none.
	Open(ctx context.Context, reason string) (event.Alarm, bool, error)
}

// Usage is what the slot costs the database's server, in bytes; see pgstore.Usage.
type Usage struct {
	Exists            bool
	Kept, Unconfirmed int64
	Safe, Limit       int64 // -1 for no limit
	Status            string
	// Holder is who keeps the server's log, if anybody does.
	Holder *event.Holder
}

// Store is how full the stream is, and how far it is read.
type Store struct {
	First, Last change.Seq
	// Bytes are those stored, MaxBytes and MaxAge what is discarded beyond; 0 for no
	// limit.
	Bytes, MaxBytes int64
	MaxAge          time.Duration
	// Read is the newest message that the checker has taken. CaughtUp is false only
	// while it reads the stream anew, and Reading while it is not its turn to read.
	Read              change.Seq
	Reading, CaughtUp bool
	// Checkpoint is the message behind which the newest checkpoint stands, and Taken is
	// when that was stored; 0 where there is none.
	Checkpoint change.Seq
	Taken      time.Time
	// Oldest is when the first unread message was stored; zero when all are read.
	Oldest time.Time
	// Disk says that Free, in bytes, is known: what is left on the store's disk.
	Disk bool
	Free int64
}

// GuardConfig sets up a Guard. Zero values mean the defaults of the configuration.
type GuardConfig struct {
	Namespace string
	// WALKept and DiskFree are the limits of their alarms in bytes, SafePercent is that
	// of wal_safe in percent of the server's own limit.
	WALKept, DiskFree int64
	SafePercent       int64
	// Lag and Heartbeat are the limits of lagging and heartbeat.
	Lag, Heartbeat time.Duration
	// Every is how often the guard looks.
	Every time.Duration
}

func (c GuardConfig) withDefaults() GuardConfig {
	fill := func(value *int64, fallback int64) {
		if *value == 0 {
			*value = fallback
		}
	}
	fill(&c.WALKept, 1<<30)
	fill(&c.DiskFree, 1<<30)
	fill(&c.SafePercent, 25)
	fill((*int64)(&c.Lag), int64(time.Minute))
	fill((*int64)(&c.Heartbeat), int64(15*time.Second))
	fill((*int64)(&c.Every), int64(2*time.Second))
	return c
}

// Guard looks after a Flow and what it needs, and raises alarms: each is told once
// when it begins and once when it is over, in the log, in the program's status, and
// as an event. Nothing waits for it.
type Guard struct {
	config GuardConfig
	flow   func() Status
	around Surroundings
	told   Told
	// takes is Config.Takes.
	takes  func(ctx context.Context) error
	logger *slog.Logger
	outbox *outbox
	// adopted says that the alarms of whoever streamed before are ours by now.
	adopted bool

	mu     sync.Mutex // others ask while Run looks
	alarms alarms
	seen   view
}

// NewGuard makes a guard of a flow; nothing runs yet.
func NewGuard(config GuardConfig, flow *Flow, around Surroundings, told Told, logger *slog.Logger) *Guard {
	return &Guard{
		config: config.withDefaults(), flow: flow.Status, around: around, told: told, takes: flow.config.Takes, logger: logger,
		outbox: newOutbox(),
	}
}

// Run looks until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	var telling sync.WaitGroup
	telling.Go(func() { g.outbox.run(ctx, g.around, g.logger) })
	defer telling.Wait()
	ticks := time.NewTicker(g.config.Every)
	defer ticks.Stop()
	for {
		g.runOnce(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
	}
}

// lookTimeout bounds one look: one that takes longer has failed.
const lookTimeout = 4 * time.Second

// view is all that a guard sees at a moment. What it could not see is not known.
type view struct {
	now        time.Time
	flow       Status
	takes      error
	usage      Usage
	store      Store
	usageKnown bool
	storeKnown bool
	// mute says that JetStream did not answer, though it is connected.
	mute bool
}

func (g *Guard) runOnce(ctx context.Context) {
	v := g.look(ctx)
	if ctx.Err() != nil {
		return
	}
	g.adopt(ctx, &v)
	g.judge(v)
}

// adopt takes over what an earlier process, or an instance that streamed before us,
// has told and not ended, so that its end is told.
func (g *Guard) adopt(ctx context.Context, v *view) {
	if v.flow.Standby() {
		g.adopted = false
	}
	if g.adopted || !v.flow.Streaming() || v.takes != nil || v.mute {
		return
	}
	if _, waiting := g.outbox.first(); waiting {
		return // it may be an end that we have told ourselves
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for _, c := range g.config.checks(v) {
		a, open, err := g.told.Open(ctx, c.alarm.Reason)
		if err != nil {
			g.logger.Debug("what was told before is not known yet", "err", err)
			return
		}
		if open {
			g.mu.Lock()
			g.alarms.adopt(&a)
			g.mu.Unlock()
		}
	}
	g.adopted = true
}

// look asks both sides at the same time: one that does not answer must not hide
// the other.
func (g *Guard) look(ctx context.Context) view {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	g.mu.Lock()
	holder := g.seen.usage.Kept >= g.config.WALKept
	g.mu.Unlock()
	v := view{}
	var both sync.WaitGroup
	both.Go(func() {
		if g.flow().Standby() {
			return // the instance that streams looks there
		}
		var err error
		v.usage, err = g.around.Postgres(ctx, holder)
		v.usageKnown = err == nil && v.usage.Exists
	})
	both.Go(func() {
		if v.takes = g.takes(ctx); errors.Is(v.takes, ErrAway) {
			return
		}
		var err error
		v.store, err = g.around.Store(ctx)
		v.storeKnown, v.mute = err == nil, err != nil
	})
	both.Wait()
	v.now, v.flow = time.Now(), g.flow()
	return v
}

// judge takes in what was seen, and tells what has changed.
func (g *Guard) judge(v view) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = v
	for _, c := range g.config.checks(&v) {
		if a, changed := g.alarms.take(&c, v.now); changed {
			g.tell(&a)
		}
	}
}

// tell logs an alarm's beginning or end and has its event stored.
func (g *Guard) tell(a *event.Alarm) {
	attrs := append([]any{"reason", a.Reason, "severity", a.Severity}, numbers(a)...)
	if a.Until == 0 {
		if a.Reason != malformed { // the program ends with it, and says it there
			attrs = append(attrs, "advice", meanings[a.Reason].advice)
		}
		g.logger.Warn("alarm: "+Explain(a), attrs...)
	} else {
		g.logger.Info("alarm is over: "+meanings[a.Reason].text, append(attrs, "after", (time.Duration(a.Until-a.Since)*time.Millisecond).String())...)
	}
	e := event.OfAlarm(g.config.Namespace, a)
	data, err := e.Encode(g.config.Namespace)
	if err != nil {
		g.logger.Warn("an alarm's event cannot be encoded", "err", err)
		return
	}
	g.outbox.put(letter{e.Subject(g.config.Namespace), e.ID, data})
}

// Alarms are those that are raised now, in a fixed order.
func (g *Guard) Alarms() []event.Alarm {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.alarms.raised()
}

// Usage is what the slot kept at the last look; known is false when that failed.
func (g *Guard) Usage() (u Usage, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen.usage, g.seen.usageKnown
}

// lastWords is how long the end waits for its event to be stored.
const lastWords = 10 * time.Second

// Undecodable tells of data that has stopped the program, and returns err with
// advice. It waits for the event to be stored, but not for long.
func (g *Guard) Undecodable(ctx context.Context, err error) error {
	a := event.Alarm{Reason: malformed, Severity: event.Critical, Since: change.MillisOf(time.Now()), What: "message"}
	var where *change.Malformed
	if errors.As(err, &where) {
		a.LSN, a.Sequence, a.What = where.LSN, uint64(where.Seq), where.What
	}
	g.mu.Lock()
	g.tell(&a)
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if !g.outbox.drained(ctx) {
		g.logger.Warn("the event of it could not be stored", "reason", a.Reason)
	}
	if a.Sequence != 0 {
		return hint.Wrap(err, "keep the stream and report the log's lines; to go on without it, purge the stream, or use another namespace: the next start takes a new baseline")
	}
	return hint.Wrap(err, "%s", meanings[malformed].advice)
}
