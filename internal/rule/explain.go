package rule

import "fmt"

// Expected says in plain words what the rule wants.
func Expected(r Rule) string {
	switch r {
	case MissingParticipant:
		return "a participant for the approved application"
	case OrphanParticipant:
		return "an approved application for the participant"
	case OpenWithParticipants:
		return "a quest that somebody takes part in is not open"
	case Unassigned:
		return "a quest that somebody takes part in is assigned to one of them"
	case DuplicateParticipant:
		return "one participant row for a person and quest"
	case AssigneeNotParticipant:
		return "the quest is assigned to somebody who takes part"
	case IdleInProgress:
		return "somebody takes part in a quest in progress"
	case ApprovedButDropped:
		return "the application of somebody who dropped out is not approved"
	case ActiveAfterCompletion:
		return "nobody works on a completed quest"
	case DanglingReference:
		return "the quest of an application or participant exists"
	}
	return ""
}

// Actual says in plain words what is there instead.
func Actual(v *Violation) string {
	switch v.Rule {
	case MissingParticipant:
		return fmt.Sprintf("application %d is approved and the person has no participant row", v.Application)
	case OrphanParticipant:
		return fmt.Sprintf("%s without an approved application", rows("participant", v.Participants))
	case OpenWithParticipants:
		return fmt.Sprintf("status open with %d active%s", len(v.Participants), listed(v.Participants))
	case Unassigned:
		return fmt.Sprintf("assigned to nobody with %d active%s", len(v.Participants), listed(v.Participants))
	case DuplicateParticipant:
		return fmt.Sprintf("%d rows: %s", len(v.Participants), rows("participant", v.Participants))
	case AssigneeNotParticipant:
		return "assigned to somebody who " + assigneeIs[v.Cause]
	case IdleInProgress:
		return "in progress with no active participant"
	case ApprovedButDropped:
		return fmt.Sprintf("application %d is approved and %s dropped out", v.Application, rows("participant", v.Participants))
	case ActiveAfterCompletion:
		return fmt.Sprintf("completed with %d still at work: %s", len(v.Participants), rows("participant", v.Participants))
	case DanglingReference:
		return "the quest does not exist and is referred to by " + referrers(v)
	}
	return ""
}

var assigneeIs = map[Cause]string{
	AssigneeLeft: "left", NeverJoined: "never joined", Unknown: "does not take part",
}

func referrers(v *Violation) string {
	switch {
	case len(v.Participants) == 0:
		return rows("application", v.Applications)
	case len(v.Applications) == 0:
		return rows("participant", v.Participants)
	}
	return rows("application", v.Applications) + " and " + rows("participant", v.Participants)
}

// listed names rows behind their number; those that a repair has yet to insert
// have no ids.
func listed(ids []int64) string {
	if len(ids) == 0 {
		return ""
	}
	return ": " + rows("participant", ids)
}

// shown is how many row ids a text names.
const shown = 10

func rows(text string, ids []int64) string {
	if len(ids) > 1 {
		text += "s"
	}
	for i, id := range ids {
		if i == shown {
			return text + fmt.Sprintf(" and %d more", len(ids)-shown)
		}
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %d", id)
	}
	return text
}
