package remedy

import (
	"slices"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Action names a way to repair.
type Action string

// The actions.
const (
	CreateParticipant Action = "create_participant"
	SetInProgress     Action = "set_in_progress"
	AssignEarliest    Action = "assign_earliest"
	// Reactivate brings an approved person back who dropped out.
	Reactivate Action = "reactivate_participant"
)

// Kind says what a write does.
type Kind uint8

// The kinds of write. DeleteParticipant is only ever an inverse.
const (
	InsertParticipant Kind = iota + 1
	SetAssignee
	SetStatus
	DeleteParticipant
	ReactivateParticipant
)

// Provisional is where the ids of participants begin that a plan inserts and
// that no database has numbered yet.
const Provisional int64 = 1 << 62

// Write is one change of one row of the quest. Which fields a kind has is said
// at the fields.
type Write struct {
	Kind Kind
	// Participant: insert, delete and reactivate, the row's id; provisional for an
	// insert.
	Participant int64
	// User: the same, the participant's person. It must have no row before an insert.
	User quest.User
	// WasState, of a row to reactivate, must be what it has; State is what it gets.
	WasState, State quest.ParticipantStatus
	// WasAssigned must be what the quest has; Assign is what it gets.
	WasAssigned, Assign quest.User
	// WasStatus must be what the quest has; Status is what it gets.
	WasStatus, Status quest.Status
}

// Plan is what repairs one violation.
type Plan struct {
	Action Action
	Writes []Write
}

// Inverse lists the writes that take these back, last first.
func Inverse(writes []Write) []Write {
	out := make([]Write, 0, len(writes))
	for i := len(writes) - 1; i >= 0; i-- {
		w := writes[i]
		switch w.Kind {
		case InsertParticipant:
			w.Kind = DeleteParticipant
		case DeleteParticipant:
			w.Kind = InsertParticipant
		case SetAssignee:
			w.WasAssigned, w.Assign = w.Assign, w.WasAssigned
		case SetStatus:
			w.WasStatus, w.Status = w.Status, w.WasStatus
		case ReactivateParticipant:
			w.WasState, w.State = w.State, w.WasState
		}
		out = append(out, w)
	}
	return out
}

// Policy says which violations may be repaired, and how far a repair goes.
type Policy struct {
	// Original repairs as the audit command did that this program replaces: every
	// missing participant, whoever left included, and the newcomer takes the quest
	// from its assignee.
	Original bool
	// IncludeUnknown repairs a missing participant of unknown cause too.
	IncludeUnknown bool
	// IncludeReleased repairs what somebody did on purpose, such as clearing the
	// assignee.
	IncludeReleased bool
	// IncludeCompleted lets people join a completed quest, where they are then found
	// still at work.
	IncludeCompleted bool
	// Reactivate brings approved people back who dropped out.
	Reactivate bool
}

// The reasons for which a violation is left alone.
const (
	noAction    = "never repaired: which row is wrong is for a person to say"
	hasLeft     = "never repaired: the person left"
	unknownWhy  = "left alone: without the history of changes a failed approval looks like a person who left"
	onPurpose   = "left alone: somebody released the quest on purpose"
	isCompleted = "left alone: the quest is completed, and whoever joined now would be found still at work on it"
	isGone      = "left alone: the quest does not exist"
)

// For is the plan for a violation of a quest, or the reason why there is none.
func For(q *quest.Quest, v *rule.Violation, p Policy) (plan Plan, leftAlone string) {
	if leftAlone = p.refuses(q, v); leftAlone != "" {
		return Plan{}, leftAlone
	}
	switch v.Rule {
	case rule.MissingParticipant:
		return Plan{Action: CreateParticipant, Writes: p.create(q, v.User)}, ""
	case rule.OpenWithParticipants:
		return Plan{Action: SetInProgress, Writes: []Write{setStatus(q, quest.InProgress)}}, ""
	case rule.Unassigned:
		if first := q.Earliest(); first != nil {
			return Plan{Action: AssignEarliest, Writes: []Write{assign(q, first.User)}}, ""
		}
	case rule.ApprovedButDropped:
		if row := droppedRow(q, v.User); row != nil {
			return Plan{Action: Reactivate, Writes: p.reactivate(q, row)}, ""
		}
	case rule.OrphanParticipant, rule.DuplicateParticipant, rule.AssigneeNotParticipant, rule.IdleInProgress,
		rule.ActiveAfterCompletion, rule.DanglingReference:
		// refused above
	}
	return Plan{}, noAction
}

// Can reports whether an action is the repair of a rule, and the rule has the cause; ""
// is the cause of whoever looks for none.
func Can(r rule.Rule, c rule.Cause, a Action) bool {
	known := func(o rule.Outcome) bool { return o.Rule == r && (o.Cause == c || c == "") }
	return actions[r] == a && a != "" && slices.ContainsFunc(rule.Outcomes[:], known)
}

var actions = map[rule.Rule]Action{
	rule.MissingParticipant: CreateParticipant, rule.OpenWithParticipants: SetInProgress,
	rule.Unassigned: AssignEarliest, rule.ApprovedButDropped: Reactivate,
}

// repairable reports whether a rule's violations say which row is wrong.
func (p Policy) repairable(r rule.Rule) bool {
	if r == rule.ApprovedButDropped {
		return p.Reactivate && !p.Original
	}
	return actions[r] != ""
}

func (p Policy) refuses(q *quest.Quest, v *rule.Violation) string {
	switch {
	case !p.repairable(v.Rule):
		return noAction
	case p.Original:
		return ""
	case v.Cause == rule.Departed:
		return hasLeft
	case v.Cause == rule.Unknown && !p.IncludeUnknown:
		return unknownWhy
	case v.Cause == rule.Released && !p.IncludeReleased:
		return onPurpose
	case q == nil:
		return isGone
	case q.Status == quest.Completed && !p.IncludeCompleted && (v.Rule == rule.MissingParticipant || v.Rule == rule.ApprovedButDropped):
		return isCompleted
	}
	return ""
}

// create writes what the application's assign_to_user does.
func (p Policy) create(q *quest.Quest, u quest.User) []Write {
	return append([]Write{{Kind: InsertParticipant, Participant: nextID(q), User: u}}, p.welcome(q, u)...)
}

// reactivate does so for a person who has a row.
func (p Policy) reactivate(q *quest.Quest, row *quest.Participant) []Write {
	back := Write{Kind: ReactivateParticipant, Participant: row.ID, User: row.User, WasState: row.Status, State: quest.Joined}
	return append([]Write{back}, p.welcome(q, row.User)...)
}

// welcome hands the quest to somebody who takes part in it from now on, where nobody
// else has it, and moves an open one on. The original did that only for a quest
// without any row, so that whoever came after a kick left another violation behind.
func (p Policy) welcome(q *quest.Quest, u quest.User) (writes []Write) {
	if q.Assigned != u && (p.Original || !holds(q)) {
		writes = append(writes, assign(q, u))
	}
	if q.Status == quest.Open && (!p.Original || len(q.Participants) == 0) {
		writes = append(writes, setStatus(q, quest.InProgress))
	}
	return writes
}

// droppedRow is the newest row of somebody who dropped out.
func droppedRow(q *quest.Quest, u quest.User) *quest.Participant {
	for i := len(q.Participants) - 1; i >= 0; i-- {
		if p := &q.Participants[i]; p.User == u && !p.Active() {
			return p
		}
	}
	return nil
}

// holds reports whether the quest's assignee has a claim to it: somebody active,
// or approved and waiting for the same repair. Nobody of that kind is displaced.
func holds(q *quest.Quest) bool {
	if q.Assigned == 0 {
		return false
	}
	for i := range q.Participants {
		if p := &q.Participants[i]; p.User == q.Assigned && p.Active() {
			return true
		}
	}
	return q.HasApproved(q.Assigned) && !q.HasParticipant(q.Assigned)
}

func assign(q *quest.Quest, u quest.User) Write {
	return Write{Kind: SetAssignee, WasAssigned: q.Assigned, Assign: u}
}

func setStatus(q *quest.Quest, s quest.Status) Write {
	return Write{Kind: SetStatus, WasStatus: q.Status, Status: s}
}

// nextID is above all ids in use, as a database's would be.
func nextID(q *quest.Quest) int64 {
	id := Provisional
	if n := len(q.Participants); n > 0 {
		id = max(id, q.Participants[n-1].ID+1)
	}
	return id
}
