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
	}
	return ""
}

// Actual says in plain words what is there instead.
func Actual(v *Violation) string {
	switch v.Rule {
	case MissingParticipant:
		return fmt.Sprintf("application %d is approved and the person has no participant row", v.Application)
	case OrphanParticipant:
		return fmt.Sprintf("%s without an approved application", rows(v.Participants))
	case OpenWithParticipants:
		return fmt.Sprintf("status open with %d active%s", len(v.Participants), listed(v.Participants))
	case Unassigned:
		return fmt.Sprintf("assigned to nobody with %d active%s", len(v.Participants), listed(v.Participants))
	case DuplicateParticipant:
		return fmt.Sprintf("%d rows: %s", len(v.Participants), rows(v.Participants))
	}
	return ""
}

// listed names rows behind their number; those that a repair has yet to insert
// have no ids.
func listed(ids []int64) string {
	if len(ids) == 0 {
		return ""
	}
	return ": " + rows(ids)
}

// shown is how many row ids a text names.
const shown = 10

func rows(ids []int64) string {
	text := "participant"
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
