package drift

import (
	"cmp"

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

func (t *Tracker) wait(e *entry) { t.waiting.push(suspicion{e.Due, e.Quest, e.about()}) }

// waiting is a heap of suspicions, the first due first; ties by what they are
// about, so that the order never depends on how they came in. Most suspicions are
// gone before they are due: the heap holds values, and leaves the collector nothing.
type waiting struct {
	list  []suspicion
	users *quest.Users
}

func (w *waiting) less(i, j int) bool {
	a, b := &w.list[i], &w.list[j]
	if a.due != b.due {
		return a.due < b.due
	}
	return cmp.Or(
		cmp.Compare(a.quest, b.quest),
		cmp.Compare(a.about.rule, b.about.rule),
		cmp.Compare(w.users.Text(a.about.user), w.users.Text(b.about.user)),
	) < 0
}

func (w *waiting) push(s suspicion) {
	w.list = append(w.list, s)
	for i := len(w.list) - 1; i > 0 && w.less(i, (i-1)/2); i = (i - 1) / 2 {
		w.list[i], w.list[(i-1)/2] = w.list[(i-1)/2], w.list[i]
	}
}

// pop takes the first one out.
func (w *waiting) pop() suspicion {
	first, last := w.list[0], len(w.list)-1
	w.list[0] = w.list[last]
	w.list = w.list[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < last && w.less(child+1, child) {
			child++
		}
		if child >= last || !w.less(child, i) {
			return first
		}
		w.list[i], w.list[child] = w.list[child], w.list[i]
		i = child
	}
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
