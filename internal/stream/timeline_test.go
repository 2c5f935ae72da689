package stream

import (
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

// Another server may have taken over: what the stream holds beyond the point where
// their logs part is not in the database.
func TestDecideByTimeline(t *testing.T) {
	whole := tail{first: 1, last: 50, epoch: 3, whole: 120}
	held := tail{first: 1, last: 51, epoch: 3, whole: 120, partial: partial{commit: 130, messages: 1, held: true}}
	purged := tail{first: 51, last: 50}
	goesOn := plan{from: 120}
	gap := func(common change.LSN) plan { return plan{gap: "timeline", baseline: "timeline", common: common} }
	for name, c := range map[string]struct {
		tail     tail
		timeline uint32     // of the note
		forked   change.LSN // likewise
		on       uint32     // the server
		history  []Switch   // likewise
		want     plan
	}{
		"the same":                       {tail: whole, timeline: 1, on: 1, want: goesOn},
		"left behind the tail":           {tail: whole, timeline: 1, on: 2, history: []Switch{{1, 200}}, want: goesOn},
		"left at the tail":               {tail: whole, timeline: 1, on: 2, history: []Switch{{1, 120}}, want: goesOn},
		"left before the tail":           {tail: whole, timeline: 1, on: 2, history: []Switch{{1, 119}}, want: gap(119)},
		"left twice":                     {tail: whole, timeline: 1, on: 3, history: []Switch{{1, 119}, {2, 300}}, want: gap(119)},
		"left twice, both later":         {tail: whole, timeline: 1, on: 5, history: []Switch{{1, 121}, {4, 300}}, want: goesOn},
		"the second one left later":      {tail: whole, timeline: 2, forked: 60, on: 3, history: []Switch{{1, 60}, {2, 120}}, want: goesOn},
		"the second one left before":     {tail: whole, timeline: 2, forked: 60, on: 3, history: []Switch{{1, 60}, {2, 100}}, want: gap(100)},
		"the second one is another":      {tail: whole, timeline: 2, forked: 60, on: 3, history: []Switch{{1, 70}, {2, 300}}, want: gap(60)},
		"the same number, another one":   {tail: whole, timeline: 2, forked: 60, on: 2, history: []Switch{{1, 70}}, want: gap(60)},
		"the same number, the same one":  {tail: whole, timeline: 2, forked: 60, on: 2, history: []Switch{{1, 60}}, want: goesOn},
		"the same number, no history":    {tail: whole, timeline: 2, forked: 60, on: 2, want: goesOn},
		"another, no history":            {tail: whole, timeline: 1, on: 2, want: gap(0)},
		"never been there":               {tail: whole, timeline: 3, on: 4, history: []Switch{{1, 60}, {2, 300}}, want: gap(0)},
		"back on an older one":           {tail: whole, timeline: 2, forked: 60, on: 1, want: gap(0)},
		"not noted":                      {tail: whole, on: 2, history: []Switch{{1, 60}}, want: goesOn},
		"a part before":                  {tail: held, timeline: 1, on: 2, history: []Switch{{1, 131}}, want: goesOn},
		"a part beyond":                  {tail: held, timeline: 1, on: 2, history: []Switch{{1, 130}}, want: gap(130)},
		"the tail is gone":               {tail: purged, timeline: 1, on: 2, history: []Switch{{1, 200}}, want: gap(200)},
		"the tail is gone, the same one": {tail: purged, timeline: 1, on: 1, want: plan{from: 100, baseline: "no_baseline"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := Note{Baseline: 10, Epoch: 3, System: "here", Timeline: c.timeline, Forked: c.forked}
			slot := Slot{Exists: true, Usable: true, Confirmed: 100, System: "here", Timeline: c.on}
			if got := decide(&c.tail, slot, n, c.tail.first, c.history, 1000); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// Where the new server has no slot and the stream no baseline, nothing was
// promised that could be missing; with a slot there was one.
func TestDecideByTimelineWithoutBaseline(t *testing.T) {
	n := Note{Epoch: 1, System: "here", Timeline: 1}
	history := []Switch{{1, 50}}
	cut := tail{first: 1, last: 9, epoch: 1}
	slot := Slot{System: "here", Timeline: 2}
	if got, want := decide(&cut, slot, n, cut.first, history, 1000), (plan{baseline: "no_baseline"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	slot.Exists, slot.Usable, slot.Confirmed = true, true, 40
	if got, want := decide(&tail{first: 1}, slot, n, 1, history, 1000), (plan{gap: "timeline", baseline: "timeline", common: 50}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
