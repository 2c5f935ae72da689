package chronicle

import "container/heap"

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
	names := []string{"lag", "restart", "restart inside", "idle", "clock back", "baseline", "gap", "emptied"}
	name := names[w.dice.IntN(len(names))]
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
		if w.one(4) {
			return w.emptyAll()
		}
		w.tally.Episodes[name]--
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

// emptyAll empties the three tables, which ends all lives.
func (w *world) emptyAll() error {
	w.xid++
	w.lsn += 8
	tx := Transaction{ID: w.xid, CommitLSN: w.lsn, EndLSN: w.lsn + 48, Time: w.now0()}
	w.lsn += 56
	w.due = nil
	if err := w.streamed(tx, nil, []string{Quest, Application, Participant}); err != nil {
		return err
	}
	clear(w.lives)
	for range w.Quests {
		w.bear()
	}
	return nil
}
