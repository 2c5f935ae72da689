package watch_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/watch"
)

const benchQuests = 20_000

// BenchmarkJudge takes messages of a usual day: quests with three applications
// and one participant, approved, kicked, left and approved again, with marks in
// between. It reports row changes per second, and what the state of a quest
// takes in memory (titles are empty).
func BenchmarkJudge(b *testing.B) {
	baseline, day, changes := benchStream()
	before := heap()
	checker := watch.NewChecker(testRules())
	take := func(records []change.Record) {
		for _, r := range records {
			if _, err := checker.Take(r); err != nil {
				b.Fatal(err)
			}
		}
	}
	take(baseline)
	perQuest := float64(heap()-before) / benchQuests
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		take(day)
		n++
	}
	b.ReportMetric(float64(n*changes)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(n*len(day))/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(perQuest, "B/quest")
	runtime.KeepAlive(checker)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// benchStream is a baseline, and a day that leaves every quest as it was before.
func benchStream() (baseline, day []change.Record, changes int) {
	s := newStory()
	person := func(i int) string { return fmt.Sprintf("8f14e45f-ceea-467f-9b5c-%012d", i%5000) }
	for i := range benchQuests {
		id := int64(i + 1)
		s.assign(id, person(i), "in-progress")
		s.setPair(id, change.Application, person(i), "approved", true)
		s.setPair(id, change.Application, person(i+1), "rejected", true)
		s.setPair(id, change.Application, person(i+2), "rejected", true)
		s.setPair(id, change.Participant, person(i), "joined", true)
	}
	s.baseline()
	from := len(s.records)
	commit := func(writes ...write) {
		changes += len(writes)
		s.commit(writes...)
	}
	for i := range 2000 {
		id, u, other := int64(i+1), person(i), person(i+1)
		s.clock += 40
		commit(append(s.removePair(id, change.Participant, u), s.assign(id, "", "open"))...)
		commit(s.setPair(id, change.Application, other, "pending", false))
		commit(s.setPair(id, change.Application, other, "approved", false), s.setPair(id, change.Participant, other, "joined", false),
			s.assign(id, other, "in-progress"), s.setPair(id, change.Application, u, "rejected", false))
		commit(append(s.removePair(id, change.Participant, other), s.setPair(id, change.Application, other, "kicked", false), s.assign(id, "", "open"))...)
		commit(s.setPair(id, change.Application, u, "approved", false), s.setPair(id, change.Participant, u, "joined", false),
			s.assign(id, u, "in-progress"))
		if i%10 == 0 {
			s.mark(0)
		}
	}
	return s.records[:from], s.records[from:], changes
}
