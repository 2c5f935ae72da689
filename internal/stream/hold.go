package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

const (
	// holdEvery is how often JetStream is asked whether it takes messages again.
	holdEvery = 250 * time.Millisecond
	// fullPause is how long a full one is left alone: that it has room again only a
	// message can tell.
	fullPause = 5 * time.Second
	// answerWithin is how long it may take to say how the stream stands.
	answerWithin = time.Second
)

// hold keeps the connection to Postgres, unread, while JetStream takes no messages:
// the walsender hears from us, the slot stays ours, and the log waits there. What
// was read and not stored is lost to this session, so that it ends all the same
// when hold returns. err is what the pump ended with.
func (s *session) hold(ctx context.Context, err error) {
	if s.writer.Err() == nil {
		return // it was not JetStream
	}
	until := time.Time{}
	switch {
	case errors.Is(err, ErrFull):
		until = time.Now().Add(fullPause)
	case errors.Is(err, ErrAway):
		// A write can fail before anybody has noticed that the connection is gone.
		until = time.Now().Add(holdEvery)
	}
	ticks := time.NewTicker(holdEvery)
	defer ticks.Stop()
	for ctx.Err() == nil {
		takes := s.takes(ctx)
		if takes == nil && time.Now().After(until) {
			return
		}
		if takes == nil {
			takes = err
		}
		s.held.Store(true)
		s.stall(takes)
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
	}
}

// takes says why JetStream takes no messages. One that is connected may yet not answer.
func (s *session) takes(ctx context.Context) error {
	if err := s.config.Takes(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if _, _, err := s.cdc.Bounds(ctx); errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// flight measures how long messages wait for their acknowledgements, over all
// sessions of a flow.
type flight struct {
	mu     sync.Mutex // Status asks while the session publishes
	writer *measured
}

// of begins to measure a writer.
func (f *flight) of(w Writer, published *atomic.Uint64) Writer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writer = &measured{Writer: w, published: published}
	return f.writer
}

func (f *flight) waiting(now time.Time) time.Duration {
	f.mu.Lock()
	w := f.writer
	f.mu.Unlock()
	if w == nil {
		return 0
	}
	return w.waiting(now)
}

// measured is a Writer that knows since when it has waited for an acknowledgement.
type measured struct {
	Writer
	published *atomic.Uint64

	mu    sync.Mutex // the feed publishes while the ticker asks for acknowledgements
	last  change.Seq // published
	acked change.Seq
	since time.Time // of the newest acknowledgement, or of the first message after all were
}

func (m *measured) Publish(ctx context.Context, subject string, data []byte) (change.Seq, error) {
	seq, err := m.Writer.Publish(ctx, subject, data)
	if err != nil {
		return seq, err
	}
	m.published.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last <= m.acked {
		m.since = time.Now()
	}
	m.last = seq
	return seq, nil
}

func (m *measured) Acked() change.Seq {
	acked := m.Writer.Acked()
	m.mu.Lock()
	defer m.mu.Unlock()
	if acked > m.acked {
		m.acked, m.since = acked, time.Now()
	}
	return acked
}

func (m *measured) waiting(now time.Time) time.Duration {
	m.Acked()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last <= m.acked {
		return 0
	}
	return max(0, now.Sub(m.since))
}
