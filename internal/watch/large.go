package watch

import (
	"slices"

	"github.com/peerquest/questwatch/internal/quest"
)

// large is what is known of a transaction that is streamed as it comes, until its
// end is known.
type large struct {
	// touched lists its quests in the order in which it touched them. before has the
	// status of each before it did: there can be very many.
	touched []int64
	before  map[int64]quest.Status
	// reversals are the approvals that it took back, as far as is known yet.
	reversals map[int64][]quest.Reversal
	// emptied says that it truncated a table.
	emptied bool
}

// touch notes a quest that is to be judged when the transaction ends, and what a
// part of it turned back there.
func (l *large) touch(id int64, t *quest.Turns) {
	if _, seen := l.before[id]; !seen {
		if l.before == nil {
			l.before = map[int64]quest.Status{}
		}
		l.before[id] = t.From
		l.touched = append(l.touched, id)
	}
	if len(t.Reversals) > 0 {
		if l.reversals == nil {
			l.reversals = map[int64][]quest.Reversal{}
		}
		l.reversals[id] = append(l.reversals[id], t.Reversals...)
	}
}

// turns is what the transaction as a whole turned back in a quest as it is now.
func (l *large) turns(q *quest.Quest) *quest.Turns {
	if q == nil {
		return &quest.Turns{}
	}
	t := &quest.Turns{From: l.before[q.ID]}
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
