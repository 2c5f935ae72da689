package chronicle

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"slices"
)

// Config describes a chronicle.
type Config struct {
	// Workflows is how many are begun, and Quests how many quests live at once.
	Workflows, Quests int
	// Faults says that things go wrong too.
	Faults bool
	// Rules are those that are judged, and Grace is theirs. No violation that is to pass lasts for Limit.
	Rules []string
	Grace func(rule string) Millis
	Limit Millis
	// Jitter is by how much a commit's time may lie before its place in the log.
	Jitter Millis
	// EpisodeEvery is the time between two episodes in the stream's life; 0 is a quiet one.
	EpisodeEvery Millis
	// Lifetime is how many workflows a quest lives through at most.
	Lifetime int
}

// Tally counts what a chronicle had in it.
type Tally struct {
	Workflows, Episodes map[string]int
	Begun, Quests       int
	Transactions        int
	Messages            int
	Virtual             Millis
	// Told counts the findings that must be opened, as "rule cause severity", and the events that are none, as "what
	// reason severity".
	Told map[string]int
}

// Play plays a chronicle: hear gets each message and what must be told after it, in no order.
func Play(dice Dice, c Config, hear func(*Message, []Told) error) (Tally, error) {
	w := &world{
		Config: c, dice: dice, hear: hear, ordinary: ordinary(), faults: faults(),
		lives:  map[int64]*life{},
		keeper: keeper{grace: c.Grace, judged: map[string]bool{}, counts: map[string]int{}},
		stream: stream{lsn: 1000, clock: 1_782_912_000_000, epoch: 1},
		tally:  Tally{Workflows: map[string]int{}, Episodes: map[string]int{}},
	}
	for _, r := range c.Rules {
		w.judged[r] = true
	}
	err := w.run()
	w.tally.Told = w.counts
	w.tally.Virtual = w.real
	return w.tally, err
}

// Ordinary names the workflows that leave nothing wrong above info.
func Ordinary() []string { return names(ordinary()) }

// Faults names what goes wrong.
func Faults() []string { return names(faults()) }

func names(all []workflow) (list []string) {
	for _, f := range all {
		list = append(list, f.name)
	}
	return list
}

// world is everything at one moment.
type world struct {
	Config
	keeper
	stream
	dice             Dice
	hear             func(*Message, []Told) error
	ordinary, faults []workflow
	lives            map[int64]*life
	due              queue
	ids              int64
	tally            Tally
}

func (w *world) nextID() int64 {
	w.ids++
	return w.ids
}

// between is a number from a to b.
func (w *world) between(a, b Millis) Millis { return a + Millis(w.dice.IntN(int(b-a)+1)) }

func (w *world) one(in int) bool { return w.dice.IntN(in) == in-1 }

// run lets time pass until all is told.
func (w *world) run() error {
	w.losing = true // what was there before the stream
	for range w.Quests {
		w.bear()
	}
	for w.tally.Begun < min(w.Quests*2, w.Workflows/4) {
		if err := w.act(); err != nil {
			return err
		}
	}
	if err := w.baseline("start"); err != nil {
		return err
	}
	w.nextMark, w.nextEpisode = w.real, w.real+w.EpisodeEvery
	for len(w.due) > 0 {
		if err := w.pass(); err != nil {
			return err
		}
	}
	if w.losing {
		if err := w.baseline("slot_lost"); err != nil {
			return err
		}
	}
	return w.idleOut()
}

// pass does the next thing that is due.
func (w *world) pass() error {
	life := w.due[0].next
	switch {
	case w.EpisodeEvery > 0 && w.nextEpisode < min(life, w.nextMark):
		w.real = max(w.real, w.nextEpisode)
		w.nextEpisode = w.real + w.between(w.EpisodeEvery/2, w.EpisodeEvery*3/2)
		return w.episode()
	case w.nextMark < life, w.nextMark == life && w.one(2):
		w.real = max(w.real, w.nextMark)
		return w.mark()
	}
	return w.act()
}

// bear makes a quest that will come to life.
func (w *world) bear() {
	if w.tally.Begun >= w.Workflows {
		return
	}
	l := newLife(w.nextID())
	l.next = w.real + w.between(0, 3000)
	heap.Push(&w.due, l)
	w.tally.Quests++
}

// act has the next quest commit its next piece, alone or together with others.
func (w *world) act() error {
	var acting []*life
	n := 1
	if w.one(12) {
		n += w.dice.IntN(4)
	}
	if len(w.due) == 0 {
		return nil
	}
	w.real = max(w.real, w.due[0].next)
	for len(acting) < n && len(w.due) > 0 && w.due[0].next <= w.real+50 {
		l := heap.Pop(&w.due).(*life)
		if len(l.queue) == 0 && !w.begin(l) {
			continue // it has come to its end
		}
		if l.queue[0].report != nil { // nothing that others could be part of
			if len(acting) > 0 {
				heap.Push(&w.due, l)
				break
			}
			n = 1
		}
		acting = append(acting, l)
	}
	if len(acting) == 0 {
		return nil
	}
	if err := w.commitOrReport(acting); err != nil {
		return err
	}
	for _, l := range acting {
		if err := w.carryOn(l); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) commitOrReport(acting []*life) error {
	if l := acting[0]; l.queue[0].report != nil {
		failed := *l.queue[0].report
		l.queue = l.queue[1:]
		return w.report(l, failed)
	}
	return w.commit(acting)
}

// carryOn says when a quest's next piece is due, or its next workflow.
func (w *world) carryOn(l *life) error {
	if len(l.queue) > 0 {
		l.next = w.real + l.queue[0].pause
		heap.Push(&w.due, l)
		return nil
	}
	if err := l.checkLeaves(); err != nil {
		return err
	}
	if l.seen == nil && l.wounded() && !w.Faults {
		return fmt.Errorf("%q on quest %d left %v", l.doing, l.id, l.explained())
	}
	l.next = w.real + w.rest(l)
	heap.Push(&w.due, l)
	return nil
}

// rest is how long a quest is left alone: sometimes just as long as it takes to find what is wrong with it.
func (w *world) rest(l *life) Millis {
	for _, v := range sorted(l.standing) {
		if !v.open && w.one(4) {
			if until := v.Due - w.dbNow() + w.between(0, 2) - 1; until > 0 {
				return until
			}
		}
	}
	return w.between(0, 6000)
}

func sorted(standing map[key]*violation) []*violation {
	return slices.SortedFunc(maps.Values(standing), func(a, b *violation) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.User, b.User))
	})
}

// queue is the quests that something will happen to, the next one first.
type queue []*life

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(l any)   { *q = append(*q, l.(*life)) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].next, q[j].next), cmp.Compare(q[i].id, q[j].id)) < 0
}

func (q *queue) Pop() any {
	old := *q
	l := old[len(old)-1]
	*q = old[:len(old)-1]
	return l
}
