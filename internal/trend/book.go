package trend

import (
	"hash/fnv"
	"maps"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// Times are lengths of time in milliseconds.
type Times struct{ Count, Sum, Max uint64 }

func (t *Times) add(ms int64) {
	n := uint64(max(ms, 0))
	t.Count, t.Sum, t.Max = t.Count+1, t.Sum+n, max(t.Max, n)
}

func (t *Times) merge(u *Times) {
	t.Count, t.Sum, t.Max = t.Count+u.Count, t.Sum+u.Sum, max(t.Max, u.Max)
}

// Mean is 0 of none.
func (t *Times) Mean() time.Duration {
	if t.Count == 0 {
		return 0
	}
	return time.Duration(t.Sum/t.Count) * time.Millisecond
}

// Counts are those of a rule in some time.
type Counts struct {
	Opened, Resolved, Repaired uint64
	// BaselineOpened and BaselineResolved are findings that a baseline showed; the others
	// are not among them.
	BaselineOpened, BaselineResolved uint64
	// Detected is from the commit that began a violation to the opening, Lasted from the
	// opening to the end, Mended from that commit to the repair's.
	Detected, Lasted, Mended Times
}

func (c *Counts) merge(d *Counts) {
	c.Opened, c.Resolved, c.Repaired = c.Opened+d.Opened, c.Resolved+d.Resolved, c.Repaired+d.Repaired
	c.BaselineOpened, c.BaselineResolved = c.BaselineOpened+d.BaselineOpened, c.BaselineResolved+d.BaselineResolved
	c.Detected.merge(&d.Detected)
	c.Lasted.merge(&d.Lasted)
	c.Mended.merge(&d.Mended)
}

const (
	// keptHours is a year, with the day of a leap year.
	keptHours = 366 * 24
	// keptIDs is how many ids of counted events are remembered.
	keptIDs = 8192
)

type hour int64 // since 1970

type cell struct {
	rule rule.Rule
	hour hour
}

// Book holds the counts. It has one writer and no lock.
type Book struct {
	// Created is of the stream that was counted, Sequence the newest event of it.
	Created  time.Time
	Sequence uint64

	cells  map[cell]*Counts
	newest hour
	// open has the rule of each finding that is open.
	open   map[uint64]rule.Rule
	recent []uint64 // ids of counted events, a ring
	next   int
	known  map[uint64]bool // the same
}

// NewBook has counted nothing, of a stream that was created at a time.
func NewBook(created time.Time) *Book {
	return &Book{Created: created, cells: map[cell]*Counts{}, open: map[uint64]rule.Rule{}, known: map[uint64]bool{}}
}

// Kinds are the kinds of events that are counted.
var Kinds = []string{"drift.opened", "drift.resolved", "repair.applied"}

// Take counts an event.
func (b *Book) Take(seq uint64, e *event.Event) {
	b.Sequence = seq
	switch d := e.Data.(type) {
	case event.Finding:
		b.finding(e, &d)
	case event.Repaired:
		if e.What == "applied" && b.fresh(e.ID) {
			c := b.at(d.Rule, e.Time)
			c.Repaired++
			if d.AfterCommitMS != nil {
				c.Mended.add(*d.AfterCommitMS)
			}
		}
	}
}

func (b *Book) finding(e *event.Event, f *event.Finding) {
	id := digest(f.Finding)
	_, open := b.open[id]
	opens := e.What == string(drift.Opened)
	if opens && open || !b.fresh(e.ID) {
		return
	}
	c, fromBaseline := b.at(f.Rule, e.Time), f.Origin == drift.FromBaseline
	switch {
	case opens && fromBaseline:
		c.BaselineOpened++
	case opens:
		c.Opened++
		c.Detected.add(int64(e.Time - f.Transaction.Time))
	case fromBaseline:
		c.BaselineResolved++
	default:
		c.Resolved++
		if f.OpenMS != nil {
			c.Lasted.add(*f.OpenMS)
		}
	}
	if opens {
		b.open[id] = f.Rule
	} else {
		delete(b.open, id)
	}
}

func digest(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64() >> 1 // nine bytes as a varint
}

// fresh reports whether an event was not counted lately, and notes that it is now.
func (b *Book) fresh(id string) bool {
	d := digest(id)
	if b.known[d] {
		return false
	}
	b.remember(d)
	return true
}

func (b *Book) remember(d uint64) {
	b.known[d] = true
	if len(b.recent) < keptIDs {
		b.recent = append(b.recent, d)
		return
	}
	delete(b.known, b.recent[b.next])
	b.recent[b.next] = d
	b.next = (b.next + 1) % keptIDs
}

// at is the counts of a rule at a time. What has become too old is dropped once a day.
func (b *Book) at(r rule.Rule, t change.Millis) *Counts {
	h := hourOf(t.Time())
	if day := b.newest / 24; h > b.newest {
		if b.newest = h; h/24 > day {
			maps.DeleteFunc(b.cells, func(k cell, _ *Counts) bool { return !b.keeps(k.hour) })
		}
	}
	if !b.keeps(h) {
		return &Counts{} // nobody will ask
	}
	k := cell{r, h}
	if b.cells[k] == nil {
		b.cells[k] = &Counts{}
	}
	return b.cells[k]
}

func (b *Book) keeps(h hour) bool { return h > b.newest-keptHours }

func hourOf(t time.Time) hour {
	s := t.Unix()
	if s < 0 {
		return 0
	}
	return hour(s / 3600)
}
