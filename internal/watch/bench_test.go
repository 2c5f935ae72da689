//go:build unix

package watch_test

import (
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/watch"
)

// BenchmarkJudge takes the messages of a usual day: quests with three applications
// and one participant, left, approved, kicked and approved again, with marks in
// between. It reports row changes per second of time and of a core, and what the
// state of a quest takes in memory (titles are empty).
func BenchmarkJudge(b *testing.B) {
	judgeDays(b, 20_000, 2_000)
}

// BenchmarkJudgeMillion is the same with a million quests, and reports the pauses
// for garbage collection, through the baseline and through days with a collection
// beside each. The longest one says little where others use the machine: who is
// stopped waits for a core too.
func BenchmarkJudgeMillion(b *testing.B) {
	before := pauses()
	take, day := judgeDays(b, 1_000_000, 20_000)
	for range 5 {
		collected := make(chan struct{})
		go func() {
			defer close(collected)
			runtime.GC()
		}()
		for _, r := range day {
			take(r)
		}
		<-collected
	}
	median, longest := between(before, pauses())
	b.ReportMetric(longest*1000, "gc-pause-ms")
	b.ReportMetric(median*1000, "gc-pause-median-ms")
}

// judgeDays measures busy days of a crowd of quests, and returns what takes a message
// and the messages of a day.
func judgeDays(b *testing.B, quests, busy int) (take func(change.Record), day []change.Record) {
	day, changes := newCrowd(quests).day(busy)
	before := heap()
	checker := watch.NewChecker(testRules())
	take = func(r change.Record) {
		if _, err := checker.Take(r); err != nil {
			b.Fatal(err)
		}
	}
	newCrowd(quests).baseline(take)
	perQuest := float64(heap()-before) / float64(quests)
	b.ReportAllocs()
	n, cpu := 0, cpuTime(b)
	for b.Loop() {
		for _, r := range day {
			take(r)
		}
		n++
	}
	cpu = cpuTime(b) - cpu
	b.ReportMetric(float64(n*changes)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(n*changes)/cpu.Seconds(), "changes/cpu-s")
	b.ReportMetric(float64(n*len(day))/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(perQuest, "B/quest")
	return take, day
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// cpuTime is what the process has used, collector and kernel included. On a
// machine that others use too it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pauses counts how often the collector has stopped the program, by how long.
func pauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// between bounds the median and the longest of the pauses between two counts, in
// seconds.
func between(before, after *metrics.Float64Histogram) (median, longest float64) {
	total, seen := uint64(0), uint64(0)
	for i := range after.Counts {
		total += after.Counts[i] - before.Counts[i]
	}
	for i := range after.Counts {
		n := after.Counts[i] - before.Counts[i]
		if n == 0 {
			continue
		}
		longest = after.Buckets[i+1]
		if seen += n; median == 0 && 2*seen >= total {
			median = longest
		}
	}
	return median, longest
}
