package stream

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// A reading that waits is silent from when it was taken, or from when something
// last came on the way to it; what is published is behind by its age.
func TestSilenceAndLag(t *testing.T) {
	var m marks
	at := func(seconds int) time.Time { return clockZero.Add(time.Duration(seconds) * time.Second) }
	want := func(when int, silent, behind time.Duration) {
		t.Helper()
		m.listen(at(when))
		if s, b := m.silence(at(when)), m.behind(at(when)); s != silent*time.Second || b != behind*time.Second {
			t.Errorf("after %d s: silent for %s and behind by %s, want %d s and %d s", when, s, b, silent, behind)
		}
	}
	want(1, 0, 0)
	m.offer(Reading{LSN: 100}, at(2), time.Second)
	want(6, 4, 0)
	m.heard.Add(1) // a row
	want(7, 0, 0)
	want(9, 2, 0)
	if r := m.reached(90); r != nil { // the server has read on, but not so far
		t.Fatalf("reached %+v", r)
	}
	want(10, 0, 0)
	if r := m.reached(90); r != nil { // and stays there
		t.Fatalf("reached %+v", r)
	}
	want(13, 3, 0)
	r := m.reached(100)
	if r == nil {
		t.Fatal("not reached")
	}
	m.offer(Reading{LSN: 200}, at(14), time.Second) // while the mark is published
	m.published(r, at(15))
	want(15, 0, 12) // it had been read from the clock at 2, and the next was due at 3
	want(20, 5, 17)
	m.published(m.reached(200), at(20))
	want(20, 0, 5)
	if newest, _, _ := m.last(at(20)); newest != change.Millis(0) {
		t.Errorf("newest %d", newest)
	}
}

// Marks come often for a while after somebody asked, on an idle database too.
func TestHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Flow{}
		idle := &ticker{config: &Config{MarkEvery: 1, MarkFor: time.Minute, IdleMarkEvery: 10}, marks: &f.marks, lastStep: func() time.Time { return time.Time{} }}
		want := func(every time.Duration) {
			t.Helper()
			if got := idle.every(time.Now()); got != every {
				t.Errorf("marks every %d, want %d", got, every)
			}
		}
		want(10)
		f.Hurry()
		want(1)
		time.Sleep(hurryFor)
		want(10)
	})
}

// A baseline that somebody wants ends the session, whatever the database is like,
// and is not wanted any more when one is being taken.
func TestRestate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Flow{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := &session{postgres: quiet{}, slot: Slot{Exists: true, Usable: true}, wanted: &f.wanted}
		if err := s.stayFit(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a database that fits: %v", err)
		}
		f.Restate()
		if err := s.stayFit(t.Context()); !errors.Is(err, errRestate) {
			t.Fatalf("with a baseline wanted: %v", err)
		}
	})
}

// quiet is the other sides of a session that only opens.
type quiet struct {
	Postgres
	Notes
}

func (quiet) Slot(context.Context) (Slot, error)        { return Slot{Exists: true, Usable: true}, nil }
func (quiet) Read(context.Context) (Note, error)        { return Note{}, nil }
func (quiet) Write(context.Context, Note) error         { return nil }
func (clockAt) Beat(context.Context) error              { return nil }
func (c clockAt) Read(context.Context) (Reading, error) { return Reading(c), nil }

type clockAt Reading

// A writer that was stopped for a while has a reading from before: others have
// marked later times since.
func TestSessionTakesItsOwnReadings(t *testing.T) {
	s := &session{
		tally: &tally{}, postgres: quiet{}, notes: quiet{}, clock: clockAt{LSN: 500}, cdc: &memory{}, marks: &marks{}, needs: &needs{}, flight: &flight{}, wanted: &atomic.Bool{},
	}
	s.marks.offer(Reading{At: 1, LSN: 100}, time.Unix(0, 0), time.Second)
	if _, err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := s.marks.reached(change.LSN(1000)); r != nil {
		t.Errorf("the reading %+v of an earlier session is still there", *r)
	}
}
