package main

import (
	"math"
	"testing"
)

// The limit holds where there is something to gain, and does not come and go.
func TestMemoryLimit(t *testing.T) {
	const none = math.MaxInt64
	for _, c := range []struct {
		live         uint64 // MiB
		before, want int64
	}{
		{0, 0, softLimit},
		{150, softLimit, softLimit},
		{unlimited >> 20, softLimit, softLimit},
		{unlimited>>20 + 1, softLimit, none},
		{unlimited>>20 + 1, none, none},
		{limitedAgain>>20 + 1, none, none},
		{limitedAgain >> 20, none, softLimit},
		{5000, 0, none},
	} {
		if got := memoryLimit(c.live<<20, c.before); got != c.want {
			t.Errorf("%d MiB live, limit %d before: limit %d, want %d", c.live, c.before, got, c.want)
		}
	}
}
