package alert

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// TestGrouping: the first is told at once, what comes within the half minute together.
func TestGrouping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		stop := begin(t, m, chat(s))
		began := time.Now()
		m.add(t, finding(1))
		synctest.Wait()
		if len(s.got) != 1 || s.got[0].New != 1 || s.got[0].ID != "f1.opened" || s.got[0].Title() != "critical" {
			t.Fatalf("first: %+v", s.got)
		}
		for i := range int64(36) {
			m.add(t, finding(10+i))
		}
		sleep(20 * time.Second)
		m.add(t, finding(99), resolved(1))
		synctest.Wait()
		if len(s.got) != 1 {
			t.Fatalf("told within the half minute: %+v", s.got[1])
		}
		sleep(10 * time.Second)
		synctest.Wait()
		if len(s.got) != 2 || s.got[1].New != 37 || s.got[1].Over != 1 || s.at[1].Sub(began) != 30*time.Second {
			t.Fatalf("then: %+v at %v", s.got, s.at)
		}
		if title := s.got[1].Title(); title != "critical: 37 new, 1 over in 20s" {
			t.Errorf("title %q", title)
		}
		if len(s.got[1].Lines) != shownItems || s.got[1].More != 28 {
			t.Errorf("%d lines and %d more", len(s.got[1].Lines), s.got[1].More)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestFlood: ten thousand findings in a minute are a few notices to people, and every
// event to a service.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, people, service := newMemory(), &sink{}, &sink{}
		stop := begin(t, m, chat(people), hook(service))
		for i := range int64(10_000) {
			m.add(t, finding(i+1))
			sleep(6 * time.Millisecond)
		}
		sleep(5 * time.Minute)
		total := 0
		for _, n := range people.got {
			total += n.New
		}
		if total != 10_000 || len(people.got) > 6 {
			t.Errorf("people were told of %d in %d notices", total, len(people.got))
		}
		if len(service.got) != 10_000 || service.got[9_999].ID != "f10000.opened" {
			t.Errorf("the service was told of %d", len(service.got))
		}
		_ = stop()
	})
}

// TestOutage: an hour without the channel loses nothing, in the order of the stream, and
// ends in two notices.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, until := newMemory(), &sink{}, time.Now().Add(time.Hour)
		s.answer = func(context.Context, int) error {
			if time.Now().Before(until) {
				return errors.New("no route to host")
			}
			return nil
		}
		stop := begin(t, m, chat(s))
		for i := range int64(60) {
			m.add(t, finding(i+1))
			sleep(time.Minute)
		}
		sleep(3 * time.Minute)
		if len(s.got) != 2 || s.got[0].New != 1 || s.got[1].New != 59 || s.tries > 100 {
			t.Errorf("%d tries, %+v", s.tries, s.got)
		}
		if late := s.at[1].Sub(until); late > 2*time.Minute {
			t.Errorf("all is told %s after the channel was back", late)
		}
		_ = stop()
	})
}

// TestRestart: what was not taken before the end is told after it; what was taken, but
// the position not kept, is told once more.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		stop := begin(t, m, hook(s))
		m.add(t, finding(1), finding(2))
		synctest.Wait()
		_ = stop()
		stop = begin(t, m, hook(s))
		synctest.Wait()
		m.fail(1 << 30) // a crash between sending and keeping
		m.add(t, finding(3))
		synctest.Wait()
		_ = stop()
		m.fail(0)
		stop = begin(t, m, hook(s))
		m.add(t, finding(4))
		synctest.Wait()
		_ = stop()
		var ids []string
		for _, n := range s.got {
			ids = append(ids, n.ID)
		}
		if got := strings.Join(ids, " "); got != "f1.opened f2.opened f3.opened f3.opened f4.opened" {
			t.Errorf("told: %s", got)
		}
	})
}

// TestUnderWay: what comes during the tries of a notice does not move the position past it.
func TestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		s.answer = func(context.Context, int) error { return errors.New("away") }
		stop := begin(t, m, hook(s))
		m.add(t, finding(1), finding(2, func(f *event.Finding) { f.Severity = rule.Info }))
		sleep(5 * time.Minute)
		_ = stop()
		if p := m.positions["hook"]; p.Sequence != 0 {
			t.Errorf("position %+v with nothing told", p)
		}
		s.answer = nil
		stop = begin(t, m, hook(s))
		synctest.Wait()
		_ = stop()
		if len(s.got) != 1 || s.got[0].ID != "f1.opened" {
			t.Errorf("told %+v", s.got)
		}
	})
}

// TestPauses: Retry-After is waited for, and tries end a hanging call.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		s.answer = func(ctx context.Context, try int) error {
			switch try {
			case 1:
				return &Refusal{Err: errors.New("429"), After: 7 * time.Minute}
			case 2:
				<-ctx.Done() // hangs
				return ctx.Err()
			}
			return nil
		}
		stop := begin(t, m, hook(s))
		began := time.Now()
		m.add(t, finding(1))
		sleep(8 * time.Minute)
		_ = stop()
		if len(s.at) != 1 || s.at[0].Sub(began) < 7*time.Minute+tryFor || s.at[0].Sub(began) > 7*time.Minute+tryFor+5*time.Second {
			t.Errorf("%d tries, told %v after %s", s.tries, s.at, began)
		}
	})
}

// TestGivenUp: after the last try, or a final refusal, an event says so, and what
// comes next is told.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, other := newMemory(), &sink{}, &sink{}
		began := time.Now()
		s.answer = func(_ context.Context, try int) error {
			if time.Since(began) < 24*time.Hour+time.Minute {
				return errors.New("away")
			}
			return nil
		}
		other.answer = func(_ context.Context, try int) error {
			if try == 1 {
				return &Refusal{Err: errors.New("the answer is 422"), Final: true}
			}
			return nil
		}
		stop := begin(t, m, hook(s), chat(other))
		m.add(t, finding(1))
		sleep(time.Hour)
		if len(m.letters) != 1 || m.letters[0].Detail != "chat" || other.tries != 1 {
			t.Fatalf("%d tries, letters %+v", other.tries, m.letters)
		}
		sleep(24 * time.Hour)
		if len(m.letters) != 2 {
			t.Fatalf("letters %+v", m.letters)
		}
		u := m.letters[1].Data.(event.Undelivered)
		if u.Channel != "hook" || u.Events != 1 || u.EventIDs[0] != "f1.opened" || u.First != 1 || u.Attempts < 1000 || u.Error != "away" {
			t.Errorf("letter %+v", u)
		}
		m.add(t, m.letters[1], finding(2))
		sleep(2 * time.Minute)
		_ = stop()
		if len(s.got) != 1 || s.got[0].ID != "f2.opened" {
			t.Errorf("the channel was told of %+v", s.got)
		}
		if len(other.got) != 2 { // of what the hook was not told of, and of the second finding
			t.Errorf("the other was told of %+v", other.got)
		}
	})
}

// TestTaken: when another instance has moved the position, this one ends.
func TestTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		stop := begin(t, m, hook(s))
		m.add(t, finding(1))
		synctest.Wait()
		if _, err := m.Save(t.Context(), "hook", Position{Sequence: 9}, m.revisions["hook"]); err != nil {
			t.Fatal(err)
		}
		m.add(t, finding(2))
		synctest.Wait()
		m.add(t, finding(3))
		synctest.Wait()
		if err := stop(); !errors.Is(err, ErrTaken) || len(s.got) > 2 {
			t.Errorf("%v after %d", err, len(s.got))
		}
	})
}

// TestRate: a bound on notices a minute.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		o := hook(s)
		o.PerMinute = 6
		stop := begin(t, m, o)
		for i := range int64(30) {
			m.add(t, finding(i+1))
		}
		sleep(65 * time.Second) // the 12th is due at the minute itself, the 13th at 70 s
		if len(s.got) != 12 {
			t.Errorf("%d in the first minute, want 6 at once and 6 more", len(s.got))
		}
		_ = stop()
	})
}
