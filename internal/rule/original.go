package rule

import "github.com/peerquest/questwatch/internal/quest"

// Original appends what the audit command that this program replaces reports of
// a quest. It differs from Judge: soft-deleted quests count, two approved
// applications of one person are two violations, a dropped participant without
// an approved application is one, one violation is one row, and there are no
// causes: what has more than one is Unknown.
func Original(dst []Violation, q *quest.Quest) []Violation {
	rows, first := pairsOf(q), len(dst)
	for i := range q.Applications {
		a := &q.Applications[i]
		if a.Status == quest.Approved && !rows.hasParticipant(a.User) {
			dst = append(dst, Violation{Rule: MissingParticipant, User: a.User, Application: a.ID, Suggested: a.User})
		}
	}
	for i := range q.Participants {
		p := &q.Participants[i]
		if !rows.hasApproved(p.User) {
			dst = append(dst, Violation{Rule: OrphanParticipant, User: p.User, Participants: []int64{p.ID}})
		}
	}
	if actives := q.Actives(); actives > 0 {
		if q.Status == quest.Open {
			dst = append(dst, Violation{Rule: OpenWithParticipants, Participants: participantIDs(q, actives, anyActive)})
		}
		if q.Assigned == 0 {
			dst = append(dst, Violation{Rule: Unassigned, Participants: participantIDs(q, actives, anyActive), Suggested: q.Earliest().User})
		}
	}
	for i := first; i < len(dst); i++ {
		dst[i].Cause = Unknown
	}
	dst = duplicates(dst, q)
	for i := first; i < len(dst); i++ {
		dst[i].Severity = SeverityOf(dst[i].Rule, dst[i].Cause)
	}
	return dst
}
