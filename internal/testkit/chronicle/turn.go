package chronicle

// approval is one that the stream has seen.
type approval struct {
	at  Millis
	met bool // a participant came of it
}

// soon is within which time an approval that is taken back has failed.
const soon = 60_000

// meet notes of which approvals a participant has come.
func (l *life) meet() {
	for _, r := range l.apps {
		if a, seen := l.approvals[r.ID]; seen && rowsOf(l.parts, r.User) > 0 {
			a.met = true
			l.approvals[r.ID] = a
		}
	}
}

// turned says what a transaction turned back in a quest, and keeps in mind what it approved.
func (k *keeper) turned(d *written, at where) (told []Told) {
	now := max(at.time, k.now)
	tell := func(what, reason, severity, user string) {
		if k.known && (d.quest == nil || !d.quest.Deleted) {
			told = append(told, k.event(what, reason, severity, now, d.id, user))
		}
	}
	for _, c := range d.changes {
		if c.Entity != Application || c.Before == nil || c.After == nil {
			continue
		}
		id := c.After.ID
		if c.After.Status == approved && c.Before.Status != approved {
			d.approvals[id] = approval{at: at.time}
		}
		if c.Before.Status != approved || c.After.Status == approved {
			continue
		}
		a, seen := d.approvals[id]
		delete(d.approvals, id)
		switch {
		case c.After.Status != pending:
		case seen && a.met:
			tell("reset", "fulfilled", "info", c.After.User)
		case seen && at.time <= a.at+soon:
			tell("failed", "reverted", "warning", c.After.User)
		default:
			tell("reset", "late", "info", c.After.User)
		}
	}
	d.meet()
	if d.quest == nil {
		return told
	}
	switch was, is := d.was, d.quest.Status; {
	case was == inProgress && is == open && d.quest.User != "":
		tell("regressed", "in_progress_to_open", "info", "")
	case was == completed && is == inProgress:
		tell("regressed", "completed_to_in_progress", "warning", "")
	case was == completed && is == open:
		tell("regressed", "completed_to_open", "warning", "")
	}
	return told
}

// report tells that the application says that an approval failed. Nothing of it was committed. The message stands
// alone or is a transaction of its own. What it says is believed if there is such an application.
func (w *world) report(l *life, failed Row) error {
	if w.losing {
		return nil
	}
	w.xid++
	w.lsn += 8
	tx := Transaction{ID: w.xid, CommitLSN: w.lsn, Time: w.dbNow(), Message: 1}
	w.lsn += 56
	alone := w.one(2)
	if alone {
		tx.ID, tx.Time, tx.Messages = 0, 0, 1
	}
	var told []Told
	if i := byID(l.apps, failed.ID); w.known && i >= 0 && l.apps[i].User == failed.User {
		told = append(told, w.event("failed", "reported", "warning", max(tx.Time, w.now), l.id, failed.User))
	}
	if err := w.emit(&Message{Kind: Report, Transaction: tx, Quest: l.id, Failed: failed}, told); err != nil || alone {
		return err
	}
	tx.Message, tx.EndLSN = 2, tx.CommitLSN+48
	return w.emit(&Message{Kind: TxEnd, Transaction: tx}, nil)
}
