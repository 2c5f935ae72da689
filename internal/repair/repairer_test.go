package repair

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

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// world is what a repairer sees: a checker, a database and who hears of events. The
// real ones are tested with package app.
type world struct {
	mu     sync.Mutex // workers ask at the same time
	view   View
	open   map[string]drift.Finding
	brake  *remedy.Brake
	halted *event.Halt
	// outcome is what becomes of an order, nil for a repair.
	outcome func(o *remedy.Order, try int) error
	tries   map[string]int
	carried []string
	stops   int
	told    []event.Event
	deaf    error  // of who hears of events
	beats   func() // while a quest is locked
}

// quests is how many quests the world has.
const quests = 100

func newWorld() *world {
	w := &world{open: map[string]drift.Finding{}, tries: map[string]int{}, outcome: func(*remedy.Order, int) error { return nil }}
	w.view = View{
		State: quest.NewState(change.PeerQuest(), quest.PeerQuest()), Fit: true,
		Finding: func(id string) (drift.Finding, bool) { f, ok := w.open[id]; return f, ok },
		Open: func() (all []drift.Finding) {
			for _, f := range w.open {
				all = append(all, f)
			}
			return all
		},
	}
	for id := range int64(quests) {
		w.add(id + 1)
	}
	return w
}

// add makes an open quest with a participant.
func (w *world) add(id int64) {
	rows := []change.Change{
		{Op: change.Create, Entity: change.Quest, After: change.Row(fmt.Sprintf(`{"id":%d,"title":"t","status":"open","assigned_to_id":"u"}`, id))},
		{Op: change.Create, Entity: change.Participant, After: change.Row(fmt.Sprintf(`{"id":%d,"quest_id":%d,"user_id":"u","status":"joined"}`, id, id))},
	}
	s := change.Step{QuestID: id, Transaction: change.Transaction{CommitLSN: change.LSN(id), Messages: 1, Message: 1}, Changes: rows}
	if _, err := w.view.State.Apply(&s); err != nil {
		panic(err)
	}
}

func (w *world) Look(fn func(*View) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.view
	v.Now = change.MillisOf(time.Now())
	return fn(&v)
}

func (w *world) Beat(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.view.Passed++
	if w.beats != nil {
		w.beats()
	}
	return nil
}

func (w *world) Carry(
	ctx context.Context, o *remedy.Order, confirm func(context.Context, change.LSN) error,
	_ func(*remedy.Case) (remedy.Action, []remedy.Write, error),
) (*remedy.Entry, error) {
	w.mu.Lock()
	w.tries[o.Finding]++
	try, locked := w.tries[o.Finding], w.view.Passed
	w.mu.Unlock()
	if err := confirm(ctx, locked); err != nil {
		return nil, err
	}
	if err := w.outcome(o, try); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.carried = append(w.carried, o.Finding)
	return &remedy.Entry{Order: *o, ID: int64(len(w.carried))}, nil
}

func (w *world) Brake(context.Context, string) (*remedy.Brake, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.brake, nil
}

func (w *world) Resumed(context.Context, string) (string, error) { return "ada", nil }

func (w *world) Stop(_ context.Context, _ string, b remedy.Brake) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stops++
	if w.brake == nil {
		w.brake = &b
	}
	return nil
}

func (w *world) Tell(_ context.Context, e event.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf == nil {
		w.told = append(w.told, e)
	}
	return w.deaf
}

func (w *world) Halted(context.Context) (*event.Halt, error) { return w.halted, nil }

func (w *world) Usernames(context.Context, []string) (map[string]string, error) {
	return nil, errors.New("nobody knows")
}

func (w *world) Script(context.Context, int64, []remedy.Write, func(quest.User) string) (string, error) {
	return "UPDATE;", nil
}

// set changes the world.
func (w *world) set(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// finding is one of an open quest with a participant, which has a repair.
func finding(n int) drift.Finding {
	return drift.Finding{
		ID: fmt.Sprintf("f%04d", n), Quest: int64(n),
		Violation: rule.Violation{Rule: rule.OpenWithParticipants, Cause: rule.StatusLost, Severity: rule.Warning},
		Where:     drift.Where{Origin: drift.FromStream},
		Due:       change.MillisOf(time.Now()),
	}
}

// opens makes findings and has the repairer hear of them at once.
func (w *world) opens(r *Repairer, findings ...drift.Finding) {
	var news []drift.Transition
	w.set(func() {
		for _, f := range findings {
			w.open[f.ID] = f
			news = append(news, drift.Transition{What: drift.Opened, Finding: f, At: f.Due})
		}
	})
	r.Hear(false, news)
}

func (w *world) resolves(r *Repairer, id string) {
	var f drift.Finding
	w.set(func() {
		f = w.open[id]
		delete(w.open, id)
	})
	r.Hear(false, []drift.Transition{{What: drift.Resolved, Finding: f}})
}

func (w *world) done() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	done := slices.Clone(w.carried)
	slices.Sort(done)
	return done
}

// words are the events told, each with its reason.
func (w *world) words() (words []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.told {
		word := e.What
		switch d := e.Data.(type) {
		case event.NotRepaired:
			word += " " + d.Reason + " " + d.Finding
		case event.Halt:
			word += " " + d.Reason
		}
		words = append(words, word)
	}
	return words
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// in runs a test with a running repairer, in a bubble of its own time.
func in(t *testing.T, w *world, change func(*Config), test func(r *Repairer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := Config{
			Namespace: "questwatch", Instance: "test", Modes: remedy.NewModes(remedy.ModeAuto, false),
			PerMinute: 1000, PerRule: 1000, Breaker: Limits{Opened: 50},
		}
		if change != nil {
			change(&c)
		}
		r := New(c, w, w, w, w, w, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		test(r)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
}

// after lets time pass, of which there is plenty in a bubble.
func after(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}
