package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

// bench is everything that a session needs, in memory. It has one moment to take a
// baseline from, without rows; the clock stops after so many readings.
type bench struct {
	Postgres
	readings int
	note     Note
}

var errClock = errors.New("the clock has stopped")

func (b *bench) Snapshot(context.Context) (Snapshot, error)                     { return b, nil }
func (b *bench) LSN() change.LSN                                                { return 90 }
func (b *bench) Done(context.Context, bool) error                               { return nil }
func (b *bench) Beat(context.Context) error                                     { return nil }
func (b *bench) Write(_ context.Context, n Note) error                          { b.note = n; return nil }
func (b *bench) Read(context.Context, func(int64, []change.Change) error) error { return nil }

type benchNotes struct{ *bench }

func (b benchNotes) Read(context.Context) (Note, error) { return b.note, nil }

type benchClock struct{ *bench }

func (b benchClock) Read(context.Context) (Reading, error) {
	if b.readings--; b.readings < 0 {
		return Reading{}, errClock
	}
	return Reading{At: 1000, LSN: 95}, nil
}

// Whenever a session ends on the way to a baseline, the next one still knows that
// changes are missing, though the note tells of the new server by then.
func TestGapIsDeclaredAfterAll(t *testing.T) {
	slot := Slot{Exists: true, Usable: true, Confirmed: 50, System: "here", Timeline: 2}
	history := []Switch{{1, 60}}
	noted := Note{Baseline: 1, Epoch: 1, System: "here", Timeline: 1}
	for stops := range 5 {
		m := &memory{}
		write(t, m, 1, "e", "b 40", "B 40", "p 70")
		b := &bench{readings: stops, note: noted}
		ended := rebased(t, m, b, slot, history)
		declared := gaps(t, m)
		if ended {
			if declared != 1 || b.note.Gap != "" {
				t.Errorf("stopped by reading %d: %d gaps, note %+v", stops, declared, b.note)
			}
			continue
		}
		b.readings = 100
		if !rebased(t, m, b, slot, history) || gaps(t, m) == 0 {
			t.Errorf("stopped by reading %d: no gap was declared; note %+v", stops, b.note)
		}
	}
}

// rebased runs a session as far as its baseline, and reports whether it ended.
func rebased(t *testing.T, m *memory, b *bench, slot Slot, history []Switch) bool {
	t.Helper()
	tail, err := readTail(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	wanted := &atomic.Bool{}
	wanted.Store(true)
	s := &session{
		tally: &tally{}, config: testConfig(Config{}), postgres: b, clock: benchClock{b}, cdc: m, notes: benchNotes{b}, writer: m, marks: &marks{}, needs: &needs{}, wanted: wanted,
		confirmer: &confirmer{}, tail: tail, note: b.note, slot: slot, history: history, logger: slog.New(slog.DiscardHandler),
	}
	p := decide(&s.tail, slot, s.note, s.tail.first, history, 1000)
	if p.gap == "" || p.from != 0 {
		t.Fatalf("plan %+v has no gap", p)
	}
	_, err = s.rebase(t.Context(), p, 0, func(string) {})
	if err != nil && !errors.Is(err, errClock) {
		t.Fatal(err)
	}
	if err == nil && wanted.Load() {
		t.Error("a baseline was taken, and is wanted still")
	}
	return err == nil
}

func gaps(t *testing.T, m *memory) (n int) {
	t.Helper()
	for _, r := range m.records {
		var d change.Decoder
		if !change.IsControl(r.Data) {
			continue
		}
		c, err := d.Control(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind == change.Gap {
			n++
		}
	}
	return n
}
