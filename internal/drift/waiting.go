package drift

import (
	"cmp"
	"container/heap"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// suspicion says when an entry that is suspected is to be opened. It names the entry
// and does not hold it: that one may have been replaced by a copy, or ended.
type suspicion struct {
	due   change.Millis
	quest int64
	about about
}

func (t *Tracker) wait(e *entry) {
	heap.Push(&t.waiting, &suspicion{e.Due, e.Quest, e.about()})
}

// waiting is a heap of suspicions, the first due first; ties by what they are
// about, so that the order never depends on how they came in.
type waiting struct {
	list  []*suspicion
	users *quest.Users
}

func (w *waiting) Len() int      { return len(w.list) }
func (w *waiting) Swap(i, j int) { w.list[i], w.list[j] = w.list[j], w.list[i] }
func (w *waiting) Push(s any)    { w.list = append(w.list, s.(*suspicion)) }
func (w *waiting) Less(i, j int) bool {
	a, b := w.list[i], w.list[j]
	return cmp.Or(
		cmp.Compare(a.due, b.due),
		cmp.Compare(a.quest, b.quest),
		cmp.Compare(a.about.rule, b.about.rule),
		cmp.Compare(w.users.Text(a.about.user), w.users.Text(b.about.user)),
	) < 0
}

func (w *waiting) Pop() any {
	last := len(w.list) - 1
	s := w.list[last]
	w.list[last] = nil
	w.list = w.list[:last]
	return s
}

// finder finds the entries of suspicions that end one after the other. Of a quest
// with very many it makes a map.
type finder struct {
	quest int64
	by    map[about]*entry
}

// find is the entry, to be changed, or nil when it is no more.
func (f *finder) find(t *Tracker, s *suspicion) *entry {
	entries := t.quests.own(s.quest)
	if len(entries) <= searchable {
		for _, e := range entries {
			if e.about() == s.about {
				return e
			}
		}
		return nil
	}
	if f.by == nil || f.quest != s.quest {
		f.quest, f.by = s.quest, make(map[about]*entry, len(entries))
		for _, e := range entries {
			f.by[e.about()] = e
		}
	}
	return f.by[s.about]
}
