package trend

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

var created = time.Date(2026, 1, 1, 0, 0, 0, 5, time.UTC)

const base = change.Millis(1782864000000) // 2026-07-01T00:00:00Z

func opened(id string, r rule.Rule, at change.Millis, origin drift.Origin) *event.Event {
	return &event.Event{ID: id + ".opened", Group: "drift", What: "opened", Time: at, Data: event.Finding{
		Finding: id, Rule: r, Origin: origin, Transaction: event.Transaction{Time: at - 3000},
	}}
}

func resolved(id string, r rule.Rule, at change.Millis, origin drift.Origin, open int64) *event.Event {
	return &event.Event{ID: id + ".resolved", Group: "drift", What: "resolved", Time: at, Data: event.Finding{
		Finding: id, Rule: r, Origin: origin, OpenMS: &open,
	}}
}

func repaired(id string, r rule.Rule, at change.Millis, after int64) *event.Event {
	return &event.Event{ID: id + ".applied", Group: "repair", What: "applied", Time: at, Data: event.Repaired{
		Remedy: event.Remedy{Finding: id, Rule: r}, AfterCommitMS: &after,
	}}
}

func TestCounts(t *testing.T) {
	b := NewBook(created)
	const m, u = rule.MissingParticipant, rule.Unassigned
	const h = 3600_000
	for i, e := range []*event.Event{
		opened("a", m, base, drift.FromStream), opened("b", m, base+1, drift.FromStream), opened("c", u, base+2, drift.FromBaseline),
		opened("a", m, base, drift.FromStream), // again
		repaired("a", m, base+h, 9000), resolved("a", m, base+h, drift.FromStream, 6000), resolved("a", m, base+h, drift.FromStream, 6000),
		repaired("a", m, base+h, 9000), opened("a", m, base, drift.FromStream),
		opened("d", m, base+3*h, drift.FromStream), resolved("c", u, base+30*h, drift.FromBaseline, 1),
		resolved("old", m, base+30*h, drift.FromStream, 4000), // from before the stream
	} {
		b.Take(uint64(i+1), e)
	}
	r := b.Report(base.Time(), (base + 31*h).Time(), ByHour)
	if len(r.Rules) != 2 || len(r.Rules[0].Pieces) != 32 {
		t.Fatalf("report: %+v", r)
	}
	p := r.Rules[0].Pieces
	for i, want := range map[int][4]int64{0: {2, 0, 0, 3}, 1: {0, 1, 1, 2}, 2: {0, 0, 0, 2}, 3: {1, 0, 0, 3}, 30: {0, 1, 0, 2}, 31: {0, 0, 0, 2}} {
		if got := [4]int64{int64(p[i].Opened), int64(p[i].Resolved), int64(p[i].Repaired), p[i].Open}; got != want {
			t.Errorf("hour %d: opened, resolved, repaired, open are %v, want %v", i, got, want)
		}
	}
	total := r.Rules[0].Total
	if total.Detected != (Lengths{3, 3000, 3000}) || total.Lasted != (Lengths{2, 5000, 6000}) || total.Mended != (Lengths{1, 9000, 9000}) || total.Open != 2 {
		t.Errorf("total: %+v", total)
	}
	if c := r.Rules[1]; c.Total.Opened != 0 || c.Total.BaselineOpened != 1 || c.Total.BaselineResolved != 1 || c.Pieces[0].Open != 1 || c.Total.Open != 0 {
		t.Errorf("of the baseline: %+v", c.Total)
	}
	days := b.Report(base.Time().Add(5*time.Hour), (base + 31*h).Time(), ByDay)
	if d := days.Rules[0].Pieces; len(d) != 2 || d[0].Opened != 3 || d[0].Open != 3 || d[1].Open != 2 || !days.Since.Equal(base.Time()) {
		t.Errorf("by day: %+v", d)
	}
	// What came later than the report's end is not in it.
	if early := b.Report(base.Time(), (base + h).Time(), ByHour); early.Rules[0].Total.Open != 2 || early.Rules[0].Total.Opened != 2 {
		t.Errorf("up to the second hour: %+v", early.Rules[0].Total)
	}
}

// Counting from the beginning, and going on from kept counts at any points, with events
// that come twice, is the same, byte for byte.
func TestRebuiltIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []*event.Event
		at := base
		for i := range rapid.IntRange(0, 200).Draw(t, "events") {
			at += change.Millis(rapid.SampledFrom([]int64{0, 1000, 3600_000, 40 * 24 * 3600_000}).Draw(t, "pause"))
			r := rule.All[rapid.IntRange(0, len(rule.All)-1).Draw(t, "rule")]
			origin := rapid.SampledFrom([]drift.Origin{drift.FromStream, drift.FromBaseline}).Draw(t, "origin")
			id := fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "id"), r, origin, i/60)
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0, 1:
				events = append(events, opened(id, r, at, origin))
			case 2:
				events = append(events, resolved(id, r, at, origin, int64(i)))
			default:
				events = append(events, repaired(id, r, at, int64(i)))
			}
		}
		whole, parts := NewBook(created), NewBook(created)
		for i, e := range events {
			whole.Take(uint64(i+1), e)
			parts.Take(uint64(i+1), e)
			if rapid.IntRange(0, 9).Draw(t, "keep") == 0 {
				var err error
				if parts, err = Decode(parts.Encode()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !bytes.Equal(whole.Encode(), parts.Encode()) {
			t.Fatal("what went on is not what was counted from the beginning")
		}
	})
}

// A year in which every rule has something in every hour, with thousands open, is some
// hundred kilobytes.
func TestYearIsSmall(t *testing.T) {
	b, seq := NewBook(created), uint64(0)
	take := func(e *event.Event) {
		seq++
		b.Take(seq, e)
	}
	year := func(per int, rules []rule.Rule) []byte {
		for h := range keptHours + 100 {
			for _, r := range rules {
				for i := range per {
					at := base + change.Millis(h*3600_000+i*977*int(r)%3600_000)
					id := fmt.Sprint(r, h, i, per)
					take(opened(id, r, at, drift.FromStream))
					take(resolved(id, r, at+change.Millis(h*17%5000), drift.FromStream, int64(h*7919%100_000)))
				}
			}
		}
		return b.Encode()
	}
	for _, c := range []struct {
		about string
		per   int
		rules []rule.Rule
		most  int
	}{
		{"three rules, one finding an hour each", 1, rule.All[:3], 400 << 10},
		{"all rules, three findings an hour each", 3, rule.All[:], 1200 << 10},
	} {
		b, seq = NewBook(created), 0
		data := year(c.per, c.rules)
		t.Logf("%s: %d kB for %d cells", c.about, len(data)>>10, len(b.cells))
		if len(data) > c.most || len(b.cells) > (keptHours+24)*len(c.rules) {
			t.Errorf("%s takes %d bytes for %d cells", c.about, len(data), len(b.cells))
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	b := NewBook(created)
	b.Take(1, opened("a", rule.Unassigned, base, drift.FromStream))
	good := b.Encode()
	for n := range good {
		if _, err := Decode(good[:n]); err == nil {
			t.Errorf("cut off at %d it is read", n)
		}
		bad := bytes.Clone(good)
		bad[n] ^= 0x10
		_, _ = Decode(bad) // no panic
	}
}

func TestText(t *testing.T) {
	b, seq := NewBook(created), uint64(0)
	look := Look{Plot: true, Blocks: true}
	var out strings.Builder
	show := func(look Look) string {
		out.Reset()
		if err := b.Report(base.Time(), (base+29*24*3600_000).Time(), ByDay).WriteText(&out, look); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if text := show(look); !strings.Contains(text, "Nothing has been counted yet") {
		t.Error(text)
	}
	for d := range 30 {
		for i := range d * 100 {
			seq++
			b.Take(seq, opened(fmt.Sprint(d, i), rule.AssigneeNotParticipant, base+change.Millis(d*24*3600_000), drift.FromStream))
		}
	}
	for _, c := range []struct {
		look Look
		want string
	}{
		{look, "   ▁▁▁▂▂▂▃▃▃▃▄▄▄▅▅▅▆▆▆▆▇▇▇█"}, {Look{Plot: true, Color: true}, "\x1b[36m"}, {Look{}, "assignee_not_participant"},
	} {
		text := show(c.look)
		if c.look == look {
			t.Log("\n" + text)
		}
		if !c.look.Color && strings.Contains(text, "\x1b") || !c.look.Blocks && strings.ContainsAny(text, "▁█") || !c.look.Plot && strings.Contains(text, "max") {
			t.Errorf("%+v:\n%s", c.look, text)
		}
		if c.look != look && !strings.Contains(text, c.want) {
			t.Errorf("%+v has no %q:\n%s", c.look, c.want, text)
		}
		for line := range strings.SplitSeq(text, "\n") {
			if n := utf8.RuneCountInString(strings.NewReplacer("\x1b[36m", "", "\x1b[0m", "").Replace(line)); n > width {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
	out.Reset()
	if err := b.Report(base.Time(), (base + 29*24*3600_000).Time(), ByDay).WriteCSV(&out); err != nil || strings.Count(out.String(), "\n") != 30 ||
		!strings.Contains(out.String(), "2026-07-02T00:00:00Z,assignee_not_participant,100,0,0,100,0,0,100,3000,3000,0,0,0,0,0,0\n") {
		t.Errorf("%v:\n%.600s", err, out.String())
	}
}
