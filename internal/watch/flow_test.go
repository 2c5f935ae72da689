package watch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

var errDown = errors.New("the other side is down")

// memory is the three stores of a flow. Faults are said by number: the nth call
// fails, or ends the process' context as a crash would.
type memory struct {
	mu      sync.Mutex
	records []change.Record
	offset  int // the first message that is still there
	late    int // of the messages, those that come when reading has begun
	events  []watch.Outgoing
	kept    map[string][]byte

	failPublish int // the call to Publish that fails; half of its events are stored
	crashAtPut  int // the call to Put that does not return in time
	asleepAt    int // the message before which the process stands still for a while
	asleep      int // events until then
	uncaused    int // of the newest events, those whose cause is lost
	crash       context.CancelFunc
	published   int
	puts        int
	asked       []string
	patience    time.Duration // how long a run goes on
}

func (m *memory) Bounds(context.Context) (first, last change.Seq, err error) {
	return change.Seq(m.offset + 1), change.Seq(len(m.records) - m.late), nil
}

func (m *memory) Consume(ctx context.Context, from change.Seq, fn func(change.Record) error) error {
	for i, r := range m.records[from-1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if m.asleepAt > 0 && i+1 == m.asleepAt {
			m.asleep = len(m.events)
			time.Sleep(2 * time.Minute)
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (m *memory) Publish(ctx context.Context, events []watch.Outgoing) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.published++
	fails := m.published == m.failPublish
	for i, e := range events {
		if fails && i >= len(events)/2 {
			return errDown
		}
		if !slices.ContainsFunc(m.events, func(o watch.Outgoing) bool { return o.ID == e.ID }) {
			m.events = append(m.events, e)
		}
	}
	return ctx.Err()
}

func (m *memory) Published(context.Context) (p watch.Published, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.Lost = map[string]bool{}
	for i, e := range m.events {
		if i < len(m.events)-m.uncaused {
			p.Some = true
			p.Last, err = event.PositionOf(e.Data)
		} else {
			p.Lost[e.ID] = true
		}
	}
	return p, err
}

func (m *memory) Put(ctx context.Context, id string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.puts++; m.puts == m.crashAtPut {
		m.crash()
		return ctx.Err()
	}
	m.kept[id] = data
	return nil
}

func (m *memory) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, id)
	return nil
}

func (m *memory) Keys(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.kept)), nil
}

func (m *memory) Usernames(_ context.Context, ids []string) (map[string]string, error) {
	m.asked = append(m.asked, ids...)
	return map[string]string{"ann": "Ann Example"}, nil
}

// run runs a flow over the memory until nothing is left to do.
func (m *memory) run(t *testing.T, logs *bytes.Buffer) (flow *watch.Flow, err error) {
	t.Helper()
	return m.runFlow(t, watch.New(quietRules(), m, m, m, m, slog.New(slog.NewTextHandler(logs, nil))))
}

func (m *memory) runFlow(t *testing.T, flow *watch.Flow) (_ *watch.Flow, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m.crash = cancel
		ended := make(chan error, 1)
		go func() { ended <- flow.Run(ctx, watch.Writer{Epoch: 2, Instance: "us"}) }()
		time.Sleep(m.patience) // of the fake clock
		synctest.Wait()
		for flow.Status().Err != "" {
			// The flow pauses before it tries again; the fake clock moves on when all
			// else waits.
			select {
			case err = <-ended:
				return
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			synctest.Wait()
		}
		cancel()
		err = <-ended
	})
	return flow, err
}

// faulty is a stream with two findings opened at one mark, one of which is
// resolved later, and one that stays.
func faulty() *story {
	s := newStory()
	s.commit(s.assign(1, "", "open"))
	s.baseline()
	s.commit(s.setPair(1, change.Application, "ann", "approved", true), s.setPair(1, change.Application, "bob", "approved", true))
	s.clock += 5000
	s.mark(0)
	s.commit(s.setPair(1, change.Participant, "ann", "joined", true), s.assign(1, "ann", "in-progress"))
	s.clock += 5000
	s.mark(0)
	return s
}

func newMemory(s *story) *memory { return &memory{records: s.records, kept: map[string][]byte{}} }

func (m *memory) subjects() (all []string) {
	for _, e := range m.events {
		all = append(all, strings.TrimPrefix(e.Subject, "test.events."))
	}
	return all
}

var faultySubjects = []string{
	"stream.epoch.start._", "drift.opened.missing_participant.1", "approval.failed.silent.1",
	"drift.opened.missing_participant.1", "approval.failed.silent.1",
	"drift.baseline.summary._", "drift.resolved.missing_participant.1",
}

// check says what must be so whatever happened on the way.
func (m *memory) check(t *testing.T, flow *watch.Flow) {
	t.Helper()
	if diff := cmp.Diff(faultySubjects, m.subjects()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	open := flow.Checker().Open()
	if len(open) != 1 || open[0].User != "bob" || len(m.kept) != 1 || m.kept[open[0].ID] == nil {
		t.Errorf("open %+v, kept %q", open, slices.Collect(maps.Keys(m.kept)))
	}
	status := flow.Status()
	if !status.CaughtUp || !status.Known || status.Open[rule.MissingParticipant] != 1 || status.Read != change.Seq(len(m.records)) {
		t.Errorf("status %+v", status)
	}
}

func TestFlow(t *testing.T) {
	m, logs := newMemory(faulty()), &bytes.Buffer{}
	flow, err := m.run(t, logs)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	m.check(t, flow)
	if !strings.Contains(logs.String(), "Ann Example (ann)") || strings.Contains(string(bytes.Join(m.data(), nil)), "Example") {
		t.Error("a name belongs into the log and into no event")
	}
	if !slices.Equal(m.asked, []string{"ann", "bob"}) {
		t.Errorf("asked for the names of %q", m.asked)
	}
	for _, data := range m.kept {
		var f event.Finding
		if err := json.Unmarshal(data, &f); err != nil || f.QuestID != 1 || *f.UserID != "bob" {
			t.Errorf("kept %s, %v", data, err)
		}
	}
	before := len(m.events)
	if flow, _ = m.run(t, logs); len(m.events) != before || m.published != 3 {
		t.Errorf("the second run published: %d calls, %d events", m.published, len(m.events))
	}
	m.check(t, flow)
}

func (m *memory) data() (all [][]byte) {
	for _, e := range m.events {
		all = append(all, e.Data)
	}
	return all
}

func TestFlowCrashesBeforeKeeping(t *testing.T) {
	for put := 1; put <= 2; put++ {
		m := newMemory(faulty())
		m.crashAtPut = put
		if _, err := m.run(t, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
			t.Fatalf("Run returned %v", err)
		}
		if len(m.kept) >= 2 {
			t.Fatalf("the crash came too late: %d kept", len(m.kept))
		}
		m.kept["of an older stream"] = []byte("{}")
		flow, _ := m.run(t, &bytes.Buffer{})
		m.check(t, flow)
	}
}

func TestFlowPublishesAgain(t *testing.T) {
	for call := 1; call <= 3; call++ {
		m, logs := newMemory(faulty()), &bytes.Buffer{}
		m.failPublish = call
		flow, _ := m.run(t, logs)
		m.check(t, flow)
		if !strings.Contains(logs.String(), errDown.Error()) {
			t.Errorf("call %d did not fail", call)
		}
	}
}

func TestFlowStopsAtWhatItCannotRead(t *testing.T) {
	m := newMemory(faulty())
	m.records[5].Data = []byte(`{"quest_id":`)
	flow, err := m.run(t, &bytes.Buffer{})
	if !errors.Is(err, change.ErrMalformed) || !strings.Contains(err.Error(), "message 6") {
		t.Errorf("Run returned %v", err)
	}
	if flow.Status().CaughtUp {
		t.Error("caught up with a message that was not read")
	}
}

// TestFlowOnAnEmptyStream: what an older stream left in the bucket is not open.
func TestFlowOnAnEmptyStream(t *testing.T) {
	m := &memory{kept: map[string][]byte{"old": nil}}
	flow, _ := m.run(t, &bytes.Buffer{})
	if !flow.Status().CaughtUp || len(m.kept) != 0 {
		t.Errorf("status %+v, kept %v", flow.Status(), m.kept)
	}
}

// TestFlowOnAStreamThatLostItsEnd: what was found in the part that was lost, and
// comes again, is not published twice; what was not found yet is published, also
// at a position before those.
func TestFlowOnAStreamThatLostItsEnd(t *testing.T) {
	for uncaused := 1; uncaused <= 5; uncaused++ {
		m := newMemory(faulty())
		m.run(t, &bytes.Buffer{})
		calls := m.published
		m.uncaused, m.kept = uncaused, map[string][]byte{}
		flow, _ := m.run(t, &bytes.Buffer{})
		m.check(t, flow)
		if m.published != calls {
			t.Errorf("%d events were lost: published again", uncaused)
		}
		// The stream has another end than it had: one event is new.
		late := m.events[5]
		m.events = slices.Delete(m.events, 5, 6)
		if m.run(t, &bytes.Buffer{}); uncaused > 1 && (m.published != calls+1 || m.events[6].ID != late.ID) {
			t.Errorf("%d events were lost: the one that is new was not published", uncaused)
		}
	}
}

func TestSuccessorsRecordsAreNotOursToPublish(t *testing.T) {
	s := faulty()
	s.epoch++
	s.control(change.Control{Kind: change.Epoch, Time: s.clock, Reason: "resume", Instance: "another"})
	s.commit(s.setPair(1, change.Application, "eve", "approved", true))
	s.clock += 5000
	s.mark(0)
	m := newMemory(s)
	flow, err := m.run(t, &bytes.Buffer{})
	if !errors.Is(err, watch.ErrDeposed) {
		t.Errorf("Run returned %v", err)
	}
	if diff := cmp.Diff(faultySubjects, m.subjects()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if n := len(flow.Checker().Open()); n != 1 {
		t.Errorf("%d open", n)
	}
}
