package peerquest

import (
	"slices"
	"sync"
	"time"
)

// span is when something happened: not before lo, and not after hi.
type span struct{ lo, hi time.Time }

// violation is one stretch of time in which a rule did not hold.
type violation struct {
	key     Key
	cause   string
	xid     uint64
	start   span
	end     span // zero while it stands
	settled bool // the operation that began it is over
	blurred bool // nobody knows whether it was there at all
	mended  bool // somebody repaired it, who must have found it for that
}

// ledger keeps the violations of all quests that may have to be found. Each is written by the worker that owns its
// quest, under the ledger's lock, because Truth reads them at any time.
type ledger struct {
	mu    sync.Mutex
	grace time.Duration
	all   []*violation
	turns []Turn
}

func (l *ledger) begin(v *violation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, v)
}

// finish ends a violation, and forgets one that was too short to be seen.
func (l *ledger) finish(v *violation, end span, mended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v.end, v.mended = end, mended
	// Everybody ages from the commit, so anything below the grace would do; a tenth is for the clocks.
	if end.hi.Sub(v.start.lo) <= l.grace*9/10 && !v.blurred && !v.mended {
		// The newest are at the end, and it is they that end soon.
		if i := lastIndex(l.all, v); i >= 0 {
			l.all = slices.Delete(l.all, i, i+1)
		}
	}
}

func lastIndex(all []*violation, v *violation) int {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i] == v {
			return i
		}
	}
	return -1
}

// settle marks the violations that an operation left behind.
func (l *ledger) settle(standing map[Key]*violation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range standing {
		v.settled = true
	}
}

func (l *ledger) expectations() []Expectation {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Expectation
	for _, v := range l.all {
		stands := v.end.hi.IsZero()
		if stands && !v.settled {
			continue // in the middle of an operation
		}
		e := Expectation{
			Rule: v.key.Rule, QuestID: v.key.QuestID, UserID: v.key.UserID, Cause: v.cause, Severity: severityOf(v.cause),
			CommittedAt: v.start.hi, EndedAt: v.end.hi, EndedAfter: v.end.lo, XID: v.xid,
		}
		switch {
		case v.blurred || !stands && !v.mended && v.end.lo.Sub(v.start.hi) < l.grace+settle*8/10:
			e.Kind = Uncertain
		case e.Severity == "info":
			e.Kind = Legit
		default:
			e.Kind = Injected
		}
		out = append(out, e)
	}
	return out
}
