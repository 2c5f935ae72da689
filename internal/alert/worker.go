package alert

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/terminal"
)

const (
	// MaxWaiting is how many events wait in memory; more stay in the stream.
	MaxWaiting = 4096
	saveEvery  = 10 * time.Second
)

// worker serves one channel. Two goroutines: one reads the stream, the other does all
// else and owns the fields.
type worker struct {
	*Alerter
	outlet *Outlet
	health *health
	logger *slog.Logger
	book   *people.Book
	limit  *rate.Limiter // nil without one
	open   opened

	position Position // everything up to it has been told
	revision uint64
	dirty    bool // position is not the one that is kept
	unkept   bool // it could not be, the last time
	pending  []item
	last     time.Time // when a notice was sent

	silences []Silence
	listed   time.Time // when the silences were read
	unlisted bool      // they could not be
}

// read is an event that was read; with nothing to tell it only moves the position.
type read struct {
	item
	tell bool
}

func newWorker(a *Alerter, o *Outlet, h *health) *worker {
	w := &worker{Alerter: a, outlet: o, health: h, logger: a.logger.With("channel", o.Name), book: people.NewBook(a.names), open: opened{Alerter: a, outlet: o}}
	if o.PerMinute > 0 {
		w.limit = rate.NewLimiter(rate.Limit(float64(o.PerMinute)/60), o.PerMinute)
	}
	return w
}

func (w *worker) run(ctx context.Context) error {
	if err := w.load(ctx); err != nil {
		return err
	}
	if err := w.claim(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan read)
	from := w.position // the sender moves it
	group.Go(func() error { return w.read(ctx, from, queue) })
	group.Go(func() error { return w.send(ctx, queue) })
	err := group.Wait()
	w.saveLast(ctx)
	return err
}

// read hands over the stream's events, also of the next stream.
func (w *worker) read(ctx context.Context, from Position, queue chan<- read) error {
	for warned := false; ; {
		err := w.events.Follow(ctx, from, func(s Stored) error {
			select {
			case queue <- w.readOne(s):
				from, warned = s.Position, false
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, ErrReset) {
			w.logger.Warn("the events stream is another one; telling what came after the last alert", "err", err, "stored", from.Stored)
			from.Sequence = 0
			continue
		}
		if !warned {
			w.logger.Warn("the events stream cannot be read; trying on", "err", err)
			warned = true
		}
		if !pause(ctx, saveRetry) {
			return ctx.Err()
		}
	}
}

func (w *worker) readOne(s Stored) read {
	e, err := event.Parse(s.Data)
	r := read{item: item{at: s.Position, event: e, data: s.Data}}
	if err != nil {
		w.logger.Error("an event that cannot be read is not told", "subject", terminal.Clean(s.Subject), "seq", s.Sequence, "err", err)
		return r
	}
	r.tell = w.outlet.Route.take(w.outlet.Name, &r.item)
	return r
}

// send sends what is handed over.
func (w *worker) send(ctx context.Context, queue <-chan read) error {
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	var remind <-chan time.Time
	if every := w.outlet.Repeat; every > 0 {
		ticks := time.NewTicker(min(every, remindEvery))
		defer ticks.Stop()
		remind = ticks.C
	}
	for {
		if len(w.pending) > 0 {
			if err := w.sendPending(ctx, queue); err != nil {
				return err
			}
			continue
		}
		select {
		case r := <-queue:
			w.take(r)
		case <-save.C:
			if err := w.save(ctx); err != nil {
				return err
			}
		case <-remind:
			if err := w.remind(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendPending waits until the next notice is due, and sends it.
func (w *worker) sendPending(ctx context.Context, queue <-chan read) error {
	if len(w.audible(ctx, w.pending[:1])) == 0 { // nobody waits for it
		return w.told(ctx, w.pending[:1], nil)
	}
	due := w.last.Add(w.outlet.GroupFor)
	if w.limit != nil {
		if allowed := time.Now().Add(w.limit.Reserve().Delay()); allowed.After(due) {
			due = allowed
		}
	}
	if err := w.collect(ctx, queue, due); err != nil {
		return err
	}
	if err := w.rest(ctx, queue); err != nil {
		return err
	}
	count := 1
	if w.outlet.GroupFor > 0 {
		count = len(w.pending)
	}
	all := w.pending[:count:count]
	items := w.audible(ctx, all)
	if len(items) > 0 {
		n := noticeOf(items, w.book.Call(ctx))
		w.word(n)
		if err := w.deliver(ctx, queue, items, n); err != nil {
			return err
		}
		w.last = time.Now()
	}
	return w.told(ctx, all, items)
}

// told moves the position on over the first that were pending, of which some were told:
// only now, for what is under way keeps it where it is.
func (w *worker) told(ctx context.Context, all, items []item) error {
	w.counts.silenced.WithLabelValues(w.outlet.Name).Add(float64(len(all) - len(items)))
	w.move(all[len(all)-1].at)
	if w.pending = w.pending[len(all):]; len(w.pending) == 0 {
		w.pending = nil // frees them; copying the rest each time took the square of thousands
	}
	w.health.waiting(len(w.pending))
	if items == nil && len(w.pending) > 0 {
		return nil // of many silent ones the last is saved
	}
	return w.save(ctx)
}

// collect takes what is handed over, until a time.
func (w *worker) collect(ctx context.Context, queue <-chan read, until time.Time) error {
	wait := time.Until(until)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		from := queue
		if len(w.pending) >= MaxWaiting {
			from = nil
		}
		select {
		case r := <-from:
			w.take(r)
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *worker) take(r read) {
	switch {
	case r.tell:
		w.pending = append(w.pending, r.item)
		w.health.waiting(len(w.pending))
	case len(w.pending) == 0:
		w.move(r.at)
	}
}

// move notes that everything up to an event has been told.
func (w *worker) move(to Position) {
	to.Reminded, to.By = w.position.Reminded, w.position.By
	w.position, w.dirty = to, true
}

// word puts a notice in the words of the channel's template, if it can.
func (w *worker) word(n *Notice) {
	if err := w.outlet.worded(n); err != nil {
		w.logger.Warn("the template failed; telling in our own words", "err", err)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
