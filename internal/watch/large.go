package watch

import (
	"slices"

	"github.com/peerquest/questwatch/internal/quest"
)

// large is what is known of a transaction that is streamed as it comes, until its
// end is known.
type large struct {
	// touched are its quests: there can be very many.
	touched map[int64]touch
	// reversals are the approvals that it took back, as far as is known yet.
	reversals map[int64][]quest.Reversal
	// emptied says that it truncated a table.
	emptied bool
}

// touch is how a transaction found a quest.
type touch struct {
	order  uint32 // among those it touched
	status quest.Status
}

// touch notes a quest that is to be judged when the transaction ends, and what a
// part of it turned back there.
func (l *large) touch(id int64, t *quest.Turns) {
	if _, seen := l.touched[id]; !seen {
		if l.touched == nil {
			l.touched = map[int64]touch{}
		}
		l.touched[id] = touch{order: uint32(len(l.touched)), status: t.From}
	}
	if len(t.Reversals) > 0 {
		if l.reversals == nil {
			l.reversals = map[int64][]quest.Reversal{}
		}
		l.reversals[id] = append(l.reversals[id], t.Reversals...)
	}
}

// has reports whether the transaction has touched a quest.
func (l *large) has(id int64) bool {
	_, touched := l.touched[id]
	return touched
}

// quests lists the quests in the order in which the transaction touched them.
func (l *large) quests() []int64 {
	ids := make([]int64, len(l.touched))
	for id, t := range l.touched {
		ids[t.order] = id
	}
	return ids
}

// turns is what the transaction as a whole turned back in a quest as it is now.
func (l *large) turns(q *quest.Quest) *quest.Turns {
	if q == nil {
		return &quest.Turns{}
	}
	t := &quest.Turns{From: l.touched[q.ID].status}
	if q.Exists {
		t.To = q.Status
	}
	for _, r := range l.reversals[q.ID] {
		if q.IsPending(r.Application) && q.IsOf(r.Application, r.User) && !slices.ContainsFunc(t.Reversals, func(o quest.Reversal) bool { return o.Application == r.Application }) {
			t.Reversals = append(t.Reversals, r)
		}
	}
	return t
}
