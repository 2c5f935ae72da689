package chronicle

// The rules, by the names that a checker reports.
const (
	MissingParticipant     = "missing_participant"
	OrphanParticipant      = "orphan_participant"
	OpenWithParticipants   = "open_with_participants"
	Unassigned             = "unassigned"
	DuplicateParticipant   = "duplicate_participant"
	AssigneeNotParticipant = "assignee_not_participant"
	IdleInProgress         = "idle_in_progress"
	ApprovedButDropped     = "approved_but_dropped"
	ActiveAfterCompletion  = "active_after_completion"
	DanglingReference      = "dangling_reference"
)

// key is what can be wrong with a quest: a rule, and the person if the rule is about one.
type key struct{ rule, user string }

// violated is what is wrong with a quest, as its rows show it. A quest that is gone or was soft-deleted has nothing
// wrong, but rows that are left of one that is gone.
func (t *tables) violated() map[key]bool {
	found := map[key]bool{}
	set := func(is bool, rule, user string) {
		if is {
			found[key{rule, user}] = true
		}
	}
	if t.quest == nil {
		set(len(t.apps)+len(t.parts) > 0, DanglingReference, "")
		return found
	}
	if t.quest.Deleted {
		return found
	}
	actives := 0
	for _, a := range t.apps {
		is := a.Status == approved
		set(is && rowsOf(t.parts, a.User) == 0, MissingParticipant, a.User)
		set(is && rowsOf(t.parts, a.User) > 0 && !t.takesPart(a.User), ApprovedButDropped, a.User)
	}
	for _, p := range t.parts {
		if p.Status != dropped {
			actives++
		}
		set(p.Status != dropped && !t.hasApproved(p.User), OrphanParticipant, p.User)
		set(rowsOf(t.parts, p.User) > 1, DuplicateParticipant, p.User)
		set(t.quest.Status == completed && p.Status == joined, ActiveAfterCompletion, "")
	}
	assigned := t.quest.User
	set(actives > 0 && t.quest.Status == open, OpenWithParticipants, "")
	set(actives > 0 && assigned == "", Unassigned, "")
	set(assigned != "" && !t.takesPart(assigned), AssigneeNotParticipant, assigned)
	set(actives == 0 && t.quest.Status == inProgress, IdleInProgress, "")
	return found
}

// The causes.
const (
	approvalFailed = "approval_failed"
	departed       = "departed"
	directJoin     = "direct_join"
	revoked        = "revoked"
	released       = "released"
	statusLost     = "status_lost"
	assignmentLost = "assignment_lost"
	duplicated     = "duplicated"
	assigneeLeft   = "assignee_left"
	neverJoined    = "never_joined"
	idle           = "idle"
	droppedOut     = "dropped_out"
	unfinished     = "unfinished"
	questMissing   = "quest_missing"
	unknown        = "unknown"
)

// severityOf is how much a violation matters.
func severityOf(cause string) string {
	switch cause {
	case approvalFailed:
		return "critical"
	case departed, directJoin, released, assigneeLeft, idle, droppedOut, unfinished:
		return "info"
	}
	return "warning"
}

// rank orders severities.
func rank(severity string) int {
	switch severity {
	case "critical":
		return 3
	case "warning":
		return 2
	}
	return 1
}

// unexplained is the cause of a violation of which no workflow says why.
func (t *tables) unexplained(k key) string {
	switch k.rule {
	case OrphanParticipant:
		if rowsOf(t.apps, k.user) == 0 {
			return directJoin
		}
	case OpenWithParticipants:
		return statusLost
	case Unassigned:
		return assignmentLost
	case AssigneeNotParticipant:
		if rowsOf(t.parts, k.user) > 0 { // the dropped row says it
			return assigneeLeft
		}
	case DuplicateParticipant:
		return duplicated
	case IdleInProgress:
		return idle
	case ApprovedButDropped:
		return droppedOut
	case ActiveAfterCompletion:
		return unfinished
	case DanglingReference:
		return questMissing
	}
	return unknown
}
