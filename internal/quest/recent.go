package quest

import "math"

// Recent remembers which transactions touched which quests lately, in bounded
// memory. It is there to compare a State with a snapshot of the database that does
// not see the newest transactions of the stream. The zero value is ready: it says
// that it does not know what was applied before.
type Recent struct {
	touches []touch // a ring, once it is full
	next    uint64  // how many there have been since Forget
	// floor: transactions below it may have touched quests of which nothing is here.
	floor uint64
	// settled says that floor is known; it is above every transaction otherwise.
	settled bool
}

type touch struct {
	xid   uint64
	quest int64
}

// recentKept is how many touches are kept, half a megabyte of them.
const recentKept = 1 << 15

// Touch notes that a transaction touched a quest.
func (r *Recent) Touch(xid uint64, quest int64) {
	t := touch{xid, quest}
	if len(r.touches) < recentKept {
		r.touches = append(r.touches, t)
		r.next++
		return
	}
	at := &r.touches[r.next%recentKept]
	if lost := at.xid + 1; lost > r.floor {
		r.floor = lost
	}
	*at = t
	r.next++
}

// TouchAll notes that a transaction touched all quests there are.
func (r *Recent) TouchAll(xid uint64) { r.floor = max(r.floor, xid+1) }

// Forget is for when a baseline has replaced the state: nobody knows whose doing
// it is.
func (r *Recent) Forget() {
	*r = Recent{touches: r.touches[:0]}
}

// Settled reports whether Floor is known.
func (r *Recent) Settled() bool { return r.settled }

// Settle makes Floor known: all that was applied before the transactions that are
// remembered has an id below xid.
func (r *Recent) Settle(xid uint64) {
	if !r.settled {
		r.floor, r.settled = max(r.floor, xid), true
	}
}

// Floor is above all transactions that may have touched quests of which Each says
// nothing.
func (r *Recent) Floor() uint64 {
	if !r.settled {
		return math.MaxUint64
	}
	return r.floor
}

// Each calls fn for what is remembered, oldest first.
func (r *Recent) Each(fn func(xid uint64, quest int64)) {
	for n := r.next - uint64(len(r.touches)); n < r.next; n++ {
		t := r.touches[n%recentKept]
		fn(t.xid, t.quest)
	}
}
