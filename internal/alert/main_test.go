package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a stream of events, with positions, in memory: time is faked in these
// tests, and a server's is not. The real ones are in the tests of app.
type memory struct {
	mu        sync.Mutex
	stored    []Stored
	more      chan struct{}
	positions map[string]Position
	revisions map[string]uint64
	letters   []event.Event
	failing   int // that many saves fail
	away      int // that many times the stream cannot be read
}

func newMemory() *memory {
	return &memory{more: make(chan struct{}), positions: map[string]Position{}, revisions: map[string]uint64{}}
}

func (m *memory) add(t *testing.T, events ...event.Event) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		data, err := e.Encode("questwatch")
		if err != nil {
			t.Fatal(err)
		}
		m.stored = append(m.stored, Stored{Position{Sequence: uint64(len(m.stored) + 1), Stored: time.Now()}, e.Subject("questwatch"), data})
	}
	close(m.more)
	m.more = make(chan struct{})
}

func (m *memory) Tail(context.Context) (Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.stored) == 0 {
		return Position{}, nil
	}
	return m.stored[len(m.stored)-1].Position, nil
}

func (m *memory) Follow(ctx context.Context, after Position, fn func(Stored) error) error {
	next := int(after.Sequence)
	m.mu.Lock()
	m.away--
	away := m.away >= 0
	m.mu.Unlock()
	if away {
		return errors.New("stream not found")
	}
	for {
		m.mu.Lock()
		list, more := m.stored, m.more
		m.mu.Unlock()
		for ; next < len(list); next++ {
			if err := fn(list[next]); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *memory) Load(_ context.Context, channel string) (Position, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.revisions[channel] == 0 {
		return Position{}, 0, ErrNone
	}
	return m.positions[channel], m.revisions[channel], nil
}

func (m *memory) Save(ctx context.Context, channel string, p Position, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if m.failing > 0 {
		m.failing--
		return 0, errors.New("the server is away")
	}
	if m.revisions[channel] != revision {
		return 0, ErrConflict
	}
	m.positions[channel], m.revisions[channel] = p, revision+1
	return revision + 1, nil
}

func (m *memory) Publish(_ context.Context, events []event.Event) error {
	pass()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, events...)
	return nil
}

// sink is a channel that notes what it gets.
type sink struct {
	mu    sync.Mutex
	got   []*Notice
	at    []time.Time
	tries int
	// answer is asked at each try, which counts from 1; nil takes everything.
	answer func(ctx context.Context, try int) error
}

func (s *sink) Send(ctx context.Context, n *Notice) (string, error) {
	pass()
	s.mu.Lock()
	s.tries++
	try, answer := s.tries, s.answer
	s.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, try); err != nil {
			return "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.at = append(s.got, n), append(s.at, time.Now())
	return "", nil
}

func newAlerter(m *memory, open Open, outlets ...Outlet) *Alerter {
	return New(Config{Namespace: "questwatch", Outlets: outlets, Open: open}, m, m, m, nil, slog.New(slog.DiscardHandler))
}

// told is what it has got so far. Virtual time alone does not order its goroutine and the
// test's.
func (s *sink) told() []*Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// place is the position that is kept.
func (m *memory) place(channel string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.positions[channel].Sequence
}

// begin runs an Alerter until the function that it returns is called.
func begin(t *testing.T, m *memory, outlets ...Outlet) (stop func() error) {
	t.Helper()
	a := newAlerter(m, nil, outlets...)
	if err := a.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return sync.OnceValue(func() error {
		cancel()
		return <-done
	})
}

func chat(s *sink) Outlet {
	return Outlet{
		Name: "chat", Channel: s, Route: Route{Severity: rule.Warning, Resolved: true},
		GroupFor: 30 * time.Second, GiveUpAfter: 24 * time.Hour,
	}
}

func hook(s *sink) Outlet {
	return Outlet{
		Name: "hook", Channel: s, Route: Route{Severity: rule.Warning, Resolved: true, Each: true}, GiveUpAfter: 24 * time.Hour,
	}
}

// finding is a drift.opened of a quest, or what made of it.
func finding(quest int64, change ...func(*event.Finding)) event.Event {
	f := event.Finding{
		Finding: fmt.Sprintf("f%d", quest), Rule: rule.MissingParticipant, Cause: rule.ApprovalFailed, Severity: rule.Critical,
		Origin: drift.FromStream, QuestID: quest, QuestTitle: "a title", ParticipantIDs: []int64{}, Actual: "there is none",
	}
	for _, fn := range change {
		fn(&f)
	}
	return event.Event{ID: f.Finding + ".opened", Group: "drift", What: "opened", Detail: f.Rule.String(), Quest: quest, Time: now(), Data: f}
}

func resolved(quest int64, change ...func(*event.Finding)) event.Event {
	e := finding(quest, change...)
	e.ID, e.What = fmt.Sprintf("f%d.resolved", quest), "resolved"
	return e
}

func now() change.Millis { return change.MillisOf(time.Now()) }

// fence orders what a test has looked at before what comes after: virtual time alone does
// not, for the race detector.
var fence sync.Mutex

func pass() {
	fence.Lock()
	defer fence.Unlock()
}

// sleep lets virtual time pass, and waits until everybody has done what was due.
func sleep(d time.Duration) {
	pass()
	time.Sleep(d)
	synctest.Wait()
}
