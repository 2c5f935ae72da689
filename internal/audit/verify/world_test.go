package verify

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
)

// world is a database with its stream and its checker. Whenever somebody looks at
// it, it moves on a little: transactions begin, commit, come to the checker, and are
// seen by others, in this order but for the last two, which come in any.
type world struct {
	mu      sync.Mutex // tests look at a world that goes on
	rng     *rand.Rand
	restful bool // nothing moves any more

	next      uint64 // transaction id
	ended     uint64 // the newest that has ended for all
	lsn       change.LSN
	open      map[uint64]*transaction // that hold locks: under way, or not seen yet
	log       []*transaction          // in the order of their commits
	applied   int                     // of log
	late      float64                 // the share of commits that are not seen for long
	state     *quest.State
	view      View
	database  map[int64]string // titles, as those who see everything see them
	published []event.Event
	restated  int
	stalled   bool
	moments   int
	read      int // quests
	hurried   bool
	lists     func() // is called before each look
}

type transaction struct {
	xid       uint64
	at        change.LSN // of its commit
	quests    map[int64]string
	committed bool
	patience  int
}

func newWorld(seed uint64, quests int) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), next: 100, ended: 99, lsn: 1000, open: map[uint64]*transaction{}, database: map[int64]string{},
		state: quest.NewState(change.PeerQuest(), quest.PeerQuest()), lists: func() {},
	}
	w.view = View{State: w.state, Recent: &quest.Recent{}, Known: true, CaughtUp: true, Passed: w.lsn, Generation: Generation{1, 1}}
	for id := range int64(quests) {
		w.database[id*3] = "old"
		w.put(id*3, "old")
	}
	return w
}

func questRow(id int64, title string) change.Row {
	row := change.AppendText(change.AppendValue(nil, "id", fmt.Append(nil, id)), "title", title)
	return change.CloseRow(change.AppendText(row, "status", "open"))
}

// put changes the checker's state; "" takes the quest away.
func (w *world) put(id int64, title string) {
	c := change.Change{Op: change.Update, Entity: change.Quest, After: questRow(id, title)}
	if title == "" {
		c = change.Change{Op: change.Delete, Entity: change.Quest, Before: questRow(id, "x")}
	}
	if _, err := w.state.Apply(&change.Step{QuestID: id, Changes: []change.Change{c}}); err != nil {
		panic(err)
	}
}

// move lets something happen.
func (w *world) move() {
	for range w.rng.IntN(6) {
		if w.restful {
			return
		}
		switch w.rng.IntN(5) {
		case 0:
			w.begin()
		case 1, 2:
			w.end()
		case 3:
			w.apply()
		case 4:
			if w.applied == len(w.log) { // a progress mark
				w.view.Passed = w.lsn
			}
		}
	}
}

func (w *world) begin() {
	tx := &transaction{xid: w.next, quests: map[int64]string{}}
	w.next++
	ids := slices.Sorted(maps.Keys(w.database))
	for range 1 + w.rng.IntN(3) {
		id := int64(w.rng.IntN(3000))
		if w.rng.IntN(2) == 0 && len(ids) > 0 {
			id = ids[w.rng.IntN(len(ids))]
		}
		if !w.locked(id) {
			tx.quests[id] = fmt.Sprint("by ", tx.xid)
			if w.rng.IntN(6) == 0 {
				tx.quests[id] = ""
			}
		}
	}
	if w.rng.Float64() < w.late {
		tx.patience = 200
	}
	w.open[tx.xid] = tx
}

func (w *world) locked(id int64) bool {
	for _, tx := range w.open {
		if _, touches := tx.quests[id]; touches {
			return true
		}
	}
	return false
}

// end commits a transaction, or lets others see one.
func (w *world) end() {
	if len(w.open) == 0 {
		return
	}
	ids := slices.Sorted(maps.Keys(w.open))
	tx := w.open[ids[w.rng.IntN(len(ids))]]
	switch {
	case !tx.committed && w.rng.IntN(8) == 0: // it is rolled back
		delete(w.open, tx.xid)
		w.ended = max(w.ended, tx.xid)
	case !tx.committed:
		tx.committed, tx.at = true, w.lsn
		w.lsn += 10
		w.log = append(w.log, tx)
	case tx.patience > 0:
		tx.patience--
	default:
		w.see(tx)
	}
}

func (w *world) see(tx *transaction) {
	delete(w.open, tx.xid)
	w.ended = max(w.ended, tx.xid)
	for id, title := range tx.quests {
		if w.database[id] = title; title == "" {
			delete(w.database, id)
		}
	}
}

// apply has a transaction come to the checker.
func (w *world) apply() {
	if w.applied == len(w.log) {
		return
	}
	tx := w.log[w.applied]
	w.applied++
	w.view.Passed = tx.at
	for id, title := range tx.quests {
		w.put(id, title)
		w.view.Recent.Touch(tx.xid, id)
	}
}

// settle lets everything end that is under way.
func (w *world) settle() {
	for _, xid := range slices.Sorted(maps.Keys(w.open)) {
		tx := w.open[xid]
		if !tx.committed {
			delete(w.open, xid)
			w.ended = max(w.ended, xid)
			continue
		}
		w.see(tx)
	}
	for w.applied < len(w.log) {
		w.apply()
	}
	w.view.Passed = w.lsn
}

func (w *world) Look(fn func(*View) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lists()
	w.move()
	w.view.Sequence++
	return fn(&w.view)
}

func (w *world) Hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.applied < len(w.log) && !w.restful {
		w.apply()
	}
	w.hurried, w.view.Passed = true, w.lsn
}

func (w *world) Streaming() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.stalled
}

func (w *world) Restate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restated++
}

func (w *world) Publish(_ context.Context, events []event.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.published = append(w.published, events...)
	return nil
}

func (w *world) NextXID(context.Context) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = w.next
	w.next++
	return w.next, nil
}

// snapshot is what a snapshot sees.
type snapshot struct {
	world  *world
	titles map[int64]string
}

func (w *world) Moment(_ context.Context, fn func(At, Rows) error) error {
	return fn(w.snapshot())
}

func (w *world) snapshot() (At, Rows) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moments++
	s := snapshot{w, maps.Clone(w.database)}
	// The snapshot's end is behind the newest transaction that has ended for all: that
	// is how Postgres does it.
	at := At{Visible: change.Visible{Xmin: w.ended + 1, Xmax: w.ended + 1}}
	for _, xid := range slices.Sorted(maps.Keys(w.open)) {
		if xid < at.Visible.Xmax {
			at.Visible.UnderWay = append(at.Visible.UnderWay, xid)
			at.Visible.Xmin = min(at.Visible.Xmin, xid)
		}
	}
	w.move()
	at.LSN = w.lsn
	w.move()
	return at, s
}

func (s snapshot) Digests(_ context.Context, starts []int64, last int64) ([]quest.Digest, error) {
	s.world.with(s.world.move)
	digests := make([]quest.Digest, len(starts))
	for id, title := range s.titles {
		i, found := slices.BinarySearch(starts, id)
		if !found {
			i--
		}
		if i < 0 || id > last {
			continue
		}
		var texts quest.Texts
		texts.Add(&quest.Quest{ID: id, Exists: true, Title: title, Status: quest.Open}, quest.NewUsers())
		texts.Digest(&digests[i])
	}
	return digests, nil
}

func (s snapshot) Range(_ context.Context, first, last int64, fn func(int64, []change.Change) error) error {
	return s.read(func(id int64) bool { return id >= first && id <= last }, fn)
}

func (s snapshot) Quests(_ context.Context, ids []int64, fn func(int64, []change.Change) error) error {
	return s.read(func(id int64) bool { return slices.Contains(ids, id) }, fn)
}

func (s snapshot) read(wanted func(int64) bool, fn func(int64, []change.Change) error) error {
	for _, id := range slices.Sorted(maps.Keys(s.titles)) {
		if !wanted(id) {
			continue
		}
		s.world.with(func() {
			s.world.move()
			s.world.read++
		})
		if err := fn(id, []change.Change{{Op: change.Read, Entity: change.Quest, After: questRow(id, s.titles[id])}}); err != nil {
			return err
		}
	}
	return nil
}

// with does something while the world stands still.
func (w *world) with(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

// verifier is one for the world.
func (w *world) verifier(c Config) *Verifier {
	c.Namespace, c.Schema, c.Statuses = "test", change.PeerQuest(), quest.PeerQuest()
	return New(c, w, w, w, w, slog.New(slog.DiscardHandler))
}
