package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/watch"
)

// memory is a stream of changes in memory.
type memory struct {
	records []change.Record
	first   change.Seq
	created change.Millis
}

func (m *memory) add(subject string, data []byte) {
	m.records = append(m.records, change.Record{Seq: change.Seq(len(m.records) + 1), Subject: subject, Data: data})
}

// step adds a transaction's only message, at a time.
func (m *memory) step(at change.Millis) {
	n := len(m.records) + 1
	tx := change.Transaction{ID: uint64(n), CommitLSN: change.LSN(100 * n), EndLSN: change.LSN(100*n + 10), Time: at, Message: 1, Messages: 1}
	m.add("cdc.1.1", change.AppendStep(nil, &change.Step{QuestID: 1, Transaction: tx, Source: change.Source{DB: "d", Epoch: 1}}))
}

// placed adds one of an epoch, at a position of the log.
func (m *memory) placed(epoch uint64, lsn change.LSN) {
	tx := change.Transaction{ID: uint64(lsn), CommitLSN: lsn, EndLSN: lsn + 1, Time: 1_782_864_000_000, Message: 1, Messages: 1}
	m.add("cdc.1.1", change.AppendStep(nil, &change.Step{QuestID: 1, Transaction: tx, Source: change.Source{DB: "d", Epoch: epoch}}))
}

func (m *memory) Bounds(context.Context) (Bounds, error) {
	return Bounds{First: m.first, Last: change.Seq(len(m.records)), Oldest: m.records[m.first-1]}, nil
}

func (m *memory) Message(_ context.Context, seq change.Seq) (watch.Message, error) {
	if seq < m.first || seq > change.Seq(len(m.records)) {
		return watch.Message{}, watch.ErrNoMessage
	}
	return watch.Message{Record: m.records[seq-1]}, nil
}

func (m *memory) Range(_ context.Context, from, to change.Seq, fn func(change.Record) error) error {
	for _, r := range m.records {
		if r.Seq >= max(from, m.first) && r.Seq <= to {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) Quest(ctx context.Context, _ int64, from, to change.Seq, fn func(change.Record) error) error {
	return m.Range(ctx, from, to, fn)
}

func (m *memory) Extent(context.Context) (Extent, error) {
	return Extent{Stream: "S", Created: m.created, First: m.first, Last: change.Seq(len(m.records))}, nil
}

func (m *memory) Knows(context.Context, int64) (bool, error) { return true, nil }

func (m *memory) Read(ctx context.Context, s *Stretch, fn func(*Message) error) error {
	return m.Range(ctx, s.First, s.Last, func(r change.Record) error {
		return fn(&Message{Seq: r.Seq, Subject: r.Subject, Data: r.Data})
	})
}

// noting is a sink that keeps sequences, and fails at one of them.
type noting struct {
	seqs   []int
	failAt int
}

func (*noting) Begin(*Origin) error { return nil }

func (n *noting) Take(_ context.Context, i *Item) error {
	if n.failAt != 0 && len(n.seqs) == n.failAt {
		return context.Canceled
	}
	n.seqs = append(n.seqs, int(i.Seq))
	return nil
}

func (n *noting) End(context.Context, bool) (change.Seq, error) {
	if len(n.seqs) == 0 {
		return 0, nil
	}
	return change.Seq(n.seqs[len(n.seqs)-1]), nil
}

func played(t *rapid.T, tape Tape, past Past, from, to Point, failAt int) ([]int, *Played, error) {
	sink := &noting{failAt: failAt}
	p, err := NewPlayer(tape, past, change.PeerQuest()).Play(context.Background(), &Playing{Kind: KindCDC, From: from, To: to, Progress: func(int64, int64) {}}, sink)
	return sink.seqs, p, err
}

func timed(at change.Millis) Point { return Point{Time: at, text: fmt.Sprint(int64(at))} }

// A range of commit times has exactly what committed in it, though times are out of the
// order of the log by up to a minute, and an interrupt anywhere neither loses nor doubles.
// A moment has everything that had committed by then.
func TestRangesOfTimesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &memory{first: 1}
		base := change.Millis(1_782_864_000_000)
		var times []change.Millis
		for i := range rapid.IntRange(1, 60).Draw(t, "messages") {
			late := rapid.SampledFrom([]int{0, 0, 1, 900, 3000, 29_000}).Draw(t, "late")
			times = append(times, base+change.Millis(i*rapid.SampledFrom([]int{1, 700, 5000}).Draw(t, "pace")/7*7+late))
		}
		slices.SortStableFunc(times, func(a, b change.Millis) int { return int((a/30_000 - b/30_000)) })
		for _, at := range times {
			m.step(at)
		}
		one := rapid.SampledFrom(times)
		from, to := one.Draw(t, "from")+change.Millis(rapid.IntRange(-1, 1).Draw(t, "f")), one.Draw(t, "to")+change.Millis(rapid.IntRange(-1, 1).Draw(t, "t"))
		from, to = min(from, to), max(from, to)
		var want []int
		var before change.Seq
		for i, at := range times {
			if at >= from && at <= to {
				want = append(want, i+1)
			}
			if at <= to {
				before = change.Seq(i + 1)
			}
		}
		got, _, err := played(t, m, m, timed(from), timed(to), 0)
		if !slices.Equal(got, want) || err != nil && len(want) > 0 {
			t.Fatalf("%v from %d to %d: %v, %v, want %v", times, from, to, got, err, want)
		}
		bounds, _ := m.Bounds(context.Background())
		f := finder{past: m, bounds: bounds}
		if seq, err := f.moment(context.Background(), timed(to)); before != 0 && (err != nil || seq != before) {
			t.Fatalf("at %d of %v: %d, %v, want %d", to, times, seq, err, before)
		}
		if len(want) < 2 {
			return
		}
		stop := rapid.IntRange(1, len(want)-1).Draw(t, "stop")
		begun, p, err := played(t, m, m, timed(from), timed(to), stop)
		if err == nil {
			t.Fatal("it was not broken off")
		}
		again, err := ParsePoint(p.Again, base.Time().AddDate(1, 0, 0))
		until, err2 := ParsePoint(p.To, base.Time().AddDate(1, 0, 0))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		rest, _, err := played(t, m, m, again, until, 0)
		if err != nil || !slices.Equal(append(begun, rest...), want) {
			t.Fatalf("%v, then from %s to %s %v (%v), want %v", begun, p.Again, p.To, rest, err, want)
		}
	})
}

// A clock that is set back by far makes times come twice. Both are in the range, and to be
// found at a moment.
func TestTimesThatComeTwice(t *testing.T) {
	base := change.Millis(1_782_864_000_000)
	for _, set := range []struct{ at, back int }{{900, 300}, {900, 899}, {900, 64}, {200, 130}, {1500, 61}, {1500, 3600}, {1690, 800}} {
		m := &memory{first: 1}
		var times []change.Millis
		for i := range 1700 {
			at := base + change.Millis(1000*i)
			if i >= set.at {
				at -= change.Millis(1000 * set.back)
			}
			times = append(times, at)
			m.step(at)
		}
		for n := -100; n < 1700; n += 7 {
			from, to := base+change.Millis(1000*n), base+change.Millis(1000*(n+5))
			var want []int
			last := 0
			for i, at := range times {
				if at >= from && at <= to {
					want = append(want, i+1)
				}
				if at <= to {
					last = i + 1
				}
			}
			if len(want) == 0 {
				continue
			}
			sink := &noting{}
			_, err := NewPlayer(m, m, change.PeerQuest()).Play(t.Context(), &Playing{Kind: KindCDC, From: timed(from), To: timed(to), Progress: func(int64, int64) {}}, sink)
			if err != nil || !slices.Equal(sink.seqs, want) {
				t.Errorf("set back by %d s at %d, from %d s: %v, %v, want %v", set.back, set.at, n, sink.seqs, err, want)
			}
			bounds, _ := m.Bounds(t.Context())
			f := finder{past: m, bounds: bounds}
			if seq, err := f.moment(t.Context(), timed(to)); err != nil || int(seq) != last {
				t.Errorf("set back by %d s at %d, at %d s: %d, %v, want %d", set.back, set.at, n+5, seq, err, last)
			}
		}
	}
}

// Where the log began anew, positions may stand for two places in the stream: then they are
// refused, and found wherever they stand for one.
func TestPositionsOfSeveralLogs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &memory{first: 1}
		var lsns []change.LSN
		var runs [][]change.LSN
		for epoch := range rapid.IntRange(1, 4).Draw(t, "epochs") {
			at := change.LSN(rapid.IntRange(1, 200).Draw(t, "log"))
			if epoch == 0 || at < lsns[len(lsns)-1] {
				runs = append(runs, nil)
			}
			for range rapid.IntRange(1, 20).Draw(t, "messages") {
				m.placed(uint64(epoch+1), at)
				lsns, runs[len(runs)-1] = append(lsns, at), append(runs[len(runs)-1], at)
				at += change.LSN(rapid.IntRange(0, 10).Draw(t, "on"))
			}
		}
		p := Point{LSN: change.LSN(rapid.IntRange(1, 300).Draw(t, "position")), text: "it"}
		places := 0
		for _, run := range runs {
			if run[0] <= p.LSN && p.LSN <= run[len(run)-1] {
				places++
			}
		}
		bounds, _ := m.Bounds(context.Background())
		f := finder{past: m, bounds: bounds}
		from, err := f.byLSN(context.Background(), p, false)
		to, err2 := f.byLSN(context.Background(), p, true)
		if len(runs) > 1 && places != 1 {
			var refused *PointError
			if !errors.As(err, &refused) || !errors.As(err2, &refused) || hint.Of(err) == "" {
				t.Fatalf("%v at %d: messages %d and %d, %v, %v", lsns, p.LSN, from, to, err, err2)
			}
			return
		}
		seq, first, last := 0, 0, 0
		for _, run := range runs {
			for _, at := range run {
				if seq++; len(runs) > 1 && (p.LSN < run[0] || p.LSN > run[len(run)-1]) {
					continue
				}
				if at >= p.LSN && first == 0 {
					first = seq
				}
				if at <= p.LSN {
					last = seq
				}
			}
		}
		if first == 0 {
			first = len(lsns) + 1
		}
		if err != nil || err2 != nil || int(from) != first || int(to) != last {
			t.Fatalf("%v at %d: messages %d and %d, %v, %v, want %d and %d", lsns, p.LSN, from, to, err, err2, first, last)
		}
	})
}

// What is gone on with is in the stream though the time that its range began with is not
// any more.
func TestGoingOnAtTheBeginningOfTheStream(t *testing.T) {
	m := &memory{first: 1}
	base := change.Millis(1_782_864_000_000)
	for i := range 10 {
		m.step(base + change.Millis(i*60_000))
	}
	m.first = 5
	sink := &noting{}
	p := &Playing{Kind: KindCDC, From: Point{Seq: 5, Time: base}, Progress: func(int64, int64) {}}
	if _, err := NewPlayer(m, m, change.PeerQuest()).Play(t.Context(), p, sink); err != nil || len(sink.seqs) != 6 {
		t.Errorf("%v, %v", sink.seqs, err)
	}
	if s, err := eventSpan(Extent{First: 5, Last: 10, Oldest: base + 240_000}, Point{Seq: 5, Time: base}, Point{}); err != nil || s.first != 5 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A message that does not say when it was is no reason to wait for all the time since.
func TestPaceOfWhatHasNoTime(t *testing.T) {
	w := newPacer(Pace{Speed: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, at := range []change.Millis{0, 1_782_864_000_000, 0} {
		if err := w.wait(ctx, at); err != nil {
			t.Errorf("at %d: %v", at, err)
		}
	}
}
