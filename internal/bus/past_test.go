package bus_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

// steps reads a quest's steps as their sequences.
func steps(t testing.TB, c *bus.Conn, quest int64, from, to bus.Seq) []bus.Seq {
	t.Helper()
	var got []bus.Seq
	err := c.ReadSteps(t.Context(), quest, from, to, func(m bus.Message) error {
		if m.Subject != c.StepSubject(quest) {
			t.Errorf("message %d is on %s", m.Seq, m.Subject)
		}
		got = append(got, m.Seq)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// publishPast writes n steps, those of quest 7 at every tenth sequence, and a
// control record at every hundredth instead.
func publishPast(t testing.TB, c *bus.Conn, n int) {
	t.Helper()
	w := newWriter(t, c, 0)
	for i := 1; i <= n; i++ {
		subject := c.StepSubject(int64(1000 + i%97))
		switch {
		case i%100 == 0:
			subject = c.ControlSubject()
		case i%10 == 0:
			subject = c.StepSubject(7)
		}
		if _, err := w.Publish(t.Context(), subject, payload(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReadStepsOfOneQuest(t *testing.T) {
	s, c := open(t)
	publishPast(t, c, 1050)
	if got := steps(t, c, 7, 0, 1050); len(got) != 95 || got[0] != 10 || got[94] != 1050 {
		t.Errorf("%d steps: %v", len(got), got)
	}
	if got, want := steps(t, c, 7, 11, 50), []bus.Seq{20, 30, 40, 50}; !slices.Equal(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
	if got, want := steps(t, c, 7, 0, 29), []bus.Seq{10, 20}; !slices.Equal(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
	if got := steps(t, c, 8, 0, 1050); len(got) != 0 {
		t.Errorf("steps of a quest without any: %v", got)
	}
	js := raw(t, s)
	if _, err := js.Publish(t.Context(), c.StepSubject(7), []byte("foreign")); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, c, 7, 1040, bus.New); !slices.Equal(got, []bus.Seq{1040, 1050}) {
		t.Errorf("beside a foreign message: %v", got)
	}
	stream, err := js.Stream(t.Context(), c.CDCStream())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(1035)); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, c, 7, 0, 1050); !slices.Equal(got, []bus.Seq{1040, 1050}) {
		t.Errorf("after the others were discarded: %v", got)
	}
}

// More steps than are asked for one by one, and more messages than are read to choose among
// them: the same is read in every way.
func TestReadManyOfOneQuest(t *testing.T) {
	_, c := open(t)
	const n = 6000
	publishPast(t, c, n)
	var own, all []bus.Seq // of quest 7, and with the control records
	for seq := bus.Seq(10); seq <= n; seq += 10 {
		if all = append(all, seq); seq%100 != 0 {
			own = append(own, seq)
		}
	}
	if got := steps(t, c, 7, 0, n); !slices.Equal(got, own) {
		t.Errorf("%d steps, want %d", len(got), len(own))
	}
	if err := c.ReadQuest(t.Context(), 7, n+1, n, func(m bus.Message) error { return fmt.Errorf("message %d", m.Seq) }); err != nil {
		t.Errorf("of no message: %v", err)
	}
	for _, to := range []bus.Seq{n, bus.New} {
		var got []bus.Seq
		err := c.ReadQuest(t.Context(), 7, 0, to, func(m bus.Message) error {
			got = append(got, m.Seq)
			return nil
		})
		if err != nil || !slices.Equal(got, all) {
			t.Errorf("up to %d: %d messages, want %d; %v", to, len(got), len(all), err)
		}
	}
}

func TestReadStepsEndsWithFunction(t *testing.T) {
	_, c := open(t)
	publishPast(t, c, 50)
	enough := errors.New("enough")
	if err := c.ReadSteps(t.Context(), 7, 0, 50, func(bus.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

// What is missing at the end is not passed over, though all that is there was read.
func TestReadWhatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, embedded.Config{Dir: dir})
	c := connect(t, bus.Config{Options: s.InProcess()})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	publishPast(t, c, 250)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	block := filepath.Join(dir, "jetstream", "$G", "streams", c.CDCStream(), "msgs", "1.blk")
	if info, err := os.Stat(block); err != nil || os.Truncate(block, info.Size()/2) != nil {
		t.Fatal(err)
	}
	s = startServer(t, embedded.Config{Dir: dir})
	c = connect(t, bus.Config{Options: s.InProcess()})
	var last bus.Seq
	count := func(m bus.Message) error { last = m.Seq; return nil }
	for name, read := range map[string]func(to bus.Seq) error{
		"all":     func(to bus.Seq) error { return c.ReadCDC(t.Context(), 1, to, count) },
		"tape":    func(to bus.Seq) error { return c.ReadPast(t.Context(), &bus.Past{From: 1, To: to}, count) },
		"a quest": func(to bus.Seq) error { return c.ReadQuest(t.Context(), 7, 1, to, count) },
		"steps":   func(to bus.Seq) error { return c.ReadSteps(t.Context(), 7, 1, to, count) },
	} {
		if err := read(250); err == nil || last < 100 || last > 150 {
			t.Errorf("%s: %v after message %d", name, err, last)
		}
		if err := read(90); err != nil || last != 90 {
			t.Errorf("%s up to what is there: %v after message %d", name, err, last)
		}
	}
}

// Whoever may use the machine may ask: the reader whom the embedded server lets in.
func TestReadersMayReadThePast(t *testing.T) {
	s, c := open(t)
	publishPast(t, c, 250)
	if _, err := c.PublishEvent(t.Context(), c.EventSubject("drift.opened.unassigned.7"), "abc.opened", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Findings().Put(t.Context(), "abc", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	reader := connect(t, bus.Config{URL: s.ClientURL()})
	if got := steps(t, reader, 7, 0, 30); len(got) != 3 {
		t.Errorf("steps %v", got)
	}
	if m, err := reader.NextControl(t.Context(), 101); err != nil || m.Seq != 200 {
		t.Errorf("control record %d, %v", m.Seq, err)
	}
	if ids := eventIDs(t, reader, "drift.>"); !slices.Equal(ids, []string{"1 drift.opened.unassigned.7 abc.opened"}) {
		t.Errorf("events %q", ids)
	}
	if _, err := reader.Findings().Get(t.Context(), "abc"); err != nil {
		t.Error(err)
	}
	if _, err := reader.EventMessage(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

func TestNextControl(t *testing.T) {
	s, c := open(t)
	publishPast(t, c, 250)
	if _, err := raw(t, s).Publish(t.Context(), c.ControlSubject(), []byte("foreign")); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[bus.Seq]bus.Seq{0: 100, 100: 100, 101: 200, 201: 0} {
		m, err := c.NextControl(t.Context(), from)
		if want == 0 {
			if !errors.Is(err, bus.ErrNoMessage) {
				t.Errorf("from %d: message %d, error %v", from, m.Seq, err)
			}
		} else if err != nil || m.Seq != want || string(m.Data) != string(payload(int(want))) {
			t.Errorf("from %d: message %d %q, error %v", from, m.Seq, m.Data, err)
		}
	}
}

// eventIDs reads events as sequence, subject below the namespace's, and id.
func eventIDs(t testing.TB, c *bus.Conn, filters ...string) (ids []string) {
	t.Helper()
	for i, f := range filters {
		filters[i] = c.EventSubject(f)
	}
	err := c.ReadEventIDs(t.Context(), filters, 0, bus.New, func(m bus.Message) error {
		if len(m.Data) > 0 {
			t.Errorf("event %d has data", m.Seq)
		}
		ids = append(ids, fmt.Sprint(m.Seq, " ", m.Subject[len(c.EventSubject("")):], " ", m.ID))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestReadEventIDs(t *testing.T) {
	s, c := open(t)
	if ids := eventIDs(t, c, "drift.>"); len(ids) > 0 {
		t.Errorf("events of an empty stream: %q", ids)
	}
	var events []bus.EventMsg
	for i, rest := range []string{"drift.opened.unassigned.7", "stream.gap.x._", "drift.resolved.unassigned.7", "drift.opened.unassigned.8"} {
		events = append(events, bus.EventMsg{Subject: c.EventSubject(rest), ID: fmt.Sprint("id", i), Data: []byte("{}")})
	}
	if err := c.PublishEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if _, err := raw(t, s).Publish(t.Context(), c.EventSubject("drift.opened.unassigned.9"), []byte("foreign")); err != nil {
		t.Fatal(err)
	}
	want := []string{"1 drift.opened.unassigned.7 id0", "3 drift.resolved.unassigned.7 id2", "4 drift.opened.unassigned.8 id3"}
	if ids := eventIDs(t, c, "drift.>"); !slices.Equal(ids, want) {
		t.Errorf("events %q, want %q", ids, want)
	}
	var some []bus.Seq
	err := c.ReadEventIDs(t.Context(), []string{c.EventSubject("drift.>")}, 2, 3, func(m bus.Message) error {
		some = append(some, m.Seq)
		return nil
	})
	if err != nil || !slices.Equal(some, []bus.Seq{3}) {
		t.Errorf("events 2 to 3: %v, %v", some, err)
	}
	if ids := eventIDs(t, c, "drift.opened.*.7", "drift.resolved.*.7"); !slices.Equal(ids, want[:2]) {
		t.Errorf("events of a quest %q, want %q", ids, want[:2])
	}
}

func TestReadWhereNobodyWrote(t *testing.T) {
	s, _ := open(t)
	c := connect(t, bus.Config{URL: s.ClientURL(), Options: s.Owner(), Namespace: "other"})
	err := c.ReadEventIDs(t.Context(), []string{c.EventSubject("drift.>")}, 0, bus.New, func(bus.Message) error { return nil })
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("error %v", err)
	}
	advice(t, err)
}

// BenchmarkReadSteps reads the steps of one quest, 25 or very many, among those of
// 40,000 quests, 700 bytes each, from files and over TCP. BenchmarkReadEventIDs looks
// through a million events, and through the newest of them.
func BenchmarkReadSteps(b *testing.B) {
	s, c := open(b)
	w := newWriter(b, c, 0)
	data := make([]byte, 700)
	for i := range 1_000_000 {
		if _, err := w.Publish(b.Context(), c.StepSubject(int64(1+i%40_000)), data); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	for range 100_000 {
		if _, err := w.Publish(b.Context(), c.StepSubject(41_000), data); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	reader := connect(b, bus.Config{URL: s.ClientURL()})
	b.Run("25-of-1100000", func(b *testing.B) {
		var worst time.Duration
		quest := int64(1)
		for b.Loop() {
			start := time.Now()
			if got := steps(b, reader, quest, 0, bus.New); len(got) != 25 {
				b.Fatalf("%d steps", len(got))
			}
			worst = max(worst, time.Since(start))
			quest = quest*7%40_000 + 1
		}
		b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
	})
	b.Run("100000-of-1100000", func(b *testing.B) {
		for b.Loop() {
			if got := steps(b, reader, 41_000, 0, bus.New); len(got) != 100_000 {
				b.Fatalf("%d steps", len(got))
			}
		}
	})
}

func BenchmarkReadEventIDs(b *testing.B) {
	s, c := open(b)
	data := make([]byte, 1100)
	var events []bus.EventMsg
	for i := range 1_000_000 {
		events = append(events, bus.EventMsg{
			Subject: c.EventSubject(fmt.Sprintf("drift.%s.missing_participant.%d", []string{"opened", "resolved"}[i%2], i/2)),
			ID:      fmt.Sprintf("%020x.opened", i), Data: data,
		})
	}
	if err := c.PublishEvents(b.Context(), events); err != nil {
		b.Fatal(err)
	}
	reader := connect(b, bus.Config{URL: s.ClientURL()})
	for _, want := range []int{len(events), 20_000} {
		b.Run(fmt.Sprint(want), func(b *testing.B) {
			for b.Loop() {
				n := 0
				err := reader.ReadEventIDs(b.Context(), []string{c.EventSubject("drift.>")}, bus.Seq(len(events)-want+1), bus.New,
					func(bus.Message) error { n++; return nil })
				if err != nil || n != want {
					b.Fatalf("%d events, %v", n, err)
				}
			}
		})
	}
}
