package remedy

import (
	"fmt"
	"strings"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

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

// Step is a write's public form: it sets something from what it is to what it shall
// be. That is the row's status, or a person's id, and null for nobody and for a row
// that is not there.
type Step struct {
	Write string `json:"write"`
	// ParticipantID is absent for a row that the database has yet to number.
	ParticipantID int64   `json:"participant_id,omitempty"`
	UserID        string  `json:"user_id,omitempty"`
	From          *string `json:"from"`
	To            *string `json:"to"`
}

// Explain says what a plan for a violation of a quest does. who gives a person's id,
// and the name where it is known.
func Explain(q *quest.Quest, v *rule.Violation, p *Plan, who func(quest.User) Person) Explanation {
	name := func(u quest.User) string { return who(u).String() }
	e := Explanation{
		Action: p.Action, Preconditions: []string{rule.Actual(v)},
		Effects: Effects(p.Writes, name), Undo: Effects(Inverse(p.Writes), name),
	}
	for i := range p.Writes {
		w := &p.Writes[i]
		e.Preconditions = append(e.Preconditions, w.precondition(name))
		e.Writes = append(e.Writes, w.step(func(u quest.User) string { return who(u).ID }))
		if q.Status == quest.Completed && (w.Kind == InsertParticipant || w.Kind == ReactivateParticipant) {
			e.Effects = append(e.Effects, fmt.Sprintf("%s will be found still at work: the quest is completed", name(w.User)))
		}
	}
	return e
}

// String is the name with the id, or the id alone.
func (p Person) String() string {
	if p.Name == "" {
		return p.ID
	}
	return fmt.Sprintf("%s (%s)", p.Name, p.ID)
}

// Text is the explanation for a terminal: lines with indent before each.
func (e *Explanation) Text(indent string) string {
	var b strings.Builder
	for _, part := range []struct {
		head  string
		lines []string
	}{{"if", e.Preconditions}, {"then", e.Effects}, {"undo", e.Undo}} {
		for i, line := range part.lines {
			head := ""
			if i == 0 {
				head = part.head
			}
			fmt.Fprintf(&b, "%s%-6s%s\n", indent, head, line)
		}
	}
	return b.String()
}

// Effects says in words what each write does.
func Effects(writes []Write, name func(quest.User) string) []string {
	var texts []string
	for i := range writes {
		texts = append(texts, writes[i].effect(name))
	}
	return texts
}

func (w *Write) effect(name func(quest.User) string) string {
	switch w.Kind {
	case InsertParticipant:
		return "insert participant " + name(w.User)
	case DeleteParticipant:
		return "delete participant " + name(w.User)
	case ReactivateParticipant:
		return fmt.Sprintf("set participant %d of %s from %s to %s", w.Participant, name(w.User), stateWord(w.WasState), stateWord(w.State))
	case SetAssignee:
		switch {
		case w.Assign == 0:
			return "assign the quest to nobody, taking it from " + name(w.WasAssigned)
		case w.WasAssigned == 0:
			return "assign the quest to " + name(w.Assign)
		}
		return fmt.Sprintf("assign the quest to %s, taking it from %s", name(w.Assign), name(w.WasAssigned))
	case SetStatus:
		return fmt.Sprintf("set the quest from %s to %s", statusWord(w.WasStatus), statusWord(w.Status))
	}
	return ""
}

func (w *Write) precondition(name func(quest.User) string) string {
	switch w.Kind {
	case InsertParticipant:
		return name(w.User) + " has no participant row in the quest"
	case DeleteParticipant:
		return fmt.Sprintf("%s has participant row %d in the quest", name(w.User), w.Participant)
	case ReactivateParticipant:
		return fmt.Sprintf("participant %d of %s is %s", w.Participant, name(w.User), stateWord(w.WasState))
	case SetAssignee:
		if w.WasAssigned == 0 {
			return "the quest is assigned to nobody"
		}
		return "the quest is assigned to " + name(w.WasAssigned)
	case SetStatus:
		return "the quest is " + statusWord(w.WasStatus)
	}
	return ""
}

// step is the write's public form, with people's ids alone.
func (w *Write) step(id func(quest.User) string) Step {
	s := Step{}
	person := func(u quest.User) *string {
		if u == 0 {
			return nil
		}
		text := id(u)
		return &text
	}
	word := func(text string) *string { return &text }
	switch w.Kind {
	case InsertParticipant:
		s = Step{Write: "insert_participant", UserID: id(w.User), To: word(stateName(quest.Joined))}
	case DeleteParticipant:
		s = Step{Write: "delete_participant", UserID: id(w.User), From: word(stateName(quest.Joined))}
	case ReactivateParticipant:
		s = Step{Write: "reactivate_participant", UserID: id(w.User), From: word(stateName(w.WasState)), To: word(stateName(w.State))}
	case SetAssignee:
		return Step{Write: "set_assignee", From: person(w.WasAssigned), To: person(w.Assign)}
	case SetStatus:
		return Step{Write: "set_status", From: word(w.WasStatus.String()), To: word(w.Status.String())}
	}
	if w.Participant < Provisional {
		s.ParticipantID = w.Participant
	}
	return s
}

// stateName is a participant's status by the role that it has, as programs read it.
func stateName(s quest.ParticipantStatus) string {
	switch s {
	case quest.Joined:
		return "joined"
	case quest.Working:
		return "in_progress"
	case quest.Finished:
		return "completed"
	case quest.Dropped:
		return "dropped"
	case quest.OtherParticipant:
	}
	return "other"
}

// stateWord and statusWord are the same for people.
func stateWord(s quest.ParticipantStatus) string { return strings.ReplaceAll(stateName(s), "_", " ") }

func statusWord(s quest.Status) string {
	if s == quest.Other {
		return "another status"
	}
	return strings.ReplaceAll(s.String(), "_", " ")
}
