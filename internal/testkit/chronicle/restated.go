package chronicle

import "slices"

// restated is what a baseline leaves of what the stream had seen: what may still be true. missed says that changes
// were lost before it.
func (l *life) restated(missed bool) {
	if l.seen != nil {
		for _, r := range l.apps {
			l.reconsider(r)
			if r.Status == approved && !l.seen.approved(r.ID) {
				delete(l.withdrawn, r.User)
			}
		}
	}
	if l.seen != nil { // whatever came may be somebody new
		l.lost = append(l.lost, key{OpenWithParticipants, ""}, key{Unassigned, ""})
	}
	for _, k := range l.lost {
		if !l.stillTrue(k) {
			l.unexplain(k)
		}
	}
	for _, r := range l.apps {
		// The participant may have come and gone where nobody looked.
		if missed && rowsOf(l.parts, r.User) == 0 && !l.approvals[r.ID].met {
			delete(l.approvals, r.ID)
			if k := (key{MissingParticipant, r.User}); l.why[k] == approvalFailed {
				delete(l.why, k)
			}
		}
	}
	l.seen, l.lost = nil, nil
	l.meet()
}

// reconsider forgets what the stream had seen of an application, if it is another now, or if its participant went
// where nobody looked.
func (l *life) reconsider(r Row) {
	if l.seen.approved(r.ID) != (r.Status == approved) {
		delete(l.revoked, r.ID)
		delete(l.approvals, r.ID)
	}
	if rowsOf(l.seen.parts, r.User) > 0 && rowsOf(l.parts, r.User) == 0 {
		delete(l.approvals, r.ID)
	}
}

func (t *tables) approved(id int64) bool {
	i := byID(t.apps, id)
	return i >= 0 && t.apps[i].Status == approved
}

// stillTrue reports whether what explained something may still do so, though the stream has lost what else happened
// there: the rows that it is about are as they were.
func (l *life) stillTrue(k key) bool {
	was := l.seen
	switch k.rule {
	case MissingParticipant: // no participant then and now, and no other approval
		return rowsOf(was.parts, k.user)+rowsOf(l.parts, k.user) == 0 && !slices.ContainsFunc(l.apps, func(a Row) bool {
			return a.User == k.user && a.Status == approved && !was.approved(a.ID)
		})
	case OrphanParticipant: // the row of somebody who came without an application
		return l.why[k] == directJoin && slices.ContainsFunc(l.parts, func(p Row) bool {
			return p.User == k.user && byID(was.parts, p.ID) >= 0
		})
	case OpenWithParticipants, Unassigned: // nobody was assigned, or came
		return l.quest != nil && l.quest.User == "" && !slices.ContainsFunc(l.parts, func(p Row) bool {
			i := byID(was.parts, p.ID)
			return p.Status != dropped && (i < 0 || was.parts[i].Status == dropped)
		})
	case AssigneeNotParticipant: // the same one is assigned, and did not leave
		return l.quest != nil && was.quest != nil && l.quest.User == was.quest.User && (!was.takesPart(k.user) || l.takesPart(k.user))
	}
	return false
}
