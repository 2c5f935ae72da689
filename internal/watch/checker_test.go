package watch_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

// violation is how long something has not held, by the naive reading.
type violation struct {
	since    change.Millis
	severity rule.Severity
	cause    rule.Cause
	origin   drift.Origin
	open     bool
}

// driver feeds a story to a checker as it is written, and keeps the naive
// reading beside it.
type driver struct {
	*rapid.T
	*story
	checker *watch.Checker
	taken   int
	now     change.Millis
	known   bool
	missed  bool // changes were lost before the baseline that is judged
	lives   map[string]violation
	events  []string
}

func newDriver(t *rapid.T) *driver {
	return &driver{T: t, story: newStory(), checker: watch.NewChecker(testRules()), lives: map[string]violation{}}
}

// feed gives the checker what the story has that is new.
func (d *driver) feed() {
	for _, r := range d.records[d.taken:] {
		found, err := d.checker.Take(r)
		if err != nil {
			d.Fatalf("%v: %s", err, r.Data)
		}
		for i := range found {
			if found[i].Position != (event.Position{Sequence: uint64(r.Seq), Index: i}) {
				d.Fatalf("event %d of message %d is at %+v", i, r.Seq, found[i].Position)
			}
			if !d.known && found[i].Transition != nil && found[i].Transition.What == drift.Opened {
				d.Fatalf("opened while nothing is known: %+v", found[i].Transition)
			}
			d.events = append(d.events, encode(d, &found[i]))
		}
	}
	d.taken = len(d.records)
}

func encode(t interface{ Fatalf(string, ...any) }, f *watch.Found) string {
	data, err := f.Event.Encode("test")
	if err != nil {
		t.Fatalf("%v", err)
	}
	if at, err := event.PositionOf(data); err != nil || at != f.Position {
		t.Fatalf("position %+v, %v in %s", at, err, data)
	}
	return f.Event.Subject("test") + " " + string(data)
}

// judged notes what the tables say of a quest after a transaction.
func (d *driver) judged(id int64, keys []string, baseline bool) {
	if !d.known {
		return
	}
	at := max(d.now, d.clock)
	severities, causes := map[string]rule.Severity{}, map[string]rule.Cause{}
	for _, v := range rule.Judge(nil, d.checker.State().Quest(id)) {
		key := keyOf(id, v.Rule, d.checker.State().Users().Text(v.User))
		severities[key], causes[key] = v.Severity, v.Cause
	}
	if got := slices.Sorted(maps.Keys(severities)); !slices.Equal(got, keys) {
		d.Fatalf("quest %d violates %q, the tables say %q", id, got, keys)
	}
	for key := range d.lives {
		if strings.HasPrefix(key, fmt.Sprintf("%d ", id)) && !slices.Contains(keys, key) {
			delete(d.lives, key)
		}
	}
	for _, key := range keys {
		l, found := d.lives[key]
		restated := baseline && !l.open && (d.missed || causes[key] != l.cause) // a suspicion of something else, perhaps
		if found && severities[key] <= l.severity && !restated {
			continue // it goes on
		}
		l = violation{since: at, severity: severities[key], cause: causes[key], origin: drift.FromStream, open: testGrace(ruleOf(key)) == 0}
		if baseline {
			l.origin, l.open = drift.FromBaseline, false
		}
		d.lives[key] = l
	}
}

// judgedAll does the same for every quest.
func (d *driver) judgedAll() {
	for id := range int64(4) {
		d.judged(id, d.violated(id), true)
	}
}

func (d *driver) compare() {
	if d.checker.Known() != d.known {
		d.Fatalf("known is %v", d.checker.Known())
	}
	var got, want []string
	for _, f := range d.checker.Open() {
		got = append(got, keyOf(f.Quest, f.Violation.Rule, f.User)+" from "+string(f.Where.Origin))
	}
	for key, l := range d.lives {
		if l.open {
			want = append(want, key+" from "+string(l.origin))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		d.Fatalf("after message %d %q are open, want %q", d.taken, got, want)
	}
}

// act does one thing of those that happen to a stream.
func (d *driver) act() {
	d.clock += change.Millis(rapid.IntRange(1, 1200).Draw(d.T, "passes"))
	switch what := rapid.IntRange(0, 29).Draw(d.T, "what"); what {
	case 0:
		d.control(change.Control{Kind: change.Gap, From: d.lsn, To: d.lsn + 10, Reason: "slot_lost"})
		d.known = false
		d.feed()
		for range rapid.IntRange(0, 3).Draw(d.T, "lost") {
			genOperation(d.T, d.story)
		}
	case 1, 2:
		d.baseline()
		// The end is taken when the model knows again: only then may anything open.
		d.missed, d.known = !d.known, true
		d.feed()
		d.judgedAll()
		d.missed = false
	case 3:
		d.truncateSome()
	case 4, 5, 6:
		d.large()
	case 7, 8, 9, 10, 11, 12, 13, 14:
		d.marked()
	case 15, 16, 17, 18, 19:
		for _, w := range genOperation(d.T, d.story) { // the old style: a transaction for each statement
			d.clock += change.Millis(rapid.IntRange(0, 900).Draw(d.T, "between"))
			d.commit(w)
			d.feed()
			d.judged(w.quest, w.violated, false)
			if rapid.IntRange(0, 3).Draw(d.T, "mark between") == 0 {
				d.marked()
			}
		}
	default:
		d.together()
	}
	d.compare()
}

// together commits one or two operations as one transaction.
func (d *driver) together() {
	writes := genOperation(d.T, d.story)
	if rapid.Bool().Draw(d.T, "two") {
		writes = append(writes, genOperation(d.T, d.story)...)
	}
	d.commit(writes...)
	d.feed()
	d.judgedAfter(writes)
}

func (d *driver) judgedAfter(writes []write) {
	for _, w := range writes {
		d.judged(w.quest, d.violated(w.quest), false)
	}
}

func (d *driver) large() {
	var writes []write
	for range rapid.IntRange(1, 4).Draw(d.T, "operations") {
		writes = append(writes, genOperation(d.T, d.story)...)
	}
	says := ""
	if rapid.Bool().Draw(d.T, "a repair") {
		says = repairOf(rapid.Int64Range(1, 3).Draw(d.T, "of"), int64(d.xid)+1)
	}
	d.commitNoted(writes, nil, says)
	d.feed()
	d.judgedAfter(writes)
}

func (d *driver) truncateSome() {
	e := rapid.SampledFrom([]change.Entity{change.Application, change.Participant}).Draw(d.T, "truncated")
	for _, q := range d.quests {
		if e == change.Application {
			clear(q.apps)
		} else {
			clear(q.parts)
		}
	}
	d.commitLarge(nil, []string{e.String()})
	d.feed()
	d.judgedAll()
}

func (d *driver) marked() {
	behind := change.Millis(rapid.SampledFrom([]int{0, 0, 300, 4000}).Draw(d.T, "behind"))
	d.mark(behind)
	d.feed()
	if !d.known {
		return
	}
	d.now = max(d.now, d.clock-behind)
	for key, l := range d.lives {
		l.open = l.open || l.since+testGrace(ruleOf(key)) <= d.now
		d.lives[key] = l
	}
}

func genStory(t *rapid.T) *driver {
	d := newDriver(t)
	if rapid.Bool().Draw(t, "something before the baseline") {
		d.together()
		d.marked()
	}
	d.baseline()
	d.known = true
	d.feed()
	d.judgedAll()
	for range rapid.IntRange(0, 40).Draw(t, "acts") {
		d.act()
	}
	return d
}

func TestCheckerAgainstTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { genStory(t) })
}

// TestRestartsChangeNothing reads the same stream in several runs. Each begins
// at the start with a new checker, publishes what comes after the last position
// published, and is killed at some message after some of its events.
func TestRestartsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genStory(t)
		var events []string
		var last event.Position
		for run := rapid.IntRange(0, 3).Draw(t, "restarts"); run >= 0; run-- {
			end := len(d.records)
			if run > 0 {
				end = rapid.IntRange(0, len(d.records)).Draw(t, "killed at")
			}
			checker := watch.NewChecker(testRules())
			for i, r := range d.records[:end] {
				found, err := checker.Take(r)
				if err != nil {
					t.Fatalf("%v", err)
				}
				for len(found) > 0 && len(events) > 0 && !found[0].Position.After(last) {
					found = found[1:]
				}
				if run > 0 && i == end-1 {
					found = found[:rapid.IntRange(0, len(found)).Draw(t, "published of the last")]
				}
				for j := range found {
					events, last = append(events, encode(t, &found[j])), found[j].Position
				}
			}
		}
		if diff := cmp.Diff(d.events, events); diff != "" {
			t.Fatalf("events (-one run +several):\n%s", diff)
		}
		if ids := slices.Compact(slices.Sorted(slices.Values(events))); len(ids) != len(events) {
			t.Fatalf("%d of %d events are distinct", len(ids), len(events))
		}
	})
}

// TestMissingColumn: rows without a column that a rule needs cannot be read, and
// must not stop the flow; the next baseline says when they can.
func TestMissingColumn(t *testing.T) {
	s := newStory()
	s.commit(s.assign(1, "ann", "open"))
	s.baseline()
	tx := s.transaction()
	tx.Message = 1
	s.control(change.Control{Kind: change.SchemaChanged, Transaction: &tx, Entities: []string{"quest"}, Missing: []string{"status"}})
	tx.Message, tx.Messages = 1, 1
	s.step(tx, false, 5, []change.Change{{Op: change.Create, Entity: change.Quest, After: change.Row(`{"id":5}`)}})
	before := len(s.records)
	s.quest(6)
	s.commit(s.setPair(6, change.Participant, "bob", "joined", true), s.assign(6, "bob", "in-progress"))
	s.baseline()
	c := watch.NewChecker(testRules())
	for i, r := range s.records {
		if _, err := c.Take(r); err != nil {
			t.Fatal(err)
		}
		if i == before && c.Known() {
			t.Error("known without a column")
		}
	}
	if !c.Known() || c.State().Len() != 2 || c.State().Quest(6) == nil {
		t.Errorf("after the baseline known is %v, with %d quests", c.Known(), c.State().Len())
	}
}

func TestMalformedMessages(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":         ``,
		"no JSON":         `hello`,
		"another object":  `{}`,
		"unknown control": `{"control":"melt","source":{"db":"","epoch":1,"snapshot":false}}`,
		"truncate of nothing known": `{"control":"truncate","entities":["user"],"transaction":{"id":1,"commit_lsn":2,"ts_ms":3,"message":1,"messages":0},` +
			`"source":{"db":"","epoch":1,"snapshot":false}}`,
		"row without status": `{"quest_id":1,"transaction":{"id":1,"commit_lsn":2,"ts_ms":3,"message":1,"messages":1},` +
			`"source":{"db":"","epoch":1,"snapshot":false},"changes":[{"op":"c","entity":"quest","after":{"id":1}}]}`,
	} {
		_, err := watch.NewChecker(testRules()).Take(change.Record{Seq: 7, Subject: "s", Data: []byte(data)})
		if !errors.Is(err, change.ErrMalformed) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestGapHasItsOwnTime: what is missing was noticed long after the last mark.
func TestGapHasItsOwnTime(t *testing.T) {
	s := newStory()
	s.baseline()
	s.mark(0)
	s.clock += 60_000
	s.control(change.Control{Kind: change.Gap, To: 5, Time: s.clock, Reason: "slot_lost"})
	c := watch.NewChecker(testRules())
	var last change.Millis
	for _, r := range s.records {
		found, err := c.Take(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 0 {
			last = found[len(found)-1].Event.Time
		}
	}
	if last != s.clock {
		t.Errorf("the gap was at %d, want %d", last, s.clock)
	}
}

// TestDeletedQuestHasNotHealed: softly, outright with children left, and with
// nothing left.
func TestDeletedQuestHasNotHealed(t *testing.T) {
	for name, remove := range map[string]func(s *story){
		"softly":   func(s *story) { s.commit(s.operate("delete softly", 1, "")...) },
		"outright": func(s *story) { s.commit(s.operate("delete", 1, "")...) },
		"with all": func(s *story) {
			s.commit(append(s.removePair(1, change.Application, "ann"), s.operate("delete", 1, "")...)...)
		},
	} {
		s := newStory()
		s.commit(s.assign(1, "", "open"))
		s.baseline()
		s.commit(s.setPair(1, change.Application, "ann", "approved", true))
		s.clock += 5000
		s.mark(0)
		remove(s)
		c := watch.NewChecker(testRules())
		var reasons []drift.Reason
		for _, r := range s.records {
			found, err := c.Take(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Transition != nil && f.Transition.What == drift.Resolved {
					reasons = append(reasons, f.Transition.Reason)
				}
			}
		}
		if !slices.Equal(reasons, []drift.Reason{drift.QuestGone}) {
			t.Errorf("%s: reasons %q", name, reasons)
		}
	}
}

// TestGapBeforeAnyMark: a stream that begins with a gap still says when it was.
func TestGapBeforeAnyMark(t *testing.T) {
	s := newStory()
	s.control(change.Control{Kind: change.Epoch, Time: s.clock, Reason: "start", Instance: "us"})
	s.control(change.Control{Kind: change.Gap, To: 5, Reason: "stream_behind"})
	c := watch.NewChecker(testRules())
	for _, r := range s.records {
		found, err := c.Take(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || found[0].Event.Time != s.clock {
			t.Errorf("message %d: %+v", r.Seq, found)
		}
	}
}
