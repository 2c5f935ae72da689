package alert

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/event"
)

// TestStatus: whoever asks sees at each moment which channel takes nothing, since when,
// why, and how much waits for it; and nothing of it when that is over.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, down, fine, began := newMemory(), &sink{}, &sink{}, time.Now()
		down.answer = func(context.Context, int) error {
			if time.Since(began) < 2*time.Hour {
				return errors.New("no route to host")
			}
			return nil
		}
		a := newAlerter(m, nil, chat(down), hook(fine))
		want := func(when string, failing time.Time, waiting int) {
			t.Helper()
			pass()
			list := a.Status()
			if len(list) != 2 || list[0].Channel != "chat" || list[1] != (ChannelStatus{Channel: "hook"}) {
				t.Fatalf("%s: %+v", when, list)
			}
			s := list[0]
			if !s.Failing.Equal(failing) || s.Waiting != waiting || (s.Error == "no route to host") == failing.IsZero() || (s.Tries > 0) == failing.IsZero() {
				t.Errorf("%s: %+v", when, s)
			}
		}
		want("before it runs", time.Time{}, 0)
		if err := a.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		sleep(time.Minute)
		want("with nothing to tell", time.Time{}, 0)
		first := time.Now()
		m.add(t, finding(1))
		sleep(20 * time.Minute)
		m.add(t, finding(2), finding(3))
		sleep(time.Second)
		want("after twenty minutes", first, 3)
		sleep(2 * time.Hour)
		want("when it takes again", time.Time{}, 0)
		began = time.Now()
		m.add(t, finding(4))
		sleep(time.Minute)
		want("down again", began, 1)
		cancel()
		<-done
		want("when another one tells", time.Time{}, 0)
	})
}

// TestStatusOfAStandingChannel: an Alertmanager that is away is seen without an event.
func TestStatusOfAStandingChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, open := newManager(), &state{}
		m.set(true)
		open.set([]event.Event{finding(1, at(time.Now()))})
		a := newAlerter(newMemory(), open, managed(m))
		if err := a.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		want := func(when string, failing bool) {
			t.Helper()
			sleep(10 * time.Minute)
			if s := a.Status()[0]; s.Failing.IsZero() == failing || strings.Contains(s.Error, "503") != failing || s.Waiting != 0 {
				t.Errorf("%s: %+v", when, s)
			}
		}
		want("away", true)
		open.set(nil)
		want("away, with nothing to tell it", true)
		m.set(false)
		want("back, with nothing to tell it", true)
		open.set([]event.Event{finding(2, at(time.Now()))})
		want("back", false)
		cancel()
		<-done
	})
}
