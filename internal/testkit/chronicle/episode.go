package chronicle

import (
	"cmp"
	"container/heap"
	"slices"
)

// Episodes names what happens to the stream.
func Episodes() []string {
	return []string{"lag", "restart", "restart inside", "idle", "clock back", "baseline", "gap", "emptied"}
}

// episode is something that happens to the stream, and not to a quest.
func (w *world) episode() error {
	switch {
	case w.losing:
		if w.real < w.losingUntil {
			w.nextEpisode = w.losingUntil
			return nil
		}
		return w.baseline("slot_lost")
	case w.aboutToLose:
		w.nextEpisode = w.real + 100
		if !w.delicate() {
			w.aboutToLose, w.losing = false, true
			w.losingUntil = w.real + w.between(0, 8000)
			w.nextMark = max(w.nextMark, w.losingUntil)
		}
		return nil
	}
	name := pick(w.dice, Episodes())
	if w.one(2) { // each has its share
		name = slices.MinFunc(Episodes(), func(a, b string) int { return cmp.Compare(w.tally.Episodes[a], w.tally.Episodes[b]) })
	}
	w.tally.Episodes[name]++
	switch name {
	case "lag":
		w.lag(w.between(1000, 60_000))
	case "restart":
		if err := w.restart("resume"); err != nil {
			return err
		}
		w.lag(w.between(0, 30_000))
	case "restart inside":
		w.cut = true
	case "idle":
		w.idle(w.between(1000, 120_000))
	case "clock back":
		w.clock -= w.between(1, 5000)
	case "baseline":
		return w.baseline("columns_changed")
	case "gap":
		w.aboutToLose = true
	case "emptied":
		return w.empty()
	}
	return nil
}

// delicate reports whether a workflow is under way of which nothing may be lost.
func (w *world) delicate() bool {
	for _, l := range w.due {
		if l.delicate && len(l.queue) > 0 && !w.Faults {
			return true
		}
	}
	return false
}

func (w *world) lag(d Millis) {
	w.quiet = w.real + d
	w.nextMark = max(w.nextMark, w.quiet)
}

// idle leaves the quests alone for a while; what is under way is finished.
func (w *world) idle(d Millis) {
	for _, l := range w.due {
		if len(l.queue) == 0 {
			l.next += d
		}
	}
	heap.Init(&w.due)
}

// empty empties all three tables or, where things go wrong, one of them. What was under way does not go on.
func (w *world) empty() error {
	tables := []string{Quest, Application, Participant}
	if w.Faults && w.one(2) {
		tables = []string{pick(w.dice, tables)}
	}
	w.xid++
	w.lsn += 8
	tx := Transaction{ID: w.xid, CommitLSN: w.lsn, EndLSN: w.lsn + 48, Time: w.dbNow()}
	w.lsn += 56
	for _, l := range w.due {
		l.queue, l.before = nil, nil
	}
	if err := w.streamed(tx, nil, tables); err != nil {
		return err
	}
	w.bury()
	w.due = slices.DeleteFunc(w.due, func(l *life) bool { return l.steps > 0 && w.lives[l.id] == nil })
	heap.Init(&w.due)
	for len(w.due) < w.Quests && w.tally.Begun < w.Workflows {
		w.bear()
	}
	return nil
}

// empty removes its rows of some tables. Nobody left by it, and no approval failed by it.
func (l *life) empty(entities []string) {
	for _, e := range entities {
		switch e {
		case Quest:
			l.quest = nil
		case Application:
			l.withdrawAll()
		case Participant:
			for _, p := range l.parts {
				delete(l.why, key{MissingParticipant, p.User})
			}
			for _, a := range l.apps {
				if rowsOf(l.parts, a.User) > 0 {
					delete(l.approvals, a.ID)
				}
			}
			if l.quest != nil && l.takesPart(l.quest.User) {
				delete(l.why, key{AssigneeNotParticipant, l.quest.User})
			}
			l.parts = nil
		}
	}
}

// withdrawAll removes the applications. The approved ones are taken back by it, and no others explain anything any more.
func (l *life) withdrawAll() {
	for _, u := range usersWith(l.apps, approved) {
		l.withdrawn[u] = true
	}
	for _, a := range l.apps {
		delete(l.revoked, a.ID)
		if k := (key{OrphanParticipant, a.User}); l.withdrawn[a.User] {
			l.why[k] = revoked
		} else if l.why[k] == revoked {
			delete(l.why, k)
		}
	}
	l.apps = nil
}
