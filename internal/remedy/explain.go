package remedy

import (
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Suggest says what a person can do about a violation that has no repair, "" for one
// that has.
func Suggest(r rule.Rule, c rule.Cause) string {
	panic("coming")
}

// Explanation is a plan in words and, for programs, in its writes. Its JSON form is
// part of the program's interface.
type Explanation struct {
	Action Action `json:"action"`
	// Preconditions must hold under the lock, Effects are what is written then, and
	// Undo what takes that back.
	Preconditions []string `json:"preconditions"`
	Effects       []string `json:"effects"`
	Undo          []string `json:"undo"`
	Writes        []Step   `json:"writes"`
}

// Step is a write's public form. Which fields it has follows from Write; a field is
// null for nobody.
type Step struct {
	Write         string  `json:"write"` // insert_participant, reactivate_participant, set_assignee, set_status
	ParticipantID *int64  `json:"participant_id,omitempty"`
	UserID        *string `json:"user_id,omitempty"`
	From          *string `json:"from,omitempty"`
	To            *string `json:"to,omitempty"`
}

// Explain says what a plan for a violation of a quest does. who gives the person's id,
// and the name where it is known; a text has both, a Step the id alone.
func Explain(q *quest.Quest, v *rule.Violation, p *Plan, who func(quest.User) Person) Explanation {
	panic("coming")
}

// Text is the explanation for a terminal, a line each, each line with indent before it.
func (e *Explanation) Text(indent string) string {
	panic("coming")
}
