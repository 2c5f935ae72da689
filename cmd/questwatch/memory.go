package main

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// gcPercent is GOGC for a program that streams. The embedded server keeps an
// index of what it has written lately: with Go's own 100 a large transaction would
// take as much again in garbage.
const gcPercent = 30

// A process of 256 MiB is promised for a million rows in one transaction. Some 35 of
// those are the program's own text and what the kernel counts beside the heap.
const (
	softLimit = 212 << 20
	// unlimited is how much live heap is too much for the limit: the collector would
	// run all the time for little. Such a heap has gcPercent of garbage again.
	unlimited = 172 << 20
	// limitedAgain is how little it must be for the limit to hold again.
	limitedAgain = 160 << 20
	// heapEvery is how often the heap is looked at.
	heapEvery = 250 * time.Millisecond
)

// saveMemory trades a little processor time for memory until ctx ends, unless GOGC
// or GOMEMLIMIT say how.
func saveMemory(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	ticks := time.NewTicker(heapEvery)
	defer ticks.Stop()
	for limit := int64(0); ; {
		if next := memoryLimit(liveHeap(), limit); next != limit {
			limit = next
			debug.SetMemoryLimit(limit)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// memoryLimit is the soft limit for a heap of which so much is live, after another.
// It holds only where it can: a large state that is simply there has none, else the
// collector would look for garbage that is not there.
func memoryLimit(live uint64, before int64) int64 {
	switch {
	case live > unlimited, live > limitedAgain && before == math.MaxInt64:
		return math.MaxInt64
	}
	return softLimit
}

// liveHeap is what the last collection left.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
