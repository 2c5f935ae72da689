package chronicle

import (
	"fmt"
	"slices"
)

// workflow is something that people do to a quest.
type workflow struct {
	name   string
	weight int
	can    func(l *life) bool
	write  func(s *script)
	// always: one transaction, or one for each statement, in any style.
	always style
	// delicate: the stream must see all of it to know why what it leaves is right.
	delicate bool
	// leaves: what is wrong afterwards that was not before, where something is.
	leaves func(s *script) []leave
}

type style int

const (
	either style = iota
	inOne
	apart
)

func pick[T any](dice Dice, from []T) T { return from[dice.IntN(len(from))] }

// canApprove: after a kick of the last one, or an unassignment, an approval would leave the quest open.
func canApprove(l *life) bool {
	return len(usersWith(l.apps, pending)) > 0 && (l.fresh() || l.is(inProgress))
}

func hasApprovedActive(l *life) bool {
	return l.there() && l.quest.Status != completed && len(l.approvedActive()) > 0
}

// ordinary are the workflows that leave nothing wrong above info.
func ordinary() []workflow {
	return []workflow{
		{name: "apply", weight: 8, can: func(l *life) bool { return l.there() && len(l.apps) < 8 && l.quest.Status != completed }, write: apply},
		{name: "approve", weight: 24, can: canApprove, write: func(s *script) { approve(s, pickPending(s)) }},
		{name: "approve two at once", weight: 4, can: func(l *life) bool {
			return canApprove(l) && len(usersWith(l.apps, pending)) > 1
		}, write: approveTwo, always: apart},
		{name: "reject", weight: 2, can: func(l *life) bool { return l.there() && len(usersWith(l.apps, pending)) > 0 }, write: func(s *script) {
			s.save(Application, pickPending(s).ID, rejected)
		}},
		{name: "kick", weight: 8, can: hasApprovedActive, write: func(s *script) { kick(s, pick(s.dice, s.approvedActive())) }},
		{name: "leave", weight: 8, can: hasApprovedActive, write: func(s *script) { leaveQuest(s, pick(s.dice, s.approvedActive())) }, delicate: true},
		{name: "reject who has left", weight: 1, can: func(l *life) bool { return l.there() && len(l.departed()) > 0 }, write: func(s *script) {
			user := pick(s.dice, s.departed())
			s.save(Application, idOf(s.apps, user, approved), rejected).because(OrphanParticipant, user, revoked)
		}},
		{name: "put back who has left", weight: 1, can: func(l *life) bool {
			return l.there() && len(l.departed()) > 0 && (l.fresh() || l.is(inProgress))
		}, write: putBack, always: inOne},
		{name: "join a quest under way", weight: 2, can: func(l *life) bool { return l.is(inProgress) }, write: func(s *script) {
			user := s.stranger()
			s.join(user).because(OrphanParticipant, user, directJoin).assign(user)
		}, always: apart, delicate: true},
		{name: "unassign", weight: 2, can: func(l *life) bool { return l.is(inProgress) && l.quest.User != "" && len(l.active()) > 0 }, write: func(s *script) {
			s.reopen().because(Unassigned, "", released).because(OpenWithParticipants, "", released)
		}, delicate: true},
		{name: "assign again", weight: 3, can: func(l *life) bool { return l.is(open) && l.quest.User == "" && len(l.active()) > 0 }, write: func(s *script) {
			user := pick(s.dice, s.active())
			s.assign(user).setStatus(inProgress)
		}},
		{name: "complete", weight: 4, can: func(l *life) bool { return l.is(inProgress) && l.quest.User != "" && len(l.active()) > 0 }, write: complete, always: apart},
		{name: "edit", weight: 1, can: (*life).there, write: func(s *script) { s.saveQuest(func(*Row) {}) }},
		{name: "delete softly", weight: 1, can: (*life).there, write: func(s *script) { s.saveQuest(func(q *Row) { q.Deleted = true }) }},
		{name: "restore", weight: 6, can: func(l *life) bool { return l.quest != nil && l.quest.Deleted }, write: func(s *script) {
			s.saveQuest(func(q *Row) { q.Deleted = false })
		}},
		{name: "delete", weight: 1, can: func(l *life) bool { return l.quest != nil }, write: hardDelete, always: inOne},
	}
}

// stranger is somebody who has nothing to do with the quest yet.
func (s *script) stranger() string {
	for {
		user := fmt.Sprintf("user%d", s.dice.IntN(200))
		if rowsOf(s.apps, user)+rowsOf(s.parts, user) == 0 && (s.quest == nil || s.quest.User != user) {
			return user
		}
	}
}

// apply also lets apply again who was rejected, kicked, or has left.
func apply(s *script) {
	var again []string
	for _, a := range s.apps {
		if !s.takesPart(a.User) && idOf(s.apps, a.User, pending) == 0 {
			again = append(again, a.User)
		}
	}
	if len(again) > 0 && s.dice.IntN(3) == 0 {
		s.insert(Application, pick(s.dice, again), pending)
		return
	}
	s.insert(Application, s.stranger(), pending)
}

func pickPending(s *script) Row {
	return pick(s.dice, slices.DeleteFunc(slices.Clone(s.apps), func(a Row) bool { return a.Status != pending }))
}

// approve is the application's approval, with all that it does.
func approve(s *script, a Row) {
	s.approveRow(a)
	s.join(a.User)
	s.assign(a.User)
	if s.fresh() {
		s.setStatus(inProgress)
	}
	rejectOthers(s, a.ID)
}

// rejectOthers rejects who still waits when it comes to that.
func rejectOthers(s *script, approvedIDs ...int64) {
	for _, other := range s.apps {
		if other.Status == pending && !slices.Contains(approvedIDs, other.ID) {
			s.save(Application, other.ID, rejected)
		}
	}
}

// approveTwo approves two applications at the same time: their statements come in any order.
func approveTwo(s *script) {
	first := pickPending(s)
	second := first
	for second.User == first.User {
		second = pickPending(s)
	}
	var sides [2][]piece
	for i, a := range []Row{first, second} {
		s.approveRow(a)
		s.join(a.User)
		s.assign(a.User)
		if s.fresh() {
			s.setStatus(inProgress)
		}
		if s.dice.IntN(2) == 0 {
			s.together()
		}
		sides[i], s.pieces = s.pieces, nil
	}
	for len(sides[0])+len(sides[1]) > 0 {
		i := s.dice.IntN(2)
		if len(sides[i]) == 0 {
			i = 1 - i
		}
		s.pieces, sides[i] = append(s.pieces, sides[i][0]), sides[i][1:]
	}
	rejectOthers(s, first.ID, second.ID)
}

func kick(s *script, user string) {
	if id := idOf(s.apps, user, approved); id != 0 {
		s.save(Application, id, kicked).because(OrphanParticipant, user, revoked)
	}
	s.save(Participant, s.activeRow(user), dropped)
	s.left(user)
	if len(s.active()) == 1 {
		s.reopen()
	}
}

// left says that the person takes part no more from the last write on.
func (s *script) left(user string) {
	if s.quest.User == user {
		s.because(AssigneeNotParticipant, user, assigneeLeft)
	}
}

// leaveQuest deletes the participant and lets the application stand. Whoever is left is assigned, or nobody is, or the
// one who left still is.
func leaveQuest(s *script, user string) {
	s.remove(Participant, s.activeRow(user)).because(MissingParticipant, user, departed)
	s.left(user)
	others := slices.DeleteFunc(s.active(), func(u string) bool { return u == user })
	switch {
	case len(others) == 0:
		s.reopen()
	case s.quest.User != user:
	case s.dice.IntN(3) == 0:
		s.assign("").because(Unassigned, "", released).because(OpenWithParticipants, "", released)
	case s.dice.IntN(2) == 0:
		s.assign(pick(s.dice, others))
	}
}

// putBack is what the old audit's repair does to a person who has left.
func putBack(s *script) {
	user := pick(s.dice, s.departed())
	s.join(user).assign(user)
	if s.fresh() {
		s.setStatus(inProgress)
	}
}

// complete is 9 to 23 transactions: the status, the participants, and rewards that save the quest again.
func complete(s *script) {
	s.setStatus(completed)
	for _, p := range s.parts {
		if p.Status == joined {
			s.save(Participant, p.ID, completed)
		}
	}
	for n := 9 + s.dice.IntN(15); len(s.pieces) < n; {
		s.saveQuest(func(*Row) {})
	}
}

// hardDelete deletes the children first, as the application does.
func hardDelete(s *script) {
	for _, p := range s.parts {
		s.remove(Participant, p.ID)
	}
	for _, a := range s.apps {
		s.remove(Application, a.ID)
	}
	s.write((*tables).deleteQuest)
}
