package rule

import (
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/quest"
)

// Rule is one thing that must hold.
type Rule uint8

// The rules, in the order of the original audit's phases.
const (
	// MissingParticipant: an approved application, and no participant of the pair.
	MissingParticipant Rule = iota + 1
	// OrphanParticipant: a participant, and no approved application of the pair.
	OrphanParticipant
	// OpenWithParticipants: the quest is open though somebody takes part.
	OpenWithParticipants
	// Unassigned: somebody takes part and the quest is assigned to nobody.
	Unassigned
	// DuplicateParticipant: more than one participant row of a pair.
	DuplicateParticipant
)

// All lists the rules in order.
var All = [...]Rule{MissingParticipant, OrphanParticipant, OpenWithParticipants, Unassigned, DuplicateParticipant}

var names = [...]string{"", "missing_participant", "orphan_participant", "open_with_participants", "unassigned", "duplicate_participant"}

func (r Rule) String() string {
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("rule(%d)", uint8(r))
}

// Parse reads a rule's name.
func Parse(name string) (Rule, error) {
	for _, r := range All {
		if name == r.String() {
			return r, nil
		}
	}
	return 0, fmt.Errorf("unknown rule %q", name)
}

// MarshalText writes the rule's name.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a rule's name.
func (r *Rule) UnmarshalText(text []byte) (err error) {
	*r, err = Parse(string(text))
	return err
}

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
	// Unknown: it happened before the stream began.
	Unknown Cause = "unknown"
)

// SeverityOf is how much a violation by this cause matters.
func SeverityOf(c Cause) Severity {
	switch c {
	case ApprovalFailed:
		return Critical
	case Departed, DirectJoin, Released:
		return Info
	case Revoked, StatusLost, AssignmentLost, Duplicated, Unknown:
	}
	return Warning
}

// DefaultGrace is how long a rule may be violated before anybody hears of it.
// Workflows that write in several transactions take less than one second.
const DefaultGrace = 3 * time.Second

// Violation is one thing that does not hold in a quest.
type Violation struct {
	Rule  Rule
	Cause Cause
	// User is the person of the pair, or nobody for a rule about the whole quest.
	User quest.User
	// Application is the approved application without a participant: the last one
	// by id where the pair has several.
	Application int64
	// Participants are the rows that the rule speaks of, by id.
	Participants []int64
	// Suggested is who the quest should be assigned to.
	Suggested quest.User
}

// Severity is how much the violation matters.
func (v *Violation) Severity() Severity { return SeverityOf(v.Cause) }
