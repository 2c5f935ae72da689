package stream

import (
	"context"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

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
	s := &session{postgres: quiet{}, notes: quiet{}, clock: clockAt{LSN: 500}, cdc: &memory{}, marks: &marks{}}
	s.marks.offer(Reading{At: 1, LSN: 100}, time.Unix(0, 0), time.Second)
	if _, err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := s.marks.reached(change.LSN(1000)); r != nil {
		t.Errorf("the reading %+v of an earlier session is still there", *r)
	}
}
