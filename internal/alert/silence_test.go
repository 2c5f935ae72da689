package alert

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// kept are silences that a test changes.
type kept struct {
	mu   sync.Mutex
	list []Silence
	err  error
}

func (k *kept) List(context.Context) ([]Silence, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list, k.err
}

func (k *kept) set(err error, list ...Silence) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list, k.err = list, err
}

func TestSilenceCovers(t *testing.T) {
	anna, now := "anna", time.Now()
	e := finding(7, func(f *event.Finding) { f.UserID = &anna })
	failed := event.Event{Quest: 7, Data: event.Approval{Finding: "f7", UserID: anna}}
	other := event.Event{Quest: 7, Data: event.Approval{UserID: anna}}
	for _, c := range []struct {
		s                     Silence
		finding, failed, rest bool
	}{
		{Silence{Rule: "missing_participant"}, true, true, false},
		{Silence{Rule: "unassigned"}, false, false, false},
		{Silence{Quest: 7}, true, true, true},
		{Silence{Quest: 8}, false, false, false},
		{Silence{User: "anna"}, true, true, true},
		{Silence{User: "bert"}, false, false, false},
		{Silence{Rule: "missing_participant", Quest: 7, User: "anna"}, true, true, false},
		{Silence{Rule: "missing_participant", Quest: 7, User: "bert"}, false, false, false},
	} {
		c.s.Until = now.Add(time.Second)
		if got := [3]bool{c.s.covers(&e, now, now), c.s.covers(&failed, now, now), c.s.covers(&other, now, now)}; got != [3]bool{c.finding, c.failed, c.rest} {
			t.Errorf("%s covers %v", &c.s, got)
		}
		if c.s.covers(&e, c.s.Until, c.s.Until) {
			t.Errorf("%s covers its end", &c.s)
		}
		c.s.Since = now
		if late := c.s.Until.Add(time.Hour); c.s.covers(&e, now, late) != c.finding || c.s.covers(&e, now.Add(-1), late) {
			t.Errorf("%s: what was stored under it is told later, or what was stored before is not", &c.s)
		}
	}
}

func TestSilenceCheck(t *testing.T) {
	now := time.Now()
	for _, s := range []Silence{
		{Since: now, Until: now.Add(time.Hour)},
		{Quest: 1, Since: now, Until: now},
		{Quest: -1, Since: now, Until: now.Add(time.Hour)},
		{Quest: 1, Since: now, Until: now.Add(-time.Hour)},
		{Quest: 1, Since: now, Until: now.Add(LongestSilence + 1)},
		{Rule: "no_such_rule", Since: now, Until: now.Add(time.Hour)},
	} {
		if s.Check() == nil {
			t.Errorf("%+v is taken", s)
		}
	}
	if err := (&Silence{User: "a", Since: now, Until: now.Add(LongestSilence)}).Check(); err != nil {
		t.Error(err)
	}
}

// TestSilence: what a silence covers is told to nobody, also when somebody waits for more
// to tell, and the place moves on; when it is over, or cannot be read before anything was
// known of it, events are told.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, people, service, k := newMemory(), &sink{}, &sink{}, &kept{err: errors.New("away")}
		a := New(Config{Namespace: "questwatch", Outlets: []Outlet{chat(people), hook(service)}, Silences: k}, m, m, m, nil, slog.New(slog.DiscardHandler))
		if err := a.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		told := func(want ...int) {
			t.Helper()
			synctest.Wait()
			for i, s := range []*sink{people, service} {
				n := 0
				for _, notice := range s.told() {
					n += notice.New
				}
				if n != want[i] {
					t.Fatalf("channel %d was told of %d, want %d", i, n, want[i])
				}
			}
		}
		m.add(t, finding(1))
		told(1, 1)
		m.add(t, finding(2)) // the chat waits to tell of it
		k.set(nil, Silence{Quest: 2, Until: time.Now().Add(time.Hour)}, Silence{Rule: rule.Unassigned.String(), Until: time.Now().Add(time.Hour)})
		sleep(31 * time.Second)
		told(1, 2)
		m.add(t, finding(2), finding(2, func(f *event.Finding) { f.Rule = rule.Unassigned }), finding(3))
		sleep(31 * time.Second)
		told(2, 3)
		sleep(11 * time.Second) // the place is kept
		if chat, hook := m.place("chat"), m.place("hook"); chat != 5 || hook != 5 {
			t.Errorf("positions %d and %d", chat, hook)
		}
		k.set(errors.New("away"))
		m.add(t, finding(2))
		sleep(31 * time.Second)
		told(2, 3)
		sleep(time.Hour)
		m.add(t, finding(2))
		sleep(31 * time.Second)
		told(3, 4)
		cancel()
		<-done
	})
}

// TestSilencedDuringTries: what somebody silences while its channel is down is not told
// when the channel is back.
func TestSilencedDuringTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, silences, until := newMemory(), &sink{}, &kept{}, time.Now().Add(time.Hour)
		s.answer = func(context.Context, int) error {
			if time.Now().Before(until) {
				return errors.New("no route to host")
			}
			return nil
		}
		a := New(Config{Namespace: "questwatch", Outlets: []Outlet{hook(s)}, Silences: silences}, m, m, m, nil, slog.New(slog.DiscardHandler))
		if err := a.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		m.add(t, finding(1), finding(2))
		sleep(10 * time.Minute)
		silences.set(nil, Silence{Quest: 1, Since: time.Now(), Until: time.Now().Add(24 * time.Hour)})
		sleep(2 * time.Hour)
		cancel()
		<-done
		if got := s.told(); len(got) != 1 || got[0].ID != "f2.opened" || m.place("hook") != 2 {
			t.Errorf("told %+v, place %d", got, m.place("hook"))
		}
	})
}
