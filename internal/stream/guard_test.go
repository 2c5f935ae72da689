package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// well is a view of a flow that has no trouble.
func well() view {
	return view{
		now: clockZero.Add(time.Hour), flow: Status{State: streaming},
		usage: Usage{Exists: true, Kept: 1000, Safe: -1, Limit: -1, Status: "reserved"}, usageKnown: true,
		store: Store{
			First: 1, Last: 1000, Bytes: 500, MaxBytes: 1000, MaxAge: time.Hour, Read: 1000, Reading: true, CaughtUp: true,
			Disk: true, Free: 1 << 40,
		}, storeKnown: true,
	}
}

// verdicts are the reasons that a view raises, and those that it neither raises nor
// clears.
func verdicts(v *view) (raised, open []string) {
	c := GuardConfig{}.withDefaults()
	for _, k := range c.checks(v) {
		switch {
		case k.raise && k.clear:
			raised = append(raised, k.alarm.Reason+" both")
		case k.raise:
			raised = append(raised, k.alarm.Reason)
		case !k.clear:
			open = append(open, k.alarm.Reason)
		}
	}
	return raised, open
}

func TestChecks(t *testing.T) {
	gone, none := errors.New("gone"), []string(nil)
	blind := []string{natsFull, natsSlow, heartbeat, lagging, malformed}
	for name, c := range map[string]struct {
		spoil        func(*view)
		raised, open []string
	}{
		"well":          {func(*view) {}, none, none},
		"wal kept":      {func(v *view) { v.usage.Kept = 1 << 30 }, []string{walKept}, none},
		"wal nearly":    {func(v *view) { v.usage.Kept = 1<<30 - 1 }, none, []string{walKept}},
		"wal unknown":   {func(v *view) { v.usage.Kept, v.usageKnown = 1<<30, false }, none, []string{walKept, walSafe}},
		"safe":          {func(v *view) { v.usage.Limit, v.usage.Safe = 1000, 301 }, none, none},
		"safe nearly":   {func(v *view) { v.usage.Limit, v.usage.Safe = 1000, 270 }, none, []string{walSafe}},
		"unsafe":        {func(v *view) { v.usage.Limit, v.usage.Safe = 1000, 249 }, []string{walSafe}, none},
		"none is safe":  {func(v *view) { v.usage.Limit, v.usage.Safe = 1000, 0 }, []string{walSafe}, none},
		"unreserved":    {func(v *view) { v.usage.Status = "unreserved" }, []string{walSafe}, none},
		"disk":          {func(v *view) { v.store.Free = 1<<30 - 1 }, []string{disk}, none},
		"disk nearly":   {func(v *view) { v.store.Free = 1 << 30 }, none, []string{disk}},
		"no disk":       {func(v *view) { v.store.Disk, v.store.Free = false, 0 }, none, none},
		"unread bytes":  {func(v *view) { v.store.Bytes, v.store.Read = 1000, 200 }, []string{streamUnread}, none},
		"fewer bytes":   {func(v *view) { v.store.Bytes, v.store.Read = 1000, 250 }, none, []string{streamUnread}},
		"few bytes":     {func(v *view) { v.store.Bytes, v.store.Read = 1000, 400 }, none, none},
		"no limits":     {func(v *view) { v.store.MaxBytes, v.store.MaxAge, v.store.Read = -1, 0, 1 }, none, none},
		"unread age":    {func(v *view) { v.store.Read, v.store.Oldest = 999, v.now.Add(-48*time.Minute) }, []string{streamUnread}, none},
		"younger":       {func(v *view) { v.store.Read, v.store.Oldest = 999, v.now.Add(-41*time.Minute) }, none, none},
		"saved":         {func(v *view) { v.store.Checkpoint, v.store.Taken = 400, v.now.Add(-30*time.Minute) }, none, none},
		"unsaved bytes": {func(v *view) { v.store.Bytes, v.store.Checkpoint = 1000, 200 }, []string{checkpointOld}, none},
		"fewer unsaved": {func(v *view) { v.store.Bytes, v.store.Checkpoint = 1000, 250 }, none, []string{checkpointOld}},
		"unsaved age":   {func(v *view) { v.store.Checkpoint, v.store.Taken = 999, v.now.Add(-48*time.Minute) }, []string{checkpointOld}, none},
		"unsaved gone":  {func(v *view) { v.store.First, v.store.Checkpoint = 100, 98 }, []string{checkpointOld}, none},
		"all is saved":  {func(v *view) { v.store.Checkpoint, v.store.Taken = 1000, v.now.Add(-59*time.Minute) }, none, none},
		"discarded":     {func(v *view) { v.store.First, v.store.Read = 100, 98 }, []string{streamUnread}, none},
		"nobody reads":  {func(v *view) { v.store.Bytes, v.store.Read, v.store.Reading = 1000, 1, false }, none, none},
		"away":          {func(v *view) { v.takes, v.storeKnown, v.flow.State = ErrAway, false, stalled }, []string{natsAway}, append([]string{disk, streamUnread, checkpointOld, interruption}, blind...)},
		"broken":        {func(v *view) { v.takes = gone }, []string{natsAway}, none},
		"full":          {func(v *view) { v.takes = fmt.Errorf("%w: x", ErrFull) }, []string{natsFull}, none},
		"refused":       {func(v *view) { v.flow.State, v.flow.Cause = stalled, ErrFull }, []string{natsFull}, []string{natsSlow, interruption, heartbeat, lagging, malformed}},
		"room again":    {func(v *view) { v.flow.Cause = ErrFull }, none, none},
		"slow":          {func(v *view) { v.flow.Waiting = ackLimit }, []string{natsSlow}, []string{natsFull, heartbeat}},
		"slower":        {func(v *view) { v.flow.Waiting = ackLimit / 2 }, none, []string{natsFull, natsSlow, heartbeat}},
		"mute":          {func(v *view) { v.mute, v.storeKnown = true, false }, []string{natsSlow}, []string{disk, streamUnread, checkpointOld, malformed}},
		"interrupted":   {func(v *view) { v.flow.State, v.flow.Cause = retrying, gone }, []string{interruption}, blind},
		"by JetStream":  {func(v *view) { v.flow.State, v.flow.Cause = retrying, ErrAway }, none, append([]string{interruption}, blind...)},
		"silent":        {func(v *view) { v.flow.Silent = 15 * time.Second }, []string{heartbeat}, []string{malformed}},
		"silent, slow":  {func(v *view) { v.flow.Silent, v.flow.Waiting = time.Minute, 2*time.Second }, none, []string{natsFull, natsSlow, heartbeat, malformed}},
		"lagging":       {func(v *view) { v.flow.Behind = time.Minute }, []string{lagging}, none},
		"behind a bit":  {func(v *view) { v.flow.Behind = 31 * time.Second }, none, []string{lagging}},
		"standby":       {func(v *view) { v.flow.State, v.usage.Kept, v.takes = standby, 1<<40, ErrFull }, none, none},
		"no slot":       {func(v *view) { v.usageKnown, v.flow.State = false, baselining }, none, append([]string{walKept, walSafe}, blind...)},
		"empty":         {func(v *view) { v.store.First, v.store.Last, v.store.Read, v.store.Bytes = 1, 0, 0, 0 }, none, none},
		"read all gone": {func(v *view) { v.store.First, v.store.Last, v.store.Read = 1001, 1000, 1000 }, none, none},
	} {
		v := well()
		c.spoil(&v)
		raised, open := verdicts(&v)
		slices.Sort(raised)
		slices.Sort(open)
		slices.Sort(c.open)
		if !slices.Equal(raised, c.raised) || !slices.Equal(open, c.open) {
			t.Errorf("%s: raises %q and leaves open %q, want %q and %q", name, raised, open, c.raised, c.open)
		}
	}
}

// Every reason is explained, and says what can be done.
func TestMeanings(t *testing.T) {
	v, c := well(), GuardConfig{}.withDefaults()
	for _, k := range c.checks(&v) {
		if m := meanings[k.alarm.Reason]; m.text == "" || m.advice == "" {
			t.Errorf("%s means %+v", k.alarm.Reason, m)
		}
	}
	for want, holder := range map[string]event.Holder{
		"process 7, 1h0m0s old": {PID: 7, Seconds: 3600}, "process 7, of unknown age": {PID: 7, Seconds: -1},
		"prepared transaction in database d, 2s old": {Seconds: 2, Database: "d"},
	} {
		if got := Explain(&event.Alarm{Reason: walKept, Holder: &holder}); !strings.HasSuffix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An alarm begins when it has lasted, and is over when that has lasted: once each,
// whatever happens in between, and the two have the same beginning.
func TestAlarmHysteresis(t *testing.T) {
	var s alarms
	at, told := clockZero, []string{}
	look := func(seconds int, raise, clear bool) {
		at = at.Add(time.Duration(seconds) * time.Second)
		c := check{alarm: event.Alarm{Reason: disk, Bytes: int64(seconds)}, raise: raise, clear: clear, after: 3 * time.Second}
		if a, changed := s.take(&c, at); changed {
			told = append(told, fmt.Sprintf("%d-%d", a.Since/1000, a.Until/1000))
		}
		if up := len(s.raised()) > 0; up != (len(told)%2 == 1) {
			t.Fatalf("at %s told %q, raised %v", at, told, s.raised())
		}
	}
	look(1, true, false)  // 1: begins to hold
	look(2, true, false)  // 3
	look(1, false, false) // 4: and stops
	look(1, true, false)  // 5: begins again
	look(2, true, false)
	look(1, true, false) // 8: has lasted
	look(9, true, false)
	look(1, false, false)
	look(1, false, true) // 19: begins to be over
	look(3, false, true)
	look(1, false, false) // 23: and does not
	look(1, false, true)  // 24
	look(3, false, true)
	look(1, false, true) // 28: over
	look(9, false, true)
	look(1, true, false) // 38
	look(9, true, false)
	want := []string{"5-0", "5-24", "38-0"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// around is where a guard looks in these tests.
type around struct {
	mu     sync.Mutex
	usage  Usage
	away   bool
	open   []event.Alarm // told by another
	stored []event.Alarm
	ids    []string
}

func (a *around) Postgres(context.Context, bool) (Usage, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.usage, nil
}

func (a *around) Store(context.Context) (Store, error) { return well().store, nil }

func (a *around) Open(_ context.Context, reason string) (event.Alarm, bool, error) {
	for i := range a.open {
		if a.open[i].Reason == reason {
			return a.open[i], true, nil
		}
	}
	return event.Alarm{}, false, nil
}

func (a *around) Tell(_ context.Context, subject, id string, data []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away {
		return ErrAway
	}
	var e struct{ Data event.Alarm }
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	if !strings.HasPrefix(subject, "ns.events.stream.") {
		return errors.New(subject)
	}
	a.stored, a.ids = append(a.stored, e.Data), append(a.ids, id)
	return nil
}

// told is what was stored so far.
func (a *around) told() []event.Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.stored)
}

func (a *around) set(away bool, kept int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away, a.usage = away, Usage{Exists: true, Kept: kept, Safe: -1, Limit: -1}
}

// What happens while JetStream is away is told after it, whole, in order and with
// its own times.
func TestAlarmsOfAnOutageAreToldAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var where around
		flow := New(Config{Takes: func(context.Context) error {
			where.mu.Lock()
			defer where.mu.Unlock()
			if where.away {
				return ErrAway
			}
			return nil
		}}, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
		flow.enter(streaming, nil)
		g := NewGuard(GuardConfig{Namespace: "ns"}, flow, &where, &where, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		where.set(true, 0)
		time.Sleep(time.Minute)
		where.set(true, 2<<30)
		time.Sleep(time.Minute)
		where.set(true, 0)
		time.Sleep(time.Minute)
		if len(where.told()) != 0 || len(g.Alarms()) != 1 {
			t.Errorf("stored %+v, raised %+v", where.told(), g.Alarms())
		}
		where.set(false, 0)
		time.Sleep(time.Minute)
		var told []string
		for _, a := range where.told() {
			word := a.Reason
			if a.Until != 0 {
				word += " over"
			}
			told = append(told, word)
		}
		want := []string{natsAway, walKept, walKept + " over", natsAway + " over"}
		if !slices.Equal(told, want) {
			t.Fatalf("told %q, want %q", told, want)
		}
		for i, minute := range []time.Duration{0, 1, 1, 0} {
			if since := where.told()[i].Since.Time().Sub(begin); since < minute*time.Minute || since > minute*time.Minute+3*time.Second {
				t.Errorf("%s began after %s", told[i], since)
			}
		}
		if up := g.Alarms(); len(up) != 0 {
			t.Errorf("still raised: %+v", up)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// The last words are stored before the program ends, or given up after a while.
func TestUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var where around
		flow := New(Config{}, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
		g := NewGuard(GuardConfig{Namespace: "ns"}, flow, &where, &where, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		for _, away := range []bool{false, true} {
			where.set(away, 0)
			before := time.Now()
			bad := &change.Malformed{LSN: 7, What: "x", Err: fmt.Errorf("%w: secret", change.ErrMalformed)}
			if err := g.Undecodable(ctx, bad); !errors.Is(err, change.ErrMalformed) {
				t.Errorf("away %t: %v", away, err)
			}
			if took := time.Since(before); took > lastWords+time.Second || away != (took >= lastWords) {
				t.Errorf("away %t: took %s", away, took)
			}
		}
		if len(where.told()) != 1 || where.told()[0].LSN != 7 || where.told()[0].What != "x" {
			t.Errorf("stored %+v", where.told())
		}
		cancel()
		<-done
	})
}

// Who streams next tells the end of what was told before; a standby does not.
func TestOpenAlarmsAreAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		where := around{open: []event.Alarm{{Reason: lagging, Since: 5}, {Reason: malformed, Since: 6}}}
		flow := New(Config{}, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
		g := NewGuard(GuardConfig{Namespace: "ns"}, flow, &where, &where, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		flow.enter(standby, ErrBusy)
		time.Sleep(time.Minute)
		if len(where.told()) != 0 {
			t.Errorf("a standby told %+v", where.told())
		}
		flow.enter(streaming, nil)
		time.Sleep(time.Minute)
		if len(where.told()) != 2 {
			t.Fatalf("told %+v", where.told())
		}
		for i, want := range where.open {
			if a := where.told()[i]; a.Reason != want.Reason || a.Since != want.Since || a.Until == 0 {
				t.Errorf("told %+v, want the end of %+v", a, want)
			}
		}
		cancel()
		<-done
	})
}
