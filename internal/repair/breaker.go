package repair

import (
	"fmt"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// Limits are where the breaker trips.
type Limits struct {
	// Opened is how many findings may open within a minute, Percent how many in a hundred
	// quests; 0 is no limit. Only findings of warning and above count, and those that
	// a baseline shows do not.
	Opened, Percent int
}

// atLeast is what the limit by percent never goes below: in a handful of quests
// one finding is many in a hundred.
const atLeast = 10

// counted is the time in which the findings are counted that opened.
const counted = time.Minute

// breaker counts the findings that opened lately, by stream time: reading the
// stream again counts the same. Once it has tripped it counts no more until it is
// reset, so that it has no more entries than its limit.
type breaker struct {
	limits Limits
	quests int
	opened []opening // by time
	known  map[string]bool
	newest change.Millis
	// forgiven is up to when nothing counts: somebody has resumed repairs knowing of it.
	forgiven change.Millis
	tripped  string // why, or ""
	// taken says that what follows from it was seen to.
	taken bool
}

type opening struct {
	finding string
	at      change.Millis
}

func newBreaker(l Limits) *breaker { return &breaker{limits: l, known: map[string]bool{}} }

// add takes in a finding that opened.
func (b *breaker) add(finding string, at change.Millis) {
	b.newest = max(b.newest, at)
	if b.tripped != "" || at <= b.forgiven || b.known[finding] {
		return
	}
	i, _ := slices.BinarySearchFunc(b.opened, at, func(o opening, at change.Millis) int { return int(o.at - at) })
	b.opened = slices.Insert(b.opened, i, opening{finding, at})
	b.known[finding] = true
	b.forget(b.newest.Add(-counted))
	b.check()
}

// check trips the breaker when more have opened than may.
func (b *breaker) check() {
	if limit, why := b.limit(); b.tripped == "" && limit > 0 && len(b.opened) > limit {
		b.tripped = fmt.Sprintf("more than %d findings opened within a minute, %s", limit, why)
	}
}

// forget drops what opened before a time.
func (b *breaker) forget(before change.Millis) {
	n := 0
	for n < len(b.opened) && b.opened[n].at <= before {
		delete(b.known, b.opened[n].finding)
		n++
	}
	b.opened = slices.Delete(b.opened, 0, n)
}

func (b *breaker) limit() (n int, why string) {
	n, why = b.limits.Opened, "which is the limit"
	if b.limits.Percent > 0 && b.quests > 0 {
		share := max(atLeast, b.limits.Percent*b.quests/100)
		if n == 0 || share < n {
			return share, fmt.Sprintf("which is the limit for %d quests", b.quests)
		}
	}
	return n, why
}

// reset begins to count anew.
func (b *breaker) reset() {
	b.tripped, b.taken, b.forgiven, b.opened = "", false, b.newest, nil
	clear(b.known)
}
