package chronicle

import (
	"cmp"
	"maps"
	"slices"
)

// stream is where the stream stands, and the clocks.
type stream struct {
	// real is how much time has really passed; the database's clock reads clock+real.
	real, clock Millis
	lsn, xid    uint64
	epoch       uint64

	nextMark, nextEpisode Millis
	// quiet is until when no mark comes: the stream lags.
	quiet Millis
	// losing: what is committed does not reach the stream. aboutToLose waits for delicate workflows to end.
	losing, aboutToLose bool
	losingUntil         Millis
	lost                int // transactions
	// cut: the writer will restart within the next transaction of several messages.
	cut bool
}

// dbNow is what the database's clock reads.
func (s *stream) dbNow() Millis { return s.clock + s.real }

func (w *world) emit(m *Message, told []Told) error {
	m.Epoch = w.epoch
	w.tally.Messages++
	return w.hear(m, told)
}

// commit commits the next piece of each quest, as one transaction.
func (w *world) commit(acting []*life) error {
	w.tally.Transactions++
	writes := make([]written, len(acting))
	for i, l := range acting {
		p := &l.queue[0]
		l.queue = l.queue[1:]
		writes[i] = w.carryOut(l, p)
		w.lives[l.id] = l
	}
	if w.losing {
		w.lost++
		return nil
	}
	defer w.bury()
	w.xid++
	w.lsn += 8
	tx := Transaction{ID: w.xid, CommitLSN: w.lsn, EndLSN: w.lsn + 48, Time: w.dbNow()}
	w.lsn += 56
	if w.Jitter > 0 && w.one(4) {
		tx.Time -= w.between(0, w.Jitter)
	}
	if w.one(10) {
		return w.streamed(tx, writes, nil)
	}
	return w.held(tx, writes)
}

// written is what a transaction did to a quest.
type written struct {
	*life
	changes []Change
	was     string // the quest's status before
}

func (w *world) carryOut(l *life, p *piece) written {
	done := written{life: l}
	if l.quest != nil {
		done.was = l.quest.Status
	}
	if !w.losing {
		done.changes = p.apply(l.tables)
		l.explain(p, done.changes)
		return done
	}
	if l.seen == nil {
		l.seen = l.clone()
	}
	p.apply(l.tables)
	l.blurred = true
	for k := range p.why {
		l.lost = append(l.lost, k)
	}
	return done
}

// held tells a transaction with one message for each quest.
func (w *world) held(tx Transaction, writes []written) error {
	tx.Messages = len(writes)
	for i := range writes {
		if err := w.restartInside(i > 0); err != nil {
			return err
		}
		tx.Message = i + 1
		m := &Message{Kind: Step, Transaction: tx, Quest: writes[i].id, Changes: writes[i].changes}
		if err := w.emit(m, w.judgeWritten(&writes[i], w.after(&tx))); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) judgeWritten(d *written, at where) []Told {
	told := w.judge(d.life, at)
	return append(told, w.turned(d, at)...)
}

func (w *world) after(tx *Transaction) where {
	return where{epoch: w.epoch, xid: tx.ID, lsn: tx.CommitLSN, time: tx.Time}
}

// streamed tells a transaction as it comes, its quests' rows in stretches of any length, and its end.
func (w *world) streamed(tx Transaction, writes []written, emptied []string) error {
	end := tx.EndLSN
	tx.EndLSN, tx.Messages = 0, 0
	left := slices.Clone(writes)
	for len(left) > 0 {
		i := w.dice.IntN(len(left))
		n := 1 + w.dice.IntN(len(left[i].changes))
		if err := w.restartInside(tx.Message > 0); err != nil {
			return err
		}
		tx.Message++
		if err := w.emit(&Message{Kind: Step, Transaction: tx, Quest: left[i].id, Changes: left[i].changes[:n]}, nil); err != nil {
			return err
		}
		if left[i].changes = left[i].changes[n:]; len(left[i].changes) == 0 {
			left = slices.Delete(left, i, i+1)
		}
	}
	var told []Told
	if emptied != nil {
		tx.Message++
		if err := w.emit(&Message{Kind: Truncate, Transaction: tx, Entities: emptied}, nil); err != nil {
			return err
		}
		for _, l := range w.lives {
			l.empty(emptied)
		}
	}
	if err := w.restartInside(tx.Message > 0); err != nil {
		return err
	}
	tx.Message++
	tx.EndLSN = end
	if emptied != nil {
		told = w.judgeAll(w.lives, w.after(&tx))
	}
	for i := range writes {
		told = append(told, w.judgeWritten(&writes[i], w.after(&tx))...)
	}
	return w.emit(&Message{Kind: TxEnd, Transaction: tx}, told)
}

// mark tells a reading of the clock. It may be an old one, but what committed before it is above, the jitter aside.
func (w *world) mark() error {
	if w.losing {
		w.nextMark = w.real + 250
		return nil
	}
	late := Millis(0)
	if w.one(4) {
		late = w.between(0, 400)
	}
	if w.one(40) {
		late = w.between(0, 5000)
	}
	gap := []Millis{250, 250, 250, w.between(1, 50), w.between(1, 1000), 10_000}[w.dice.IntN(6)]
	w.nextMark = max(w.real+gap, w.quiet)
	// Sometimes just before, or when, or just after something is due.
	if w.one(3) && len(w.waiting) > 0 {
		v := slices.MinFunc(w.waiting, func(a, b *violation) int { return cmp.Compare(a.Due, b.Due) })
		if at := v.Due - w.clock + w.between(0, 2) - 1; at > w.real && at < w.real+gap && at >= w.quiet {
			w.nextMark = at
		}
	}
	at := w.dbNow() - late
	return w.emit(&Message{Kind: Progress, LSN: w.lsn, Time: at}, w.keeper.mark(at, w.lives))
}

// idleOut lets nothing happen any more until all is told.
func (w *world) idleOut() error {
	w.quiet = 0
	for i := 0; len(w.waiting) > 0 || w.summary != nil || i < 2; i++ {
		w.real += w.between(1, 1000)
		at := w.dbNow()
		if err := w.emit(&Message{Kind: Progress, LSN: w.lsn, Time: at}, w.keeper.mark(at, w.lives)); err != nil {
			return err
		}
	}
	return nil
}

// baseline restates every row, in an epoch of its own.
func (w *world) baseline(why string) error {
	if err := w.restart(why); err != nil {
		return err
	}
	if w.losing && why != "start" {
		if err := w.emit(&Message{Kind: Gap, Time: w.dbNow(), Reason: why}, nil); err != nil {
			return err
		}
		w.known = false
	}
	if w.losing = false; w.lost == 0 {
		for range w.dice.IntN(8) { // the stream goes on, and is not judged
			if err := w.act(); err != nil {
				return err
			}
			if w.one(3) {
				if err := w.mark(); err != nil {
					return err
				}
			}
		}
	}
	w.lost = 0
	if w.one(4) { // the writer restarts while it takes the baseline
		if err := w.rows(w.dice.IntN(len(w.lives) + 1)); err != nil {
			return err
		}
		if err := w.restart(why); err != nil {
			return err
		}
	}
	if err := w.rows(len(w.lives)); err != nil {
		return err
	}
	at := where{epoch: w.epoch, lsn: w.lsn - 1, time: w.dbNow(), missed: !w.known}
	for _, l := range w.lives {
		l.restated(at.missed)
	}
	w.known = true
	defer w.bury()
	return w.emit(&Message{Kind: BaselineEnd, LSN: w.lsn, Time: w.dbNow()}, w.judgeAll(w.lives, at))
}

// bury forgets the quests of which nothing is left, once that is known.
func (w *world) bury() {
	maps.DeleteFunc(w.lives, func(_ int64, l *life) bool { return l.gone() && len(l.standing) == 0 })
}

// rows begins a baseline and tells the first quests of it.
func (w *world) rows(n int) error {
	w.lsn += 8
	if err := w.emit(&Message{Kind: BaselineBegin, LSN: w.lsn, Time: w.dbNow()}, nil); err != nil {
		return err
	}
	tx := Transaction{CommitLSN: w.lsn - 1, Time: w.dbNow()}
	for _, id := range slices.Sorted(maps.Keys(w.lives))[:n] {
		if w.lives[id].gone() {
			continue
		}
		tx.Message++
		if err := w.emit(&Message{Kind: Step, Snapshot: true, Transaction: tx, Quest: id, Changes: w.lives[id].read()}, nil); err != nil {
			return err
		}
	}
	return nil
}

// restart begins an epoch.
func (w *world) restart(why string) error {
	w.epoch++
	return w.emit(&Message{Kind: Epoch, Time: w.dbNow(), Reason: why}, nil)
}

// restartInside restarts the writer between two messages of a transaction.
func (w *world) restartInside(inside bool) error {
	if !w.cut || !inside {
		return nil
	}
	w.cut = false
	w.quiet = w.real + w.between(0, 30_000)
	w.nextMark = max(w.nextMark, w.quiet)
	return w.restart("resume")
}
