package watch_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/watch"
)

// BenchmarkCheckpoint writes and reads the state of a crowd of quests, apart from any
// store, and reports how long taking one holds up the checker: the snapshot itself,
// and the slowest thousandth of the messages behind it, which copy what they write to.
func BenchmarkCheckpoint(b *testing.B) {
	const quests = 200_000
	checker := watch.NewChecker(testRules())
	take := func(r change.Record) {
		if _, err := checker.Take(r); err != nil {
			b.Fatal(err)
		}
	}
	newCrowd(quests).baseline(take)
	day, _ := newCrowd(quests).day(20_000)
	var data bytes.Buffer
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			p, ok := checker.Snapshot()
			if !ok {
				b.Fatal("no snapshot")
			}
			data.Reset()
			if err := p.Write(&data, watch.Header{Quests: p.Quests()}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/quests, "ns/quest")
		b.ReportMetric(float64(data.Len())/quests, "B/quest")
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := readCheckpoint(data.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/quests, "ns/quest")
	})
	b.Run("pause", func(b *testing.B) {
		var taken time.Duration
		var messages []time.Duration
		for b.Loop() {
			start := time.Now()
			if _, ok := checker.Snapshot(); !ok {
				b.Fatal("no snapshot")
			}
			taken = max(taken, time.Since(start))
			for _, r := range day {
				start := time.Now()
				take(r)
				messages = append(messages, time.Since(start))
			}
		}
		b.ReportMetric(float64(taken.Microseconds()), "snapshot-µs")
		slices.Sort(messages)
		b.ReportMetric(float64(messages[len(messages)*999/1000].Microseconds()), "message-p99.9-µs")
	})
}
