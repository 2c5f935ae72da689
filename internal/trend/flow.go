package trend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/peerquest/questwatch/internal/event"
)

// Stream is the stream of events.
type Stream interface {
	// Bounds are when it was created and its first and last event.
	Bounds(ctx context.Context) (created time.Time, first, last uint64, err error)
	// Follow gives the events of some kinds from a sequence on, oldest first, until ctx
	// ends; with end it returns at what was the newest at the call.
	Follow(ctx context.Context, kinds []string, from uint64, end bool, fn func(seq uint64, data []byte) error) error
}

// Store is where the counts are kept.
type Store interface {
	// Load returns nil where there is nothing.
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, data []byte) error
}

// Flow counts while the program runs.
type Flow struct {
	stream Stream
	store  Store
	logger *slog.Logger
	every  time.Duration

	mu    sync.Mutex // the counts are kept while others are made
	book  *Book
	saved uint64 // the sequence that is kept
}

// New makes a flow; nothing runs yet.
func New(stream Stream, store Store, every time.Duration, logger *slog.Logger) *Flow {
	return &Flow{stream: stream, store: store, logger: logger, every: every}
}

// again is how long counting rests after an error.
const again = 10 * time.Second

// endIn bounds the keeping at the end.
const endIn = 5 * time.Second

// Run counts until ctx ends, and keeps what it has. Trends are no reason to stop
// watching: after an error it begins again.
func (f *Flow) Run(ctx context.Context) error {
	for failing := false; ; failing = true {
		counted, err := f.count(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if counted || !failing { // else it has been said
			f.logger.Warn("trends are not counted; trying on", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(again):
		}
	}
}

// count counts until it cannot, and says whether it could at all.
func (f *Flow) count(ctx context.Context) (counted bool, err error) {
	book, err := load(ctx, f.stream, f.store, f.logger)
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	f.book, f.saved = book, book.Sequence
	f.mu.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return f.stream.Follow(ctx, Kinds, book.Sequence+1, false, func(seq uint64, data []byte) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			book.take(seq, data, f.logger)
			return nil
		})
	})
	group.Go(func() error { return f.keep(ctx) })
	return true, group.Wait()
}

// keep saves now and then until ctx ends, and then once more.
func (f *Flow) keep(ctx context.Context) error {
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endIn)
			defer cancel()
			return errors.Join(ctx.Err(), f.save(last))
		case <-tick.C:
			if err := f.save(ctx); err != nil && ctx.Err() == nil {
				f.logger.Warn("trends could not be kept", "err", err, "again_in", f.every.String())
			}
		}
	}
}

// save keeps what is new.
func (f *Flow) save(ctx context.Context) error {
	f.mu.Lock()
	seq, data := f.book.Sequence, []byte(nil)
	if seq != f.saved {
		data = f.book.Encode()
	}
	f.mu.Unlock()
	if data == nil {
		return nil
	}
	if err := f.store.Save(ctx, data); err != nil {
		return fmt.Errorf("keep trends: %w", err)
	}
	f.mu.Lock()
	f.saved = seq
	f.mu.Unlock()
	return nil
}

// Read is what has been counted by now: the kept counts and what came after them.
func Read(ctx context.Context, stream Stream, store Store, logger *slog.Logger) (*Book, error) {
	book, err := load(ctx, stream, store, logger)
	if err != nil {
		return nil, err
	}
	return book, stream.Follow(ctx, Kinds, book.Sequence+1, true, func(seq uint64, data []byte) error {
		book.take(seq, data, logger)
		return nil
	})
}

// load is the kept counts where they are of this stream, else none.
func load(ctx context.Context, stream Stream, store Store, logger *slog.Logger) (*Book, error) {
	created, first, last, err := stream.Bounds(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the events: %w", err)
	}
	fresh := NewBook(created)
	data, err := store.Load(ctx)
	if err != nil || data == nil {
		if err != nil {
			logger.Warn("the kept trends cannot be read; counting anew", "err", err)
		}
		return fresh, ctx.Err()
	}
	book, err := Decode(data)
	switch {
	case err != nil:
		logger.Warn("the kept trends cannot be read; counting anew", "err", err)
		return fresh, nil
	case !book.Created.Equal(created) || book.Sequence > last:
		logger.Info("the kept trends are of another stream of events; counting anew")
		return fresh, nil
	case book.Sequence+1 < first:
		logger.Warn("events were discarded before they were counted", "from", book.Sequence+1, "to", first-1)
	}
	return book, nil
}

// take counts an encoded event. One that cannot be read is passed over: what it would
// have counted is not known.
func (b *Book) take(seq uint64, data []byte, logger *slog.Logger) {
	e, err := event.Parse(data)
	if err != nil {
		logger.Warn("an event that cannot be read is not counted", "seq", seq, "err", err)
		b.Sequence = seq
		return
	}
	b.Take(seq, &e)
}
