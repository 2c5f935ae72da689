package peerquest

import (
	"maps"
	"slices"
	"time"
)

// The rules, by the names that the checker reports.
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

// Kind says what to make of an expectation.
type Kind string

const (
	Injected  Kind = "injected"  // a fault: must be found, at warning or above
	Legit     Kind = "legit"     // an ordinary operation that looks like a fault: must be found, at info
	Uncertain Kind = "uncertain" // may be found or not: nobody knows how long it lasted
)

// Expectation is one violation that lasted longer than the grace, or stands.
type Expectation struct {
	Rule     string
	QuestID  int64
	UserID   string // "" for the rules about a whole quest
	Cause    string // "" where it is not known, which only an uncertain one is
	Severity string
	Kind     Kind

	CommittedAt time.Time // not before the commit that began it: when our COMMIT returned
	EndedAt     time.Time // the same for the commit that ended it; zero while it stands
	EndedAfter  time.Time // not after that commit: when our COMMIT went out
	XID         uint64    // the transaction that began it; 0 where it is not known
}

// Key identifies what is wrong, as far as a finding and an expectation can be compared.
type Key struct {
	Rule    string
	QuestID int64
	UserID  string
}

// Key is the expectation's.
func (e Expectation) Key() Key { return Key{e.Rule, e.QuestID, e.UserID} }

func severityOf(cause string) string {
	switch cause {
	case "approval_failed":
		return "critical"
	case "departed", "direct_join", "released", "assignee_left", "idle", "dropped_out", "unfinished":
		return "info"
	}
	return "warning"
}

// gravity orders causes by severity.
func gravity(cause string) int {
	return slices.Index([]string{"info", "warning", "critical"}, severityOf(cause))
}

// history is what the rows do not tell: who was approved and who went, and when.
type history struct {
	step       int
	approvedAt map[string]int
	removedAt  map[string]int
	revoked    map[string]bool // an approval was taken back since
	direct     map[int64]bool  // participants inserted without any application
	released   bool
	left       bool // the assignee took part, and does not any more
	handed     bool // somebody assigned the quest to its assignee
	approvals  map[int64]approval
}

func newHistory() *history {
	return &history{
		approvedAt: map[string]int{}, removedAt: map[string]int{}, revoked: map[string]bool{}, direct: map[int64]bool{},
		approvals: map[int64]approval{},
	}
}

func (h *history) clone() *history {
	c := *h
	c.approvedAt, c.removedAt = maps.Clone(h.approvedAt), maps.Clone(h.removedAt)
	c.revoked, c.direct, c.approvals = maps.Clone(h.revoked), maps.Clone(h.direct), maps.Clone(h.approvals)
	return &c
}

// observe takes in what one transaction changed.
func (h *history) observe(before, after *state) {
	h.step++
	h.observeApprovals(before, after)
	for _, a := range after.apps {
		was := before.app(a.id)
		switch {
		case a.status == approved && (was == nil || was.status != approved):
			h.approvedAt[a.applicant], h.revoked[a.applicant] = h.step, false
		case a.status != approved && was != nil && was.status == approved:
			h.revoked[a.applicant] = true
		}
	}
	for _, p := range before.parts {
		if after.part(p.id) == nil {
			h.removedAt[p.user] = h.step
		}
	}
	for _, p := range after.parts {
		if before.part(p.id) == nil {
			h.direct[p.id] = !after.applied(p.user)
		}
	}
	h.assignee(before, after)
	newcomer := slices.ContainsFunc(after.active(), func(p participant) bool { return !before.takesPart(p.user) })
	if after.quest.assignedTo != nil || newcomer {
		h.released = false
	} else if before.quest.assignedTo != nil && len(after.active()) > 0 {
		h.released = true
	}
}

func (h *history) assignee(before, after *state) {
	was, is := before.quest.assignedTo, after.quest.assignedTo
	switch {
	case is == nil || was == nil || *was != *is:
		h.left, h.handed = false, is != nil
	case after.takesPart(*is):
		h.left = false
	case before.takesPart(*is):
		h.left = true
	}
}

// judge is the naive reading of the ten rules: what is wrong, and why.
func judge(s *state, h *history) map[Key]string {
	found := map[Key]string{}
	id := s.quest.id
	if !s.exists && len(s.apps)+len(s.parts) > 0 {
		found[Key{DanglingReference, id, ""}] = "quest_missing"
	}
	if !s.exists || s.quest.deleted {
		return found
	}
	judgeBlindSpots(s, h, found)
	for _, a := range s.apps {
		if a.status != approved || s.partOf(a.applicant) != nil {
			continue
		}
		cause := "unknown"
		if at := h.approvedAt[a.applicant]; h.removedAt[a.applicant] >= max(at, 1) {
			cause = "departed"
		} else if at > 0 {
			cause = "approval_failed"
		}
		found[Key{MissingParticipant, id, a.applicant}] = cause
	}
	rows := map[string]int{}
	for _, p := range s.parts {
		if rows[p.user]++; rows[p.user] == 2 {
			found[Key{DuplicateParticipant, id, p.user}] = "duplicated"
		}
		if _, ok := s.approvedApp(p.user); ok || !p.active() {
			continue
		}
		cause := "unknown"
		if h.revoked[p.user] {
			cause = "revoked"
		} else if h.direct[p.id] {
			cause = "direct_join"
		}
		found[Key{OrphanParticipant, id, p.user}] = cause
	}
	if len(s.active()) == 0 {
		return found
	}
	if s.quest.status == open {
		found[Key{OpenWithParticipants, id, ""}] = h.releasedOr("status_lost")
	}
	if s.quest.assignedTo == nil {
		found[Key{Unassigned, id, ""}] = h.releasedOr("assignment_lost")
	}
	return found
}

// judgeBlindSpots reads the rules that the original audit did not know.
func judgeBlindSpots(s *state, h *history, found map[Key]string) {
	id := s.quest.id
	if to := s.quest.assignedTo; to != nil && !s.takesPart(*to) {
		cause := "unknown"
		switch {
		case h.left:
			cause = "assignee_left"
		case h.handed:
			cause = "never_joined"
		case s.partOf(*to) != nil:
			cause = "assignee_left"
		}
		found[Key{AssigneeNotParticipant, id, *to}] = cause
	}
	if s.quest.status == inProgress && len(s.active()) == 0 {
		found[Key{IdleInProgress, id, ""}] = "idle"
	}
	for _, a := range s.apps {
		if a.status == approved && s.partOf(a.applicant) != nil && !s.takesPart(a.applicant) {
			found[Key{ApprovedButDropped, id, a.applicant}] = "dropped_out"
		}
	}
	for _, p := range s.parts {
		if s.quest.status == completed && (p.status == joined || p.status == working) {
			found[Key{ActiveAfterCompletion, id, ""}] = "unfinished"
		}
	}
}

func (h *history) releasedOr(cause string) string {
	if h.released {
		return "released"
	}
	return cause
}

// possible lists everything that the checker could say about a quest.
func possible(s *state) []Key {
	var keys []Key
	for _, rule := range []string{OpenWithParticipants, Unassigned, IdleInProgress, ActiveAfterCompletion, DanglingReference} {
		keys = append(keys, Key{rule, s.quest.id, ""})
	}
	var users []string
	for _, a := range s.apps {
		users = append(users, a.applicant)
	}
	for _, p := range s.parts {
		users = append(users, p.user)
	}
	slices.Sort(users)
	for _, u := range slices.Compact(users) {
		for _, rule := range []string{MissingParticipant, OrphanParticipant, DuplicateParticipant, AssigneeNotParticipant, ApprovedButDropped} {
			keys = append(keys, Key{rule, s.quest.id, u})
		}
	}
	return keys
}
