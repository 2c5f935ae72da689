package replay

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

func TestParsePoint(t *testing.T) {
	now := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	for text, want := range map[string]Point{
		"":                     {},
		"baseline":             {Baseline: true},
		"0/1DAE9F8":            {LSN: 0x1DAE9F8},
		"4711":                 {Seq: 4711},
		"-2h":                  {Time: change.MillisOf(now.Add(-2 * time.Hour))},
		"2h":                   {Time: change.MillisOf(now.Add(-2 * time.Hour))},
		"-7d":                  {Time: change.MillisOf(now.AddDate(0, 0, -7))},
		"2026-11-27 22:00:00":  {Time: change.MillisOf(now.Add(-5 * time.Hour))},
		"2026-11-27T22:00:00Z": {Time: change.MillisOf(now.Add(-5 * time.Hour))},
	} {
		want.text = text
		if got, err := ParsePoint(text, now); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"0", "-1", "0/0", "0/", "x/1", "1/2/3", "FFFFFFFFF/0", "yesterday", "2026-11-27", "2026-11-28T03:00:01Z", "+2h", " ", "99999999999999999999", "1e3",
	} {
		var point *PointError
		if p, err := ParsePoint(text, now); !errors.As(err, &point) {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
	for _, pair := range [][2]string{{"10", "9"}, {"0/2", "0/1"}, {"-1h", "-2h"}} {
		from, err1 := ParsePoint(pair[0], now)
		to, err2 := ParsePoint(pair[1], now)
		if errors.Join(err1, err2) != nil || Ordered(from, to) == nil || Ordered(to, from) != nil {
			t.Errorf("from %s to %s is in order", pair[0], pair[1])
		}
	}
}

func toldAt(id string, seq uint64, content byte) compared {
	return compared{id: id, subject: "drift.opened", at: event.Position{Sequence: seq}, digest: [16]byte{content}}
}

// What both have is no difference, whatever comes first; what one has is, also when so much
// waits that some of it is given up.
func TestDiffer(t *testing.T) {
	var got []string
	d := newDiffer(func(d Difference) error {
		got = append(got, fmt.Sprint(d.Kind, " ", d.ID, " ", d.Position.Sequence))
		return nil
	})
	d.most = 3
	again := func(all ...compared) {
		for _, one := range all {
			if err := d.fromAgain(one); err != nil {
				t.Fatal(err)
			}
		}
	}
	again(toldAt("a", 1, 0), toldAt("b", 2, 0), toldAt("c", 3, 0))
	for _, one := range []compared{toldAt("c", 3, 0), toldAt("a", 9, 0), toldAt("x", 4, 0), toldAt("b", 2, 1)} {
		if err := d.fromLive(one); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3000 { // the same on both sides takes no room
		one := toldAt(fmt.Sprint("n", i), uint64(10+i), 0)
		if err := errors.Join(d.fromAgain(one), d.fromLive(one)); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.again.order)+len(d.live.order) > 3000 {
		t.Errorf("%d and %d wait", len(d.again.order), len(d.live.order))
	}
	again(toldAt("p", 5000, 0), toldAt("q", 5001, 0), toldAt("r", 5002, 0), toldAt("s", 5003, 0))
	if err := d.end(); err != nil {
		t.Fatal(err)
	}
	want := []string{"changed b 2", "only_again p 5000", "only_live x 4", "only_again q 5001", "only_again r 5002", "only_again s 5003"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.moved != 1 || d.differences != 6 || d.events != 3007 {
		t.Errorf("moved %d, differences %d, events %d", d.moved, d.differences, d.events)
	}
}
