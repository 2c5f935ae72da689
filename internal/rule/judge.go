package rule

import (
	"github.com/peerquest/questwatch/internal/quest"
)

// judge appends all violations of a quest.
func judge(dst []Violation, q *quest.Quest) []Violation {
	if !q.Exists {
		return dangling(dst, q)
	}
	rows := pairsOf(q)
	dst = missing(dst, &rows)
	dst = orphans(dst, &rows)
	actives := q.Actives()
	if actives > 0 && q.Status == quest.Open {
		dst = append(dst, Violation{
			Rule: OpenWithParticipants, Cause: released(q, StatusLost), Participants: participantIDs(q, actives, anyActive),
		})
	}
	if actives > 0 && q.Assigned == 0 {
		dst = append(dst, Violation{
			Rule: Unassigned, Cause: released(q, AssignmentLost), Participants: participantIDs(q, actives, anyActive),
			Suggested: q.Earliest().User,
		})
	}
	dst = duplicates(dst, q)
	dst = assignee(dst, q)
	if actives == 0 && q.Status == quest.InProgress {
		dst = append(dst, Violation{Rule: IdleInProgress, Cause: Idle})
	}
	dst = dropped(dst, &rows)
	return unfinished(dst, q)
}

// missing finds approved applications without a participant, once per person.
func missing(dst []Violation, rows *pairs) []Violation {
	q, first := rows.quest, firstOf{start: len(dst)}
	for i := range q.Applications {
		a := &q.Applications[i]
		if a.Status != quest.Approved || rows.hasParticipant(a.User) {
			continue
		}
		cause := missingCause(q, a)
		if v := first.find(dst, a.User); v != nil {
			v.Application = a.ID
			if SeverityOf(MissingParticipant, cause) > SeverityOf(MissingParticipant, v.Cause) {
				v.Cause = cause
			}
			continue
		}
		dst = append(dst, Violation{Rule: MissingParticipant, Cause: cause, User: a.User, Application: a.ID, Suggested: a.User})
	}
	return dst
}

func missingCause(q *quest.Quest, a *quest.Application) Cause {
	switch {
	case q.Departed(a.User):
		return Departed
	case a.Approved != 0 && !a.Met:
		return ApprovalFailed
	}
	return Unknown
}

// orphans finds active participants without an approved application, once per
// person.
func orphans(dst []Violation, rows *pairs) []Violation {
	q, first := rows.quest, firstOf{start: len(dst)}
	for i := range q.Participants {
		p := &q.Participants[i]
		if !p.Active() || rows.hasApproved(p.User) {
			continue
		}
		if v := first.find(dst, p.User); v != nil {
			v.Participants = append(v.Participants, p.ID)
			continue
		}
		dst = append(dst, Violation{
			Rule: OrphanParticipant, Cause: orphanCause(rows, p), User: p.User, Participants: []int64{p.ID},
		})
	}
	return dst
}

func orphanCause(rows *pairs, p *quest.Participant) Cause {
	switch {
	case p.Withdrawn:
		return Revoked
	case !rows.hasApplication(p.User):
		return DirectJoin
	}
	switch {
	case rows.wasRevoked(p.User):
		return Revoked
	case p.Direct:
		return DirectJoin
	}
	return Unknown
}

// duplicates finds pairs with more than one row of any status.
func duplicates(dst []Violation, q *quest.Quest) []Violation {
	if distinct(q.Participants) {
		return dst
	}
	rows := map[quest.User][]int64{}
	var order []quest.User
	for i := range q.Participants {
		p := &q.Participants[i]
		if len(rows[p.User]) == 1 {
			order = append(order, p.User)
		}
		rows[p.User] = append(rows[p.User], p.ID)
	}
	for _, u := range order {
		dst = append(dst, Violation{Rule: DuplicateParticipant, Cause: Duplicated, User: u, Participants: rows[u]})
	}
	return dst
}

// distinct reports whether a few rows are of as many persons, without building
// anything; of many rows it says false.
func distinct(rows []quest.Participant) bool {
	for i := range rows {
		for j := range rows[:i] {
			if i > 16 || rows[i].User == rows[j].User {
				return false
			}
		}
	}
	return true
}

// released is the cause of a quest row that shows nobody at work.
func released(q *quest.Quest, otherwise Cause) Cause {
	if q.Released != 0 {
		return Released
	}
	return otherwise
}

func anyActive(p *quest.Participant) bool { return p.Active() }

// participantIDs lists n rows.
func participantIDs(q *quest.Quest, n int, which func(*quest.Participant) bool) []int64 {
	ids := make([]int64, 0, n)
	for i := range q.Participants {
		if p := &q.Participants[i]; which(p) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}
