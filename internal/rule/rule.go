package rule

import (
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/quest"
)

// Rule is one thing that must hold.
type Rule uint8

// The rules: first those of the original audit, in the order of its phases, then
// its blind spots.
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
	// AssigneeNotParticipant: the quest is assigned to somebody who does not take part.
	AssigneeNotParticipant
	// IdleInProgress: the quest is in progress and nobody takes part.
	IdleInProgress
	// ApprovedButDropped: an approved application whose participant has dropped out.
	ApprovedButDropped
	// ActiveAfterCompletion: the quest is completed and somebody still works on it.
	ActiveAfterCompletion
	// DanglingReference: applications or participants of a quest that does not exist.
	DanglingReference
)

// All lists the rules in order.
var All = [...]Rule{
	MissingParticipant, OrphanParticipant, OpenWithParticipants, Unassigned, DuplicateParticipant,
	AssigneeNotParticipant, IdleInProgress, ApprovedButDropped, ActiveAfterCompletion, DanglingReference,
}

// Originals lists the rules that the original audit knew.
var Originals = All[:DuplicateParticipant]

var names = [...]string{
	"", "missing_participant", "orphan_participant", "open_with_participants", "unassigned", "duplicate_participant",
	"assignee_not_participant", "idle_in_progress", "approved_but_dropped", "active_after_completion", "dangling_reference",
}

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

// DefaultGrace is how long a rule may be violated before anybody hears of it.
// Workflows that write in several transactions take less than one second.
const DefaultGrace = 3 * time.Second

// Violation is one thing that does not hold in a quest.
type Violation struct {
	Rule     Rule
	Cause    Cause
	Severity Severity
	// User is the person of the pair, or nobody for a rule about the whole quest.
	User quest.User
	// Application is the approved application that the rule speaks of: the last one
	// by id where the pair has several.
	Application int64
	// Applications are those of a quest that does not exist, by id.
	Applications []int64
	// Participants are the rows that the rule speaks of, by id.
	Participants []int64
	// Suggested is who the quest should be assigned to.
	Suggested quest.User
}
