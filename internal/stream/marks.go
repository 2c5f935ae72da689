package stream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// How the ticker goes about marks and confirming.
const (
	// statusEvery is how often Postgres hears from us at the least.
	statusEvery = time.Second
	// askEvery is how often the server is asked how far it has read, while a mark
	// waits for it.
	askEvery = 25 * time.Millisecond
	// beatAfter is how long a mark waits before a heartbeat moves the log: an idle
	// server may take seconds to write out its last records.
	beatAfter = 400 * time.Millisecond
)

// marks hands readings of the clock from the ticker, who takes them, to the
// feed, who publishes one when the stream has passed it.
type marks struct {
	mu      sync.Mutex // the ticker offers while the feed takes
	waiting *Reading
	since   time.Time
	newest  change.Millis // of those published
	at      time.Time     // when
	taken   time.Time     // when its reading was taken
	leaving time.Time     // the same of the one that is being published
	every   time.Duration // how often they are due
	read    change.LSN    // how far the server has read

	hurried   atomic.Int64  // until when marks are wanted often, in Unix nanoseconds
	heard     atomic.Uint64 // counts what comes through the slot
	listened  uint64        // heard, as of lastHeard
	lastHeard time.Time
}

// offer leaves a reading for the feed unless one still waits. every is how often
// marks are due at present.
func (m *marks) offer(r Reading, now time.Time, every time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.every = every
	if m.waiting == nil {
		m.waiting, m.since = &r, now
	}
}

// listen notes whether anything has come through the slot.
func (m *marks) listen(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.heard.Load(); n != m.listened {
		m.listened, m.lastHeard = n, now
	}
}

// silence is how long the waiting reading has waited with nothing coming through
// the slot, not even on the way to it. The reading has its heartbeat by then.
func (m *marks) silence(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == nil {
		return 0
	}
	last := m.since
	if m.lastHeard.After(last) {
		last = m.lastHeard
	}
	return max(0, now.Sub(last))
}

// behind is how far what is published lags, beyond the time between two marks.
func (m *marks) behind(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken.IsZero() {
		return 0
	}
	return max(0, now.Sub(m.taken)-m.every)
}

// reached takes the waiting reading when the stream has passed it.
func (m *marks) reached(read change.LSN) *Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	if read > m.read {
		m.read = read
		m.heard.Add(1)
	}
	if m.waiting == nil || read < m.waiting.LSN {
		return nil
	}
	r := m.waiting
	m.waiting, m.leaving = nil, m.since
	return r
}

// drop forgets a reading that an earlier session left: another instance may have
// marked a later time since.
func (m *marks) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = nil
}

// published notes a mark that went out.
func (m *marks) published(r *Reading, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.newest, m.at, m.taken = r.At, now, m.leaving
}

// lateness is how long after its due time a mark is late, at the least.
const lateness = 5 * time.Second

// last is the newest mark's time, when it was published, and whether the next one
// is late by now.
func (m *marks) last(now time.Time) (newest change.Millis, at time.Time, late bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest, m.at, now.Sub(m.at) > m.every+max(lateness, m.every)
}

// pending says since when a reading waits; false when none does.
func (m *marks) pending() (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.since, m.waiting != nil
}

// ticker keeps the connection alive, confirms, and takes readings.
type ticker struct {
	config    *Config
	feed      Feed
	clock     Clock
	marks     *marks
	confirmed func(now time.Time) change.LSN
	lastStep  func() time.Time
	nextXID   func(uint64)
	held      func() bool // the session waits for JetStream

	status, reading time.Time // when these were last done
	beating         bool      // the waiting mark had its heartbeat
}

// run ticks until ctx ends. An error ends the session.
func (t *ticker) run(ctx context.Context) error {
	ticks := time.NewTicker(askEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-ticks.C:
			if err := t.runOnce(ctx, now); err != nil {
				return err
			}
		}
	}
}

func (t *ticker) runOnce(ctx context.Context, now time.Time) error {
	t.marks.listen(now)
	if t.held() { // nobody reads any more
		if now.Sub(t.status) < holdEvery {
			return nil
		}
		t.status = now
		return t.feed.Hold(t.confirmed(now))
	}
	since, pending := t.marks.pending()
	switch {
	case !pending && now.Sub(t.reading) >= t.every(now):
		if err := t.read(ctx, now); err != nil {
			return err
		}
		pending = true
	case pending && !t.beating && now.Sub(since) > beatAfter:
		t.beating = true
		if err := t.clock.Beat(ctx); err != nil {
			return fmt.Errorf("write a heartbeat: %w", err)
		}
	}
	if !pending && now.Sub(t.status) < statusEvery {
		return nil
	}
	t.status = now
	return t.feed.Status(t.confirmed(now), pending)
}

// every is how often a mark is due: often while something may be suspected or
// somebody waits for one, seldom afterwards.
func (t *ticker) every(now time.Time) time.Duration {
	if now.Sub(t.lastStep()) < t.config.MarkFor || now.UnixNano() < t.marks.hurried.Load() {
		return t.config.MarkEvery
	}
	return t.config.IdleMarkEvery
}

func (t *ticker) read(ctx context.Context, now time.Time) error {
	r, err := t.clock.Read(ctx)
	if err != nil {
		return err
	}
	t.nextXID(r.NextXID)
	t.marks.offer(r, now, t.every(now))
	t.reading, t.beating = now, false
	return nil
}
