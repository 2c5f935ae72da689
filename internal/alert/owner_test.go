package alert

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTwoAtOnce: of two instances that both believe that it is their turn the newer one
// tells, also where both stand at the same place.
func TestTwoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		older := begin(t, m, hook(s))
		synctest.Wait()
		newer := begin(t, m, hook(s))
		synctest.Wait()
		for i := range int64(5) {
			m.add(t, finding(i+1))
			sleep(time.Second)
		}
		if got := s.told(); len(got) != 5 {
			t.Errorf("%d notices of 5 events", len(got))
		}
		if err := older(); !errors.Is(err, ErrTaken) {
			t.Errorf("the older one ended with %v", err)
		}
		if err := newer(); !errors.Is(err, context.Canceled) {
			t.Errorf("the newer one ended with %v", err)
		}
	})
}

// TestTakenDuringTries: what another instance tells now is not tried on here.
func TestTakenDuringTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, down, s := newMemory(), &sink{}, &sink{}
		down.answer = func(context.Context, int) error { return errors.New("no route to host") }
		older := begin(t, m, hook(down))
		m.add(t, finding(1))
		sleep(10 * time.Second)
		newer := begin(t, m, hook(s))
		sleep(2 * time.Minute)
		if err := older(); !errors.Is(err, ErrTaken) {
			t.Errorf("the older one ended with %v", err)
		}
		_ = newer()
		if len(s.told()) != 1 {
			t.Errorf("told %d times", len(s.told()))
		}
	})
}

// TestNoRoomForPositions: people are told although the place cannot be kept, and it is
// kept as soon as it can be.
func TestNoRoomForPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		stop := begin(t, m, hook(s))
		synctest.Wait()
		m.fail(1 << 30)
		for i := range int64(30) {
			m.add(t, finding(i+1))
		}
		sleep(time.Minute)
		if len(s.told()) != 30 || m.place("hook") != 0 {
			t.Errorf("told of %d, place %d", len(s.told()), m.place("hook"))
		}
		m.fail(0)
		sleep(time.Minute)
		if m.place("hook") != 30 {
			t.Errorf("place %d", m.place("hook"))
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestPositionDeleted: whoever deletes the place of a channel stops no alerts.
func TestPositionDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		stop := begin(t, m, hook(s))
		m.add(t, finding(1))
		synctest.Wait()
		m.forget("hook")
		m.add(t, finding(2), finding(3))
		synctest.Wait()
		if len(s.told()) != 3 || m.place("hook") != 3 {
			t.Errorf("told of %d, place %d", len(s.told()), m.place("hook"))
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		// Deleted before the start: as with a channel that is new.
		m.forget("hook")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- newAlerter(m, nil, hook(s)).Run(ctx) }()
		synctest.Wait()
		m.add(t, finding(4))
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || len(s.told()) != 4 {
			t.Errorf("ended with %v after %d", err, len(s.told()))
		}
	})
}

// fail has that many saves fail.
func (m *memory) fail(saves int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = saves
}

func (m *memory) forget(channel string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.positions, channel)
	delete(m.revisions, channel)
}

// TestEndAfterANotice: what was taken at the very end is not told again by who comes next.
func TestEndAfterANotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		a := newAlerter(m, nil, hook(s))
		if err := a.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.answer = func(context.Context, int) error {
			cancel() // the notice is on its way, and is taken
			return nil
		}
		m.add(t, finding(1))
		if err := a.Run(ctx); !errors.Is(err, context.Canceled) || m.place("hook") != 1 {
			t.Errorf("ended with %v, place %d", err, m.place("hook"))
		}
	})
}

// TestNoStream: a stream that cannot be read for long is one line of the log.
func TestNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		var log bytes.Buffer
		a := New(Config{Namespace: "questwatch", Outlets: []Outlet{hook(s)}}, m, m, m, nil, slog.New(slog.NewTextHandler(&log, nil)))
		if err := a.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.away = 600
		m.add(t, finding(1))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		sleep(time.Hour)
		cancel()
		<-done
		if len(s.told()) != 1 || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("told %d; logged %d lines: %.500s", len(s.told()), strings.Count(log.String(), "\n"), log.String())
		}
	})
}
