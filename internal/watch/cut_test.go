package watch_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit/chronicle"
	"github.com/peerquest/questwatch/internal/watch"
)

// drawn are dice that a property test throws, and can throw again for less.
type drawn struct{ *rapid.T }

func (d drawn) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(d.T, "") }

// genDice are drawn, which makes plain streams, or fair.
func genDice(t *rapid.T) chronicle.Dice {
	if rapid.IntRange(0, 5).Draw(t, "fair") == 0 {
		return drawn{t}
	}
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
}

// checkStreams checks a property of whole streams, a tenth as often as others.
func checkStreams(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	was := checks.Value.String()
	n, err := strconv.Atoi(was)
	if err == nil {
		err = checks.Value.Set(strconv.Itoa(max(1, n/10)))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = checks.Value.Set(was) }() // what it was before can be set
	rapid.Check(t, property)
}

// genRecords is a small stream with everything in it.
func genRecords(t *rapid.T) (records []change.Record) {
	rules := testRules()
	c := written(&rules)
	c.Workflows, c.Quests, c.Faults = rapid.SampledFrom([]int{3, 20, 60, 150}).Draw(t, "workflows"), 6, rapid.Bool().Draw(t, "faults")
	c.EpisodeEvery = chronicle.Millis(rapid.SampledFrom([]int{0, 1000, 5000}).Draw(t, "episodes"))
	_, err := chronicle.Play(genDice(t), c, func(m *chronicle.Message, _ []chronicle.Told) error {
		records = append(records, wire(change.Seq(len(records)+1), m))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// took is what a checker says after each record.
func took(t *rapid.T, checker *watch.Checker, r change.Record) []watch.Found {
	found, err := checker.Take(r)
	if err != nil {
		t.Fatalf("%v: %s", err, r.Data)
	}
	return found
}

func readWhole(t *rapid.T, records []change.Record) (events []string) {
	checker := watch.NewChecker(testRules())
	for _, r := range records {
		found := took(t, checker, r)
		for i := range found {
			events = append(events, encode(t, &found[i]))
		}
	}
	return events
}

// TestCutsChangeNothing reads a stream in runs that are killed anywhere, with new checkers or with checkpoints, and
// publishes in batches of any size. What is published is what one run of one checker publishes.
func TestCutsChangeNothing(t *testing.T) {
	checkStreams(t, func(t *rapid.T) {
		records := genRecords(t)
		want := readWhole(t, records)
		p := publisher{T: t}
		for cuts := rapid.IntRange(0, 3).Draw(t, "cuts"); cuts > 0; cuts-- {
			p.run(records, rapid.IntRange(0, len(records)).Draw(t, "cut after"), true)
		}
		p.run(records, len(records), false)
		if diff := cmp.Diff(want, p.events); diff != "" {
			t.Fatalf("events (-one run +several):\n%s", diff)
		}
		if ids := slices.Compact(slices.Sorted(slices.Values(want))); len(ids) != len(want) {
			t.Fatalf("%d of %d events are distinct", len(ids), len(want))
		}
	})
}

// publisher is what survives a cut: the events that were published, and the checkpoints.
type publisher struct {
	*rapid.T
	events []string
	last   event.Position
	saved  []checkpoint
}

// checkpoint is of a checker that had taken so many records.
type checkpoint struct {
	taken int
	data  []byte
}

// begin is a checker at the start of the stream, or where any checkpoint was taken: a newer one may be damaged.
func (p *publisher) begin() (checker *watch.Checker, taken int) {
	n := rapid.IntRange(0, len(p.saved)).Draw(p.T, "checkpoint")
	if n == 0 {
		return watch.NewChecker(testRules()), 0
	}
	checker, err := readCheckpoint(p.saved[n-1].data)
	if err != nil {
		p.Fatalf("%v", err)
	}
	return checker, p.saved[n-1].taken
}

// run reads up to a record. A run that is killed has published some of its last batch.
func (p *publisher) run(records []change.Record, end int, killed bool) {
	checker, taken := p.begin()
	var batch []watch.Found
	for ; taken < end; taken++ {
		// Found is valid until the next Take.
		for _, f := range took(p.T, checker, records[taken]) {
			if len(p.events) == 0 || f.Position.After(p.last) {
				batch = append(batch, f)
			}
		}
		if len(batch) > 0 && taken < end-1 && rapid.Bool().Draw(p.T, "publish") {
			batch = p.publish(batch, len(batch))
		}
		if len(batch) == 0 && rapid.IntRange(0, 4).Draw(p.T, "save") == 4 {
			p.save(checker, taken+1)
		}
	}
	n := len(batch)
	if killed {
		n = rapid.IntRange(0, n).Draw(p.T, "published of the last batch")
	}
	p.publish(batch, n)
}

// save takes a checkpoint where there is one to be had: not in the middle of a transaction.
func (p *publisher) save(checker *watch.Checker, taken int) {
	if data, ok := writeCheckpoint(p.T, checker); ok {
		p.saved = append(p.saved, checkpoint{taken, data})
	}
}

func (p *publisher) publish(batch []watch.Found, n int) []watch.Found {
	for i := range batch[:n] {
		p.events, p.last = append(p.events, encode(p.T, &batch[i])), batch[i].Position
	}
	return nil
}

// TestPartitionsChangeNothing spreads a stream over several checkers, each of which sees the quests of its parts and
// all control records. Together they say what one says.
func TestPartitionsChangeNothing(t *testing.T) {
	checkStreams(t, func(t *rapid.T) {
		records := genRecords(t)
		n := rapid.IntRange(2, parts).Draw(t, "checkers")
		together := newSaid(t)
		for k := range n {
			checker := watch.NewChecker(testRules())
			for _, r := range records {
				if part, of := partOf(r); of && part%n != k {
					continue
				}
				for _, f := range took(t, checker, r) {
					together.hear(&f)
				}
			}
		}
		one := newSaid(t)
		checker := watch.NewChecker(testRules())
		for _, r := range records {
			for _, f := range took(t, checker, r) {
				one.hear(&f)
			}
		}
		if diff := cmp.Diff(one, together, cmp.AllowUnexported(said{}), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "T" }, cmp.Ignore())); diff != "" {
			t.Fatalf("events (-one checker +%d):\n%s", n, diff)
		}
	})
}

// partOf is the part of a record's quest; of is false for a control record.
func partOf(r change.Record) (part int, of bool) {
	tokens := strings.Split(r.Subject, ".")
	if tokens[2] == "control" {
		return 0, false
	}
	part, err := strconv.Atoi(tokens[2])
	if err != nil {
		panic(err) // wire wrote it
	}
	return part, true
}

func partOfQuest(id int64) int {
	h := fnv.New32a()
	fmt.Fprint(h, id)
	return int(h.Sum32() % parts)
}

// said is what checkers said, by the events' ids. The place of an event among those of its message is left out, and
// the counts of a baseline's summary are added up: each checker counts its own quests.
type said struct {
	*rapid.T
	events map[string]string
	counts map[string]int
}

func newSaid(t *rapid.T) *said { return &said{t, map[string]string{}, map[string]int{}} }

func (s *said) hear(f *watch.Found) {
	if b, ok := f.Event.Data.(event.Baseline); ok {
		s.counts[f.Event.ID+" quests"] += b.Quests
		s.counts[f.Event.ID+" findings"] += b.Findings
		b.Quests, b.Findings, b.ByRule, b.BySeverity = 0, 0, nil, nil
		f.Event.Data = b
	}
	var e map[string]any
	data, err := f.Event.Encode("test")
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		s.Fatalf("%v", err)
	}
	delete(e["data"].(map[string]any)["position"].(map[string]any), "index")
	text := fmt.Sprint(e)
	if was, known := s.events[f.Event.ID]; known && was != text {
		s.Fatalf("two events have the id %s:\n%s\n%s", f.Event.ID, was, text)
	}
	s.events[f.Event.ID] = text
}
