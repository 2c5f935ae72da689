package rule

import (
	"github.com/peerquest/questwatch/internal/quest"
)

// The rules that the original audit did not know.

// assignee finds an assignee who does not take part.
func assignee(dst []Violation, q *quest.Quest) []Violation {
	if q.Assigned == 0 || q.TakesPart(q.Assigned) {
		return dst
	}
	cause := Unknown
	switch {
	case q.Left != 0:
		cause = AssigneeLeft
	case q.Handed:
		cause = NeverJoined
	case q.HasParticipant(q.Assigned):
		// Nobody saw it, but the row that has dropped out says so: what a kick leaves
		// where somebody else stays.
		cause = AssigneeLeft
	}
	return append(dst, Violation{Rule: AssigneeNotParticipant, Cause: cause, User: q.Assigned})
}

// dropped finds approved applications of people all of whose rows have dropped
// out, once per person.
func dropped(dst []Violation, rows *pairs) []Violation {
	q, first := rows.quest, firstOf{start: len(dst)}
	for i := range q.Applications {
		a := &q.Applications[i]
		if a.Status != quest.Approved || !rows.hasParticipant(a.User) || rows.takesPart(a.User) {
			continue
		}
		if v := first.find(dst, a.User); v != nil {
			v.Application = a.ID
			continue
		}
		dst = append(dst, Violation{
			Rule: ApprovedButDropped, Cause: DroppedOut, User: a.User, Application: a.ID,
			Participants: rows.participants(a.User),
		})
	}
	return dst
}

// unfinished finds who still works on a completed quest.
func unfinished(dst []Violation, q *quest.Quest) []Violation {
	if q.Status != quest.Completed {
		return dst
	}
	atWork := participantIDs(q, 0, func(p *quest.Participant) bool { return p.Status == quest.Joined || p.Status == quest.Working })
	if len(atWork) == 0 {
		return dst
	}
	return append(dst, Violation{Rule: ActiveAfterCompletion, Cause: Unfinished, Participants: atWork})
}

// dangling finds what refers to a quest that does not exist.
func dangling(dst []Violation, q *quest.Quest) []Violation {
	if len(q.Applications)+len(q.Participants) == 0 {
		return dst
	}
	v := Violation{
		Rule: DanglingReference, Cause: QuestMissing,
		Participants: participantIDs(q, len(q.Participants), func(*quest.Participant) bool { return true }),
	}
	for i := range q.Applications {
		v.Applications = append(v.Applications, q.Applications[i].ID)
	}
	return append(dst, v)
}
