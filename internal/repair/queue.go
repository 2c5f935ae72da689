package repair

import (
	"container/heap"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/rule"
)

// item is a finding that waits to be repaired, or to be seen to end.
type item struct {
	finding string
	quest   int64
	rule    rule.Rule
	due     time.Time
	tries   int
	// carried says that it was repaired: it is due when it should have ended long ago,
	// which the stream must have come to, at a time called shown.
	carried bool
	shown   change.Millis
	gone    bool // it is in the line still, and is nobody's any more
}

// queue has a line for each rule, so that one whose budget is spent holds up no
// other. It has no lock.
type queue struct {
	items map[string]*item
	lines map[rule.Rule]*line
	busy  map[int64]bool // quests at work: two of one would wait for each other
}

func newQueue() *queue {
	q := &queue{items: map[string]*item{}, lines: map[rule.Rule]*line{}, busy: map[int64]bool{}}
	for _, r := range rule.All {
		q.lines[r] = &line{}
	}
	return q
}

// add puts a finding in line that is not in it.
func (q *queue) add(finding string, questID int64, r rule.Rule, due time.Time) {
	if q.items[finding] != nil {
		return
	}
	it := &item{finding: finding, quest: questID, rule: r, due: due}
	q.items[finding] = it
	heap.Push(q.lines[r], it)
}

// remove forgets a finding, unless it is being worked on: then it ends there.
func (q *queue) remove(finding string) {
	if it := q.items[finding]; it != nil {
		it.gone = true
		delete(q.items, finding)
	}
}

// again puts an item back that was taken.
func (q *queue) again(it *item, due time.Time) {
	if it.due = due; !it.gone {
		heap.Push(q.lines[it.rule], it)
	}
}

// done says that the work on an item is over, for now.
func (q *queue) done(it *item) {
	delete(q.busy, it.quest)
}

// aside is how long an item is put off whose quest is at work.
const aside = 20 * time.Millisecond

// take takes the item that has been due the longest and may be worked on, or says
// how long to wait. wait is how long a rule has to; what was carried out has not to.
func (q *queue) take(now time.Time, wait func(rule.Rule) time.Duration) (*item, time.Duration) {
	var first *item
	sleep := time.Hour
	for _, r := range rule.All {
		it := q.head(r, now)
		if it == nil {
			continue
		}
		left := it.due.Sub(now)
		if !it.carried {
			left = max(left, wait(r))
		}
		switch {
		case left > 0:
			sleep = min(sleep, left)
		case first == nil || it.due.Before(first.due):
			first = it
		}
	}
	if first == nil {
		return nil, sleep
	}
	heap.Pop(q.lines[first.rule])
	q.busy[first.quest] = true
	return first, 0
}

// head is the first of a line whose quest is not at work.
func (q *queue) head(r rule.Rule, now time.Time) *item {
	l := q.lines[r]
	for l.Len() > 0 {
		switch it := (*l)[0]; {
		case it.gone:
			heap.Pop(l)
		case q.busy[it.quest] && !it.due.After(now):
			it.due = now.Add(aside)
			heap.Fix(l, 0)
		default:
			return it
		}
	}
	return nil
}

// line is the items of a rule, a heap by when they are due.
type line []*item

func (l line) Len() int           { return len(l) }
func (l line) Less(i, j int) bool { return l[i].due.Before(l[j].due) }
func (l line) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *line) Push(x any)        { *l = append(*l, x.(*item)) }

func (l *line) Pop() any {
	last := len(*l) - 1
	it := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return it
}
