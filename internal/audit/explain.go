package audit

import (
	"fmt"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// detailOf says what else the data shows about a finding, and what will not be
// done about it. It claims no more than that: a snapshot has no history.
func detailOf(c *remedy.Case, s *step, compat bool) string {
	text := about(c, s, compat)
	if !compat {
		text += fmt.Sprintf(" [cause %s, %s]", s.violation.Cause, s.violation.Severity)
	}
	if s.leftAlone != "" {
		text += "; " + s.leftAlone
	}
	return text
}

func about(c *remedy.Case, s *step, compat bool) string {
	v, f := &s.violation, &s.facts
	switch v.Rule {
	case rule.MissingParticipant:
		switch {
		case v.Cause == rule.Departed: // known where there is a history
			return "the person took part, and the participant row was deleted later"
		case v.Cause == rule.ApprovalFailed && !compat:
			return missingContext(c, s) + "; the stream saw the approval, and no participant came of it"
		}
		return missingContext(c, s) + "; a failed approval, or somebody who left afterwards: the tables alone cannot tell"
	case rule.OrphanParticipant:
		if !c.Quest.HasApplication(v.User) {
			return "the person never applied: most likely a direct assignment"
		}
		if compat && allDropped(c, v.Participants) {
			return "the participant is dropped: what a kick leaves behind, and correct after one"
		}
		return "the person applied, and no application is approved now"
	case rule.OpenWithParticipants:
		if f.assigned == 0 {
			return "the quest is assigned to nobody either"
		}
		return "the quest is assigned to " + display(c, f.assigned)
	case rule.Unassigned:
		return fmt.Sprintf("the earliest active participant is %s; the quest is %s", display(c, v.Suggested), statusName(f.status))
	case rule.DuplicateParticipant:
		return "a unique constraint on quest and user prevents it"
	case rule.AssigneeNotParticipant:
		return assigneeContext(c, v)
	case rule.IdleInProgress:
		return "the last participant left or was kicked and the status stayed, or it was set by hand; the quest is assigned to " + display(c, f.assigned)
	case rule.ApprovedButDropped:
		return "the participant row alone was changed: a kick changes the application too"
	case rule.ActiveAfterCompletion:
		return "the completion did not reach them, or they joined after it"
	case rule.DanglingReference:
		return "a foreign key on the quest prevents it"
	}
	return ""
}

func assigneeContext(c *remedy.Case, v *rule.Violation) string {
	text := "an assignment that came without a participant row, or somebody who left: the tables alone cannot tell"
	if v.Cause == rule.AssigneeLeft {
		text = "the person has dropped out: what a kick leaves behind where the quest goes on"
	}
	if n := c.Quest.Actives(); n > 0 {
		return text + fmt.Sprintf("; %s", takePart(n))
	}
	return text + "; nobody takes part"
}

func takePart(n int) string {
	if n == 1 {
		return "1 other takes part"
	}
	return fmt.Sprintf("%d others take part", n)
}

func missingContext(c *remedy.Case, s *step) string {
	switch patternOf(s) {
	case untouched:
		return "the quest is open, assigned to nobody and without participants: nothing of an approval arrived there"
	case assignedToThem:
		return "the quest is assigned to this person"
	case others:
		return fmt.Sprintf("the quest has %d participant row(s) of other people", s.facts.participants)
	case otherwise:
	}
	text := "the quest has no participants and is " + statusName(s.facts.status)
	if s.facts.assigned != 0 {
		text += ", assigned to " + display(c, s.facts.assigned)
	}
	return text
}

// pattern says how a quest looks whose approved applicant does not take part.
type pattern uint8

const (
	untouched pattern = iota
	assignedToThem
	others
	otherwise
	patterns
)

func patternOf(s *step) pattern {
	f := &s.facts
	switch {
	case f.assigned == s.violation.User:
		return assignedToThem
	case f.participants > 0:
		return others
	case f.status == quest.Open && f.assigned == 0:
		return untouched
	}
	return otherwise
}

func allDropped(c *remedy.Case, ids []int64) bool {
	for i := range c.Quest.Participants {
		p := &c.Quest.Participants[i]
		for _, id := range ids {
			if p.ID == id && p.Active() {
				return false
			}
		}
	}
	return true
}

func statusName(s quest.Status) string {
	switch s {
	case quest.Open:
		return "open"
	case quest.InProgress:
		return "in progress"
	case quest.Completed:
		return "completed"
	case quest.Other:
	}
	return "of another status"
}
