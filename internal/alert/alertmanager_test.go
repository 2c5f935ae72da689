package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// manager is an Alertmanager as far as it takes alerts: one fires until its end, and of the
// same labels the newest post counts.
type manager struct {
	mu     sync.Mutex
	alerts map[string]firing
	posts  int
	most   int // alerts of a post
	down   bool
	bad    []string
	before func() // is called with each request, before anything else
}

func newManager() *manager { return &manager{alerts: map[string]firing{}} }

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pass()
	if m.before != nil {
		m.before()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.posts++
	if m.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var list []firing
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil || r.URL.Path != "/base/api/v2/alerts" {
		m.bad = append(m.bad, fmt.Sprint(r.URL.Path, err))
	}
	m.most = max(m.most, len(list))
	for _, a := range list {
		from, err1 := time.Parse(time.RFC3339, a.StartsAt)
		until, err2 := time.Parse(time.RFC3339, a.EndsAt)
		if err := errors.Join(err1, err2); err != nil || until.Before(from) || a.Labels["alertname"] == "" || slices.Contains(slices.Collect(maps.Values(a.Labels)), "") {
			m.bad = append(m.bad, fmt.Sprint(a, err))
			continue
		}
		key, _ := json.Marshal(a.Labels) // a map's keys are sorted
		m.alerts[string(key)] = a
	}
	if len(m.bad) > 0 {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// RoundTrip serves without a network, which knows no virtual time.
func (m *manager) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Result(), nil
}

// firing lists what fires now, by finding, reason or name.
func (m *manager) firing(t *testing.T) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.bad) > 0 {
		t.Errorf("refused: %v", m.bad)
	}
	var names []string
	for _, a := range m.alerts {
		if until, _ := time.Parse(time.RFC3339, a.EndsAt); until.After(time.Now()) {
			names = append(names, strings.Join(slices.DeleteFunc([]string{a.Labels["finding"], a.Labels["reason"]}, func(s string) bool { return s == "" }), " "))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// state is what is open, as the program would know it.
type state struct {
	mu       sync.Mutex
	findings []event.Event
	troubles []event.Event
	unknown  bool
}

func (s *state) Findings(context.Context) ([]event.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unknown {
		return nil, ErrUnknown
	}
	return slices.Clone(s.findings), nil
}

func (s *state) Troubles() []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.troubles)
}

func (s *state) set(findings []event.Event, troubles ...event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.findings, s.troubles, s.unknown = findings, troubles, false
}

func (m *manager) set(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (s *state) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown = true
}

func managed(m *manager) Outlet {
	a := NewAlertmanager(AlertmanagerConfig{Namespace: "questwatch", URLs: []string{"http://am/base/"}, Resend: time.Minute}, slog.New(slog.DiscardHandler))
	a.client.Transport = m
	return Outlet{
		Name: "alertmanager", Channel: a, Route: Route{Severity: rule.Warning, Resolved: true},
		GroupFor: time.Second, GiveUpAfter: 24 * time.Hour, TryFor: AlertmanagerTryFor,
	}
}

// beginOpen is begin where it is known what is open.
func beginOpen(t *testing.T, m *memory, open Open, outlets ...Outlet) (stop func()) {
	t.Helper()
	a := newAlerter(m, open, outlets...)
	if err := a.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		<-done
	})
}

// at gives a finding its opening time.
func at(when time.Time) func(*event.Finding) {
	return func(f *event.Finding) { f.OpenedAt = event.Stamp(change.MillisOf(when)) }
}

// TestAlertmanager: a finding fires as long as it is open, whatever is restarted or down,
// and ends when it ended.
func TestAlertmanager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, am, open := newMemory(), newManager(), &state{}
		stop := beginOpen(t, m, open, managed(am))
		want := func(what, firing string) {
			t.Helper()
			sleep(2 * time.Second) // what comes within a second of another is told with the next
			if got := am.firing(t); got != firing {
				t.Errorf("%s: firing %q, want %q", what, got, firing)
			}
		}
		began := time.Now()
		one := finding(1, at(began))
		info := finding(7, func(f *event.Finding) { f.Severity = rule.Info })
		m.add(t, one)
		open.set([]event.Event{one, info})
		want("at once", "f1")
		sleep(time.Hour)
		want("after an hour", "f1")
		open.forget()
		sleep(time.Hour)
		want("an hour in which nobody knows what is open", "f1")
		open.set([]event.Event{one, info})
		stop()
		sleep(3 * time.Minute)
		stop = beginOpen(t, m, open, managed(am))
		sleep(2 * time.Minute)
		want("after a restart", "f1")

		open.set(nil)
		m.add(t, resolved(1, at(began)))
		ended := event.Stamp(now())
		want("over", "")
		for _, a := range am.alerts {
			if a.StartsAt != event.Stamp(change.MillisOf(began)) || a.EndsAt != ended {
				t.Errorf("from %s until %s, want the end at %s", a.StartsAt, a.EndsAt, ended)
			}
		}
		if len(am.alerts) != 1 {
			t.Errorf("%d alerts of one finding", len(am.alerts))
		}

		two := finding(2, at(time.Now()))
		open.set([]event.Event{two})
		m.add(t, two)
		want("another", "f2")
		stop()
		m.add(t, resolved(2, at(time.Now())))
		sleep(time.Minute)
		want("away", "f2")
		open.set(nil)
		stop = beginOpen(t, m, open, managed(am))
		want("resolved meanwhile", "")
		three := finding(3, at(time.Now()))
		open.set([]event.Event{three})
		m.add(t, three)
		want("a third", "f3")
		stop()
		sleep(resendsAhead*time.Minute + time.Second)
		want("with nobody to repeat it", "")
	})
}

// TestAlertmanagerDown: when it is back, what is open fires, and what ended meanwhile does not.
func TestAlertmanagerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, am, open := newMemory(), newManager(), &state{}
		stop := beginOpen(t, m, open, managed(am))
		one, two := finding(1, at(time.Now())), finding(2, at(time.Now()))
		open.set([]event.Event{one, two})
		m.add(t, one, two)
		sleep(time.Minute)
		am.mu.Lock()
		am.down = true
		am.mu.Unlock()
		m.add(t, resolved(1, at(time.Now())))
		three := finding(3, at(time.Now()))
		m.add(t, three)
		open.set([]event.Event{two, three})
		sleep(time.Hour)
		am.mu.Lock()
		am.down = false
		if am.posts > 250 {
			t.Errorf("%d posts within the hour", am.posts)
		}
		am.mu.Unlock()
		sleep(2 * time.Minute)
		if got := am.firing(t); got != "f2, f3" {
			t.Errorf("firing %q", got)
		}
		stop()
	})
}

// TestAlertmanagerMany: ten thousand are told, and told again, in parts.
func TestAlertmanagerMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, am, open := newMemory(), newManager(), &state{}
		stop := beginOpen(t, m, open, managed(am))
		var all []event.Event
		for i := range int64(10_000) {
			all = append(all, finding(i+1, at(time.Now())))
		}
		open.set(all)
		m.add(t, all...)
		sleep(6 * time.Minute)
		if got := strings.Count(am.firing(t), "f"); got != 10_000 || am.most > 250 {
			t.Errorf("%d fire, up to %d in a post", got, am.most)
		}
		open.set(nil)
		var ends []event.Event
		for i := range int64(10_000) {
			ends = append(ends, resolved(i+1, at(time.Now())))
		}
		m.add(t, ends...)
		sleep(10 * time.Second)
		if got := am.firing(t); got != "" {
			t.Errorf("still firing: %.100s", got)
		}
		stop()
	})
}

// TestAlertmanagerTroubles: alarms and halts have a beginning and an end; what has none
// fires for an hour, each by itself.
func TestAlertmanagerTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, am, open := newMemory(), newManager(), &state{}
		stop := beginOpen(t, m, open, managed(am))
		want := func(what, firing string) {
			t.Helper()
			synctest.Wait()
			if got := am.firing(t); got != firing {
				t.Errorf("%s: firing %q, want %q", what, got, firing)
			}
		}
		alarm := event.Alarm{Reason: "disk", Severity: event.Warning, Since: now()}
		halt := event.Halt{Reason: "breaker", Severity: event.Critical, Since: now()}
		failed := func(quest int64) event.Event {
			return event.OfFailed("questwatch", &event.NotRepaired{Remedy: event.Remedy{
				Finding: fmt.Sprintf("f%d", quest), Rule: rule.MissingParticipant, QuestID: quest,
			}, Reason: "locked", Time: now()})
		}
		open.set(nil, event.OfAlarm("questwatch", &alarm), event.OfHalt("questwatch", &halt))
		m.add(t, event.OfAlarm("questwatch", &alarm), event.OfHalt("questwatch", &halt), failed(1), failed(2))
		sleep(59 * time.Minute)
		want("after most of an hour", "breaker, disk, f1 missing_participant, f2 missing_participant")
		sleep(2 * time.Minute)
		want("after an hour", "breaker, disk")
		alarm.Until, halt.Until = now(), now()
		open.set(nil)
		m.add(t, event.OfAlarm("questwatch", &alarm), event.OfHalt("questwatch", &halt))
		sleep(5 * time.Second)
		want("over", "")
		if len(am.alerts) != 4 {
			t.Errorf("%d alerts, want an end to be that of its beginning: %v", len(am.alerts), am.alerts)
		}
		stop()
	})
}

// TestAlertmanagerOvertaken: a list of what is open that is on its way when a finding
// ends does not bring it back.
func TestAlertmanagerOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, am, open := newMemory(), newManager(), &state{}
		one := finding(1, at(time.Now()))
		open.set([]event.Event{one})
		slow := true
		am.before = func() {
			if slow {
				slow = false
				time.Sleep(10 * time.Second)
			}
		}
		stop := beginOpen(t, m, open, managed(am)) // tells of the finding, slowly
		synctest.Wait()
		open.set(nil)
		m.add(t, resolved(1, at(time.Now())))
		sleep(30 * time.Second)
		if got := am.firing(t); got != "" || am.posts < 2 {
			t.Errorf("firing %q after %d posts", got, am.posts)
		}
		stop()
	})
}

// TestAlertmanagerWords: over a real connection; what the database says is tame, and in no
// label.
func TestAlertmanagerWords(t *testing.T) {
	am := newManager()
	s := httptest.NewServer(am)
	t.Cleanup(s.Close)
	a := NewAlertmanager(AlertmanagerConfig{Namespace: "site", URLs: []string{s.URL + "/base"}, Link: "http://page/", Resend: time.Minute}, slog.New(slog.DiscardHandler))
	ahead := func(f *event.Finding) { f.OpenedAt = event.Stamp(change.MillisOf(time.Now().Add(time.Hour))) } // the database's clock
	if err := send(t, a, some(t, 1, titled, ahead)); err != nil || len(am.bad) > 0 {
		t.Fatal(err, am.bad)
	}
	for _, got := range am.alerts {
		summary := got.Annotations["summary"]
		if strings.ContainsAny(summary, "<>\n\r\x1b") || strings.Contains(summary, "@everyone") || strings.Contains(summary, "](") || !strings.Contains(summary, "missing_participant") {
			t.Errorf("summary %q", summary)
		}
		want := map[string]string{
			"alertname": "QuestwatchMissingParticipant", "severity": "critical", "rule": "missing_participant", "cause": "approval_failed",
			"quest": "1", "finding": "f1", "source": "site",
		}
		if !maps.Equal(got.Labels, want) || got.Link != "http://page/" {
			t.Errorf("alert %+v", got)
		}
	}
}

// TestSeveralAlertmanagers: each is told; one that is away or hangs holds up nothing, and
// what none takes is tried on.
func TestSeveralAlertmanagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, open, hosts := newMemory(), &state{}, map[string]*manager{"a": newManager(), "b": newManager(), "c": newManager()}
		var hangs atomic.Bool
		am := NewAlertmanager(AlertmanagerConfig{Namespace: "questwatch", URLs: []string{"http://a/base", "http://b/base/", "http://c/base"}, Resend: time.Minute}, slog.New(slog.DiscardHandler))
		am.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "b" && hangs.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return hosts[r.URL.Host].RoundTrip(r)
		})
		o := managed(nil)
		o.Channel = am
		stop := beginOpen(t, m, open, o)
		want := func(what string, firing ...string) {
			t.Helper()
			sleep(5 * time.Second)
			for i, host := range []string{"a", "b", "c"} {
				if got := hosts[host].firing(t); got != firing[i] {
					t.Errorf("%s: at %s fires %q, want %q", what, host, got, firing[i])
				}
			}
		}
		one, two, three := finding(1, at(time.Now())), finding(2, at(time.Now())), finding(3, at(time.Now()))
		m.add(t, one)
		open.set([]event.Event{one})
		want("all", "f1", "f1", "f1")
		hosts["a"].set(true)
		hangs.Store(true)
		m.add(t, two)
		open.set([]event.Event{one, two})
		want("one of them", "f1", "f1", "f1, f2")
		hosts["c"].set(true)
		m.add(t, three)
		open.set([]event.Event{one, two, three})
		want("none", "f1", "f1", "f1, f2")
		hosts["a"].set(false)
		hangs.Store(false)
		sleep(2 * time.Minute)
		want("two are back", "f1, f2, f3", "f1, f2, f3", "f1, f2")
		stop()
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (fn roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return fn(r) }

// TestRefusedBySeveral: a notice is given up at once only where all refuse it for good.
func TestRefusedBySeveral(t *testing.T) {
	status := func(code int) string {
		return server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	for name, c := range map[string]struct {
		codes []int
		taken string
		final bool
	}{
		"all":        {[]int{400, 400}, "", true},
		"not all":    {[]int{400, 503}, "", false},
		"nor these":  {[]int{503, 400}, "", false},
		"one has it": {[]int{503, 200}, "1: post: the answer is 503 Service Unavailable, 2: 200 OK", false},
	} {
		am := NewAlertmanager(AlertmanagerConfig{URLs: []string{status(c.codes[0]), status(c.codes[1])}}, slog.New(slog.DiscardHandler))
		answer, err := am.Send(t.Context(), some(t, 1))
		var refusal *Refusal
		if answer != c.taken || (err == nil) != (c.taken != "") || (errors.As(err, &refusal) && refusal.Final) != c.final {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
}
