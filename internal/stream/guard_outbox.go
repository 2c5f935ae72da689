package stream

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// letter is an encoded event.
type letter struct {
	subject, id string
	data        []byte
}

// outbox keeps events until they are stored, in order. JetStream may be away when
// they are made, for it is often what they are about.
type outbox struct {
	more chan struct{} // has a value when a letter came

	mu      sync.Mutex // the guard puts while run takes
	letters []letter
}

func newOutbox() *outbox { return &outbox{more: make(chan struct{}, 1)} }

// put never blocks.
func (o *outbox) put(l letter) {
	o.mu.Lock()
	o.letters = append(o.letters, l)
	o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
}

func (o *outbox) first() (l letter, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.letters) == 0 {
		return letter{}, false
	}
	return o.letters[0], true
}

func (o *outbox) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.letters = o.letters[1:]
}

// tellTimeout bounds one attempt to store an event.
const tellTimeout = 10 * time.Second

// run stores what is put, until ctx ends.
func (o *outbox) run(ctx context.Context, to Surroundings, logger *slog.Logger) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 250*time.Millisecond, 5*time.Second
	for {
		l, ok := o.first()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-o.more:
			}
			continue
		}
		brief, cancel := context.WithTimeout(ctx, tellTimeout)
		err := to.Tell(brief, l.subject, l.id, l.data)
		cancel()
		if err == nil {
			pauses.Reset()
			o.drop()
			continue
		}
		logger.Debug("an alarm's event is not stored yet", "subject", l.subject, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pauses.NextBackOff()):
		}
	}
}

// drained waits until all is stored, and reports whether it is.
func (o *outbox) drained(ctx context.Context) bool {
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	for {
		if _, waiting := o.first(); !waiting {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticks.C:
		}
	}
}
