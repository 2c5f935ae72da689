package rule

import (
	"fmt"
	"slices"
)

// Severity says how much a violation matters.
type Severity uint8

// The severities, rising.
const (
	Info Severity = iota + 1
	Warning
	Critical
)

func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Critical:
		return "critical"
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// ParseSeverity reads a severity's name.
func ParseSeverity(name string) (Severity, error) {
	for _, s := range [...]Severity{Info, Warning, Critical} {
		if name == s.String() {
			return s, nil
		}
	}
	return 0, fmt.Errorf("unknown severity %q: want info, warning or critical", name)
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity's name.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}

// Cause says why a rule is violated, as far as the history of changes shows it.
type Cause string

// The causes.
const (
	// ApprovalFailed: the stream saw the approval, and no participant came.
	ApprovalFailed Cause = "approval_failed"
	// Departed: there was a participant, who left after the last approval.
	Departed Cause = "departed"
	// DirectJoin: the person never applied.
	DirectJoin Cause = "direct_join"
	// Revoked: the application was approved once, and the approval taken back.
	Revoked Cause = "revoked"
	// Released: the assignee was cleared while participants remained.
	Released Cause = "released"
	// StatusLost and AssignmentLost: nothing explains the quest's row.
	StatusLost     Cause = "status_lost"
	AssignmentLost Cause = "assignment_lost"
	// Duplicated: the pair was inserted more than once.
	Duplicated Cause = "duplicated"
	// AssigneeLeft: the assignee took part and left or was kicked, and the quest
	// still names him.
	AssigneeLeft Cause = "assignee_left"
	// NeverJoined: the stream saw the quest being assigned to somebody who has not
	// taken part since.
	NeverJoined Cause = "never_joined"
	// Idle: nobody takes part in a quest in progress.
	Idle Cause = "idle"
	// DroppedOut: the participant dropped out and the application was left approved.
	DroppedOut Cause = "dropped_out"
	// Unfinished: the completion did not reach the participant.
	Unfinished Cause = "unfinished"
	// QuestMissing: the quest's row is not there.
	QuestMissing Cause = "quest_missing"
	// Unknown: it happened before the stream began, or in another quest.
	Unknown Cause = "unknown"
)

// Action says what is done about a violation where nothing else is configured.
type Action string

// The actions.
const (
	// Repair: a repair is planned, and carried out where that is switched on.
	Repair Action = "repair"
	// OnRequest: a repair is carried out when somebody asks for it.
	OnRequest Action = "on_request"
	// Flag: it is told; which row is wrong is for a person to say.
	Flag Action = "flag"
	// Never: somebody did it on purpose; a repair would undo it.
	Never Action = "never"
)

// Outcome is one way in which a rule can be violated.
type Outcome struct {
	Rule     Rule
	Cause    Cause
	Severity Severity
	Action   Action
}

// Outcomes are all of them, by rule. What a cause of ordinary work leaves is info:
// nobody is called for somebody who left.
var Outcomes = [...]Outcome{
	{MissingParticipant, ApprovalFailed, Critical, Repair},
	{MissingParticipant, Departed, Info, Never},
	{MissingParticipant, Unknown, Warning, OnRequest},
	{OrphanParticipant, DirectJoin, Info, Flag},
	{OrphanParticipant, Revoked, Warning, Flag},
	{OrphanParticipant, Unknown, Warning, Flag},
	{OpenWithParticipants, StatusLost, Warning, Repair},
	{OpenWithParticipants, Released, Info, OnRequest},
	{Unassigned, AssignmentLost, Warning, Repair},
	{Unassigned, Released, Info, OnRequest},
	{DuplicateParticipant, Duplicated, Warning, Flag},
	{AssigneeNotParticipant, AssigneeLeft, Info, Flag},
	{AssigneeNotParticipant, NeverJoined, Warning, Flag},
	{AssigneeNotParticipant, Unknown, Warning, Flag},
	{IdleInProgress, Idle, Info, Flag},
	{ApprovedButDropped, DroppedOut, Info, Flag},
	{ActiveAfterCompletion, Unfinished, Info, Flag},
	{DanglingReference, QuestMissing, Warning, Flag},
}

// outcome is the place of a rule's cause among the outcomes, or -1.
func outcome(r Rule, c Cause) int {
	return slices.IndexFunc(Outcomes[:], func(o Outcome) bool { return o.Rule == r && o.Cause == c })
}

// ActionFor is what is done about a rule's violation by a cause.
func ActionFor(r Rule, c Cause) Action {
	if i := outcome(r, c); i >= 0 {
		return Outcomes[i].Action
	}
	return Flag
}

// SeverityOf is how much a rule's violation by a cause matters where nothing else
// is configured.
func SeverityOf(r Rule, c Cause) Severity {
	if i := outcome(r, c); i >= 0 {
		return Outcomes[i].Severity
	}
	return Warning
}
