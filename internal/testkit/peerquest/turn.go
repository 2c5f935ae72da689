package peerquest

import (
	"slices"
	"time"
)

// Turn is something that a transaction turned back, or that the application reported, and that is over when it is
// seen. Kind is what the checker's subject says of it: approval.failed.reverted.
type Turn struct {
	Kind    string
	QuestID int64
	UserID  string // "" for a quest's status
	XID     uint64
}

// The kinds of turn.
const (
	Reverted  = "approval.failed.reverted"
	Reported  = "approval.failed.reported"
	Fulfilled = "approval.reset.fulfilled"
	Regressed = "status.regressed."
)

// Turns lists what turned back. Of the quests in unclear nobody knows: several transactions were read back as one.
func (s *Simulator) Turns() (turns []Turn, unclear map[int64]bool) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	unclear = map[int64]bool{}
	for _, t := range s.ledger.turns {
		if t.XID == 0 {
			unclear[t.QuestID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(s.ledger.turns), func(t Turn) bool { return unclear[t.QuestID] }), unclear
}

func (l *ledger) turned(t Turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = append(l.turns, t)
}

// approval is one that somebody saw.
type approval struct {
	at  time.Time
	met bool // a participant came of it
}

// soon is when an approval has not failed any more that is taken back. A minute is; the rest is for the clocks.
const soon = 50 * time.Second

// turn notes what a transaction is about to turn back.
func (q *live) turn(after *state, xid int64) {
	before, id := q.rows, q.rows.quest.id
	told := func(kind, user string) { q.worker.sim.ledger.turned(Turn{kind, id, user, uint64(xid)}) }
	if xid == 0 {
		told("", "")
		return
	}
	if !before.exists || !after.exists || after.quest.deleted {
		return
	}
	for _, a := range before.apps {
		now := after.app(a.id)
		if a.status != approved || now == nil || now.status != pending {
			continue
		}
		switch was := q.history.approvals[a.id]; {
		case was.met:
			told(Fulfilled, a.applicant)
		case time.Since(was.at) < soon:
			told(Reverted, a.applicant)
		default:
			q.worker.sim.ledger.turned(Turn{QuestID: id})
		}
	}
	switch was, is := before.quest.status, after.quest.status; {
	case was == inProgress && is == open && after.quest.assignedTo != nil:
		told(Regressed+"in_progress_to_open", "")
	case was == completed && is == inProgress:
		told(Regressed+"completed_to_in_progress", "")
	case was == completed && is == open:
		told(Regressed+"completed_to_open", "")
	}
}

// observeApprovals keeps in mind who was approved, and of which approvals a participant came.
func (h *history) observeApprovals(before, after *state) {
	for _, a := range after.apps {
		was := before.app(a.id)
		if a.status == approved && (was == nil || was.status != approved) {
			h.approvals[a.id] = approval{at: time.Now()}
		}
		if seen, ok := h.approvals[a.id]; ok && after.partOf(a.applicant) != nil {
			seen.met = true
			h.approvals[a.id] = seen
		}
	}
}
