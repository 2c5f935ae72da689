package alert

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// waiting are silences of a server that does not answer.
type waiting struct{}

func (waiting) List(ctx context.Context) ([]Silence, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// beginSilent runs an Alerter with silences until the function that it returns is called.
func beginSilent(t *testing.T, m *memory, s Silences, outlets ...Outlet) (stop func()) {
	t.Helper()
	a := New(Config{Namespace: "questwatch", Outlets: outlets, Silences: s}, m, m, m, nil, slog.New(slog.DiscardHandler))
	if err := a.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() {
		cancel()
		<-done
	}
}

func warning(f *event.Finding) { f.Severity = rule.Warning }

// nightly is a chat that is quiet from 22 to 7, and until waits for a time of the day.
func nightly(s *sink) Outlet {
	o := chat(s)
	o.Quiet = &Quiet{22 * time.Hour, 7 * time.Hour, time.UTC}
	return o
}

func until(hour, minute int) {
	now := time.Now().UTC()
	then := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
	if then.Before(now) {
		then = then.AddDate(0, 0, 1)
	}
	time.Sleep(time.Until(then))
	synctest.Wait()
}

// TestSilenceAtNight: what came while it was silenced is not told in the morning, when the
// silence is over, also after a restart; and what is critical and silenced does not wake
// anybody for what waits.
func TestSilenceAtNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, k := newMemory(), &sink{}, &kept{}
		stop := beginSilent(t, m, k, nightly(s))
		until(22, 30)
		from := time.Now()
		k.set(nil, Silence{Quest: 2, Since: from, Until: from.Add(2 * time.Hour)}, Silence{Quest: 3, Since: from, Until: from.Add(2 * time.Hour)})
		until(23, 0)
		m.add(t, finding(1, warning), finding(2, warning), finding(3))
		until(3, 0)
		if len(s.told()) != 0 {
			t.Fatalf("%d notices at night", len(s.told()))
		}
		stop()
		stop = beginSilent(t, m, k, nightly(s))
		until(7, 1)
		if len(s.told()) != 1 || s.told()[0].ID != "f1.opened" {
			t.Errorf("%d notices in the morning, not the one of the first finding", len(s.told()))
		}
		if p := m.place("chat"); p != 3 {
			t.Errorf("the place is %d", p)
		}
		stop()
	})
}

// TestRemindersAtNight: nobody is reminded of what is not critical.
func TestRemindersAtNight(t *testing.T) {
	for name, c := range map[string]struct {
		critical bool
		notices  int // until the morning
	}{"warning": {false, 1}, "critical": {true, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, s, open := newMemory(), &sink{}, &state{}
				o := nightly(s)
				o.Repeat = 4 * time.Hour
				until(21, 0)
				stop := beginOpen(t, m, open, o)
				one := finding(1, warning)
				if c.critical {
					one = finding(1)
				}
				m.add(t, one)
				open.set([]event.Event{one})
				until(6, 59)
				if len(s.told()) != c.notices {
					t.Errorf("%d notices at night, want %d", len(s.told()), c.notices)
				}
				until(10, 0)
				if len(s.told()) != c.notices+1 || s.told()[c.notices].Open != 1 {
					t.Errorf("%d notices in the morning, want one more than %d", len(s.told()), c.notices)
				}
				stop()
			})
		})
	}
}

// TestSilencesThatCannotBeRead: they do not hold up an alert for long.
func TestSilencesThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		stop := beginSilent(t, m, waiting{}, hook(s))
		m.add(t, finding(1))
		time.Sleep(5 * time.Second)
		if len(s.told()) != 1 {
			t.Errorf("%d notices", len(s.told()))
		}
		stop()
	})
}

// TestServiceAtNight: where each event is told by itself too, what is not critical waits,
// but for what came before something critical, and the order stays.
func TestServiceAtNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), &sink{}
		o := hook(s)
		o.Quiet = nightly(s).Quiet
		stop := begin(t, m, o)
		until(23, 0)
		m.add(t, finding(1, warning), finding(2), finding(3, warning), finding(4, warning))
		until(6, 59)
		ids := func() (all string) {
			for _, n := range s.told() {
				all += n.ID + " "
			}
			return all
		}
		if got := ids(); got != "f1.opened f2.opened " {
			t.Errorf("at night: %s", got)
		}
		until(7, 1)
		if got := ids(); got != "f1.opened f2.opened f3.opened f4.opened " {
			t.Errorf("in the morning: %s", got)
		}
		_ = stop()
	})
}
