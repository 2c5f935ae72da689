package chronicle

import (
	"cmp"
	"slices"
)

// leave is something that a workflow leaves wrong.
type leave struct{ rule, user, cause, severity string }

// faults are what goes wrong, with what each must be found as.
func faults() []workflow {
	return []workflow{
		{
			name: "approval fails, silently", can: func(l *life) bool { return canApprove(l) && len(newPending(l)) > 0 },
			write: func(s *script) { s.approveRow(s.choose(pick(s.dice, newPending(s.life)))) },
			leaves: func(s *script) []leave {
				return []leave{{MissingParticipant, s.chosen.User, approvalFailed, "critical"}}
			},
		},
		{
			name: "approval of who has left fails", can: func(l *life) bool {
				return canApprove(l) && len(pendingDeparted(l)) > 0
			},
			write: func(s *script) { s.approveRow(s.choose(pick(s.dice, pendingDeparted(s.life)))) },
			leaves: func(s *script) []leave {
				return []leave{{MissingParticipant, s.chosen.User, approvalFailed, "critical"}}
			},
		},
		{
			name: "approval loses the quest", can: func(l *life) bool { return canApprove(l) && l.fresh() },
			write: func(s *script) {
				a := s.choose(pickPending(s))
				s.approveRow(a).join(a.User)
				rejectOthers(s, a.ID)
			},
			leaves: func(*script) []leave {
				return []leave{{OpenWithParticipants, "", statusLost, "warning"}, {Unassigned, "", assignmentLost, "warning"}}
			},
		},
		{
			name: "approval loses the status", can: func(l *life) bool { return canApprove(l) && l.fresh() },
			write: func(s *script) {
				a := s.choose(pickPending(s))
				s.approveRow(a).join(a.User).assign(a.User)
			},
			leaves: func(*script) []leave { return []leave{{OpenWithParticipants, "", statusLost, "warning"}} },
		},
		{
			name: "approval loses the assignment", can: func(l *life) bool { return canApprove(l) && l.fresh() },
			write: func(s *script) {
				a := s.choose(pickPending(s))
				s.approveRow(a).join(a.User).setStatus(inProgress)
			},
			leaves: func(*script) []leave { return []leave{{Unassigned, "", assignmentLost, "warning"}} },
		},
		{
			name: "participant without the approval", can: func(l *life) bool {
				return canApprove(l) && len(neverApproved(l)) > 0
			},
			write: func(s *script) {
				a := s.choose(pick(s.dice, neverApproved(s.life)))
				s.join(a.User).assign(a.User)
				if s.fresh() {
					s.setStatus(inProgress)
				}
			},
			leaves: func(s *script) []leave { return []leave{{OrphanParticipant, s.chosen.User, unknown, "warning"}} },
		},
		{
			name: "join without an application", can: (*life).fresh, always: apart,
			write: func(s *script) {
				user := s.choose(Row{User: s.stranger()}).User
				s.join(user).because(OrphanParticipant, user, directJoin).assign(user)
			},
			leaves: func(s *script) []leave {
				return []leave{{OrphanParticipant, s.chosen.User, directJoin, "info"}, {OpenWithParticipants, "", statusLost, "warning"}}
			},
		},
		{
			name: "approval after the last one was kicked", can: func(l *life) bool {
				return l.is(open) && len(l.parts) > 0 && len(l.active()) == 0 && len(usersWith(l.apps, pending)) > 0
			},
			write:  func(s *script) { approve(s, s.choose(pickPending(s))) },
			leaves: func(*script) []leave { return []leave{{OpenWithParticipants, "", statusLost, "warning"}} },
		},
		{
			name: "approval after an unassignment", can: func(l *life) bool {
				return l.is(open) && l.quest.User == "" && len(l.active()) > 0 && len(newPending(l)) > 0
			},
			write:  func(s *script) { approve(s, s.choose(pick(s.dice, newPending(s.life)))) },
			leaves: func(*script) []leave { return []leave{{OpenWithParticipants, "", statusLost, "warning"}} },
		},
		{
			name: "remove endpoint", can: hasOneApproval,
			write: func(s *script) {
				user := s.choose(Row{User: pick(s.dice, oneApproval(s.life))}).User
				s.save(Application, idOf(s.apps, user, approved), rejected).because(OrphanParticipant, user, revoked)
			},
			leaves: func(s *script) []leave { return []leave{{OrphanParticipant, s.chosen.User, revoked, "warning"}} },
		},
		{
			name: "kick without the participant", can: hasOneApproval,
			write: func(s *script) {
				user := s.choose(Row{User: pick(s.dice, oneApproval(s.life))}).User
				s.save(Application, idOf(s.apps, user, approved), kicked).because(OrphanParticipant, user, revoked)
			},
			leaves: func(s *script) []leave { return []leave{{OrphanParticipant, s.chosen.User, revoked, "warning"}} },
		},
		{
			name: "application deleted under a participant", can: hasOneApproval,
			write: func(s *script) {
				user := s.choose(Row{User: pick(s.dice, oneApproval(s.life))}).User
				s.remove(Application, idOf(s.apps, user, approved)).because(OrphanParticipant, user, revoked)
			},
			leaves: func(s *script) []leave { return []leave{{OrphanParticipant, s.chosen.User, revoked, "warning"}} },
		},
		{
			name: "kick without the application", can: func(l *life) bool {
				return hasApprovedActive(l) && len(l.active()) > 1
			},
			write: func(s *script) {
				user := s.choose(Row{User: pick(s.dice, s.approvedActive())}).User
				s.save(Participant, s.activeRow(user), dropped)
				s.left(user)
			},
			leaves: func(s *script) []leave {
				found := []leave{{ApprovedButDropped, s.chosen.User, droppedOut, "info"}}
				if s.quest.User == s.chosen.User {
					found = append(found, leave{AssigneeNotParticipant, s.chosen.User, assigneeLeft, "info"})
				}
				return found
			},
		},
		{
			name: "last one leaves and the quest is not told", can: func(l *life) bool {
				return hasApprovedActive(l) && len(l.active()) == 1 && l.is(inProgress) && l.takesPart(l.quest.User)
			},
			write: func(s *script) {
				user := s.choose(Row{User: s.quest.User}).User
				s.remove(Participant, s.activeRow(user)).because(MissingParticipant, user, departed)
				s.left(user)
			},
			leaves: func(s *script) []leave {
				return []leave{
					{MissingParticipant, s.chosen.User, departed, "info"},
					{IdleInProgress, "", idle, "info"},
					{AssigneeNotParticipant, s.chosen.User, assigneeLeft, "info"},
				}
			},
		},
		{
			name: "duplicate", can: hasApprovedActive,
			write: func(s *script) {
				user := s.choose(Row{User: pick(s.dice, s.approvedActive())}).User
				s.insert(Participant, user, joined)
			},
			leaves: func(s *script) []leave { return []leave{{DuplicateParticipant, s.chosen.User, duplicated, "warning"}} },
		},
		{
			name: "assigned to a stranger", can: func(l *life) bool { return l.is(inProgress) && l.takesPart(l.quest.User) },
			write: func(s *script) {
				user := s.choose(Row{User: s.stranger()}).User
				s.assign(user)
			},
			leaves: func(s *script) []leave {
				return []leave{{AssigneeNotParticipant, s.chosen.User, neverJoined, "warning"}}
			},
		},
		{
			name: "completion forgets who takes part", can: func(l *life) bool { return l.is(inProgress) && len(usersWith(l.parts, joined)) > 0 },
			write:  func(s *script) { s.setStatus(completed) },
			leaves: func(*script) []leave { return []leave{{ActiveAfterCompletion, "", unfinished, "info"}} },
		},
		{
			name: "approval taken back", can: func(l *life) bool { return canApprove(l) && len(newPending(l)) > 0 }, always: apart,
			write: func(s *script) {
				a := s.choose(pick(s.dice, newPending(s.life)))
				s.approveRow(a).save(Application, a.ID, pending).because(OrphanParticipant, a.User, revoked).after(soon + Millis(s.dice.IntN(3)) - 1)
			},
		},
		{
			name: "approval taken back soon", can: func(l *life) bool { return canApprove(l) && len(newPending(l)) > 0 }, always: apart,
			write: func(s *script) {
				a := s.choose(pick(s.dice, newPending(s.life)))
				s.approveRow(a).save(Application, a.ID, pending).because(OrphanParticipant, a.User, revoked)
			},
		},
		{
			name: "approval undone by a stale save", can: hasOneApproval,
			write: func(s *script) {
				user := s.choose(Row{User: pick(s.dice, oneApproval(s.life))}).User
				s.save(Application, idOf(s.apps, user, approved), pending).because(OrphanParticipant, user, revoked)
			},
			leaves: func(s *script) []leave { return []leave{{OrphanParticipant, s.chosen.User, revoked, "warning"}} },
		},
		{
			name: "status goes back", can: func(l *life) bool { return l.is(inProgress) && l.takesPart(l.quest.User) },
			write:  func(s *script) { s.setStatus(open) },
			leaves: func(*script) []leave { return []leave{{OpenWithParticipants, "", statusLost, "warning"}} },
		},
		{
			name: "completion undone", can: func(l *life) bool { return l.is(completed) && l.takesPart(l.quest.User) && len(l.why) > 0 },
			write: func(s *script) { s.setStatus(inProgress) },
		},
		{
			name: "completed quest opened again", can: func(l *life) bool {
				return l.is(completed) && l.takesPart(l.quest.User)
			},
			write:  func(s *script) { s.setStatus(open) },
			leaves: func(*script) []leave { return []leave{{OpenWithParticipants, "", statusLost, "warning"}} },
		},
		{
			name: "approval rolled back and reported", can: canApprove, always: apart,
			write: func(s *script) {
				a := s.choose(pickPending(s))
				if s.dice.IntN(4) == 0 {
					a.User = s.stranger() // nobody believes it
				}
				s.pieces = append(s.pieces, piece{report: &a})
			},
		},
		{
			name: "quest deleted under its rows", can: func(l *life) bool { return l.quest != nil && len(l.apps) > 0 },
			write:  func(s *script) { s.write((*tables).deleteQuest) },
			leaves: func(*script) []leave { return []leave{{DanglingReference, "", questMissing, "warning"}} },
		},
	}
}

// choose notes whose row the fault is about.
func (s *script) choose(r Row) Row {
	s.chosen = r
	return r
}

// oneApproval lists those who take part on the strength of one application.
func oneApproval(l *life) []string {
	return slices.DeleteFunc(l.approvedActive(), func(u string) bool {
		n := 0
		for _, a := range l.apps {
			if a.User == u && a.Status == approved {
				n++
			}
		}
		return n != 1
	})
}

func hasOneApproval(l *life) bool { return hasApprovedActive(l) && len(oneApproval(l)) > 0 }

func pendingRows(l *life, of func(user string) bool) (rows []Row) {
	for _, a := range l.apps {
		if a.Status == pending && of(a.User) {
			rows = append(rows, a)
		}
	}
	return rows
}

func pendingDeparted(l *life) []Row {
	return pendingRows(l, func(u string) bool { return slices.Contains(l.departed(), u) })
}

func newPending(l *life) []Row {
	return pendingRows(l, func(u string) bool { return rowsOf(l.parts, u) == 0 })
}

// neverApproved are those who wait, and applied once only.
func neverApproved(l *life) []Row {
	return pendingRows(l, func(u string) bool {
		return rowsOf(l.parts, u) == 0 && rowsOf(l.apps, u) == 1 && l.why[key{OrphanParticipant, u}] == ""
	})
}

// repair puts one thing right that is wrong at warning or above.
func repair(s *script) {
	var wrong []key
	for k, cause := range s.explained() {
		if rank(severityOf(cause)) > 1 {
			wrong = append(wrong, k)
		}
	}
	slices.SortFunc(wrong, func(a, b key) int { return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.user, b.user)) })
	mend(s, pick(s.dice, wrong))
}

func mend(s *script, k key) {
	switch k.rule {
	case MissingParticipant:
		s.join(k.user).assign(k.user)
		if s.is(open) {
			s.setStatus(inProgress)
		}
	case OrphanParticipant:
		mendOrphan(s, k.user)
	case OpenWithParticipants:
		s.setStatus(inProgress)
	case Unassigned, AssigneeNotParticipant:
		if active := s.active(); len(active) > 0 {
			s.assign(active[0])
		} else {
			s.assign("")
		}
	case DuplicateParticipant:
		var last int64
		for _, p := range s.parts {
			if p.User == k.user {
				last = p.ID
			}
		}
		s.remove(Participant, last)
	case DanglingReference:
		for _, a := range s.apps {
			s.remove(Application, a.ID)
		}
		for _, p := range s.parts {
			s.remove(Participant, p.ID)
		}
	}
}

// mendOrphan approves the person's application, or drops the participant.
func mendOrphan(s *script, user string) {
	for _, a := range s.apps {
		if a.User == user && s.dice.IntN(2) == 0 {
			s.approveRow(a)
			return
		}
	}
	for _, p := range s.parts {
		if p.User == user && p.Status != dropped {
			s.save(Participant, p.ID, dropped)
		}
	}
	s.left(user)
}
