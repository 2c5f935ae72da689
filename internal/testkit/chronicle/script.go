package chronicle

import (
	"maps"
	"slices"
)

// piece is what is committed together.
type piece struct {
	pause  Millis // before it
	writes []func(t *tables) Change
	// why says what its writes explain, whether it is violated by them or later.
	why map[key]string
	// report is the application that is reported to have failed, instead of any writes.
	report *Row
}

// apply carries out the piece's writes.
func (p *piece) apply(t *tables) (changes []Change) {
	for _, w := range p.writes {
		changes = append(changes, w(t))
	}
	return changes
}

// script writes down a workflow's pieces.
type script struct {
	*life
	dice   Dice
	nextID func() int64
	pieces []piece
	chosen Row // whose row a fault is about
}

func (s *script) write(w func(t *tables) Change) *script {
	s.pieces = append(s.pieces, piece{writes: []func(t *tables) Change{w}, why: map[key]string{}})
	return s
}

// because says why a rule is violated, once it is, from the last write on.
func (s *script) because(rule, user, cause string) *script {
	s.pieces[len(s.pieces)-1].why[key{rule, user}] = cause
	return s
}

// newcomer: somebody takes part from the last write on, and whatever was released before is not any more.
func (s *script) newcomer() *script {
	return s.because(OpenWithParticipants, "", statusLost).because(Unassigned, "", assignmentLost)
}

func (s *script) saveQuest(set func(q *Row)) *script {
	return s.write(func(t *tables) Change { return t.saveQuest(set) })
}

// after makes the last write come after so long.
func (s *script) after(pause Millis) *script {
	s.pieces[len(s.pieces)-1].pause = pause
	return s
}

func (s *script) setStatus(status string) *script {
	return s.saveQuest(func(q *Row) { q.Status = status })
}

func (s *script) assign(user string) *script {
	s.saveQuest(func(q *Row) { q.User = user })
	if user != "" {
		s.newcomer().because(AssigneeNotParticipant, user, neverJoined)
	}
	return s
}

// reopen is what the application does to a quest that nobody takes part in any more.
func (s *script) reopen() *script {
	return s.saveQuest(func(q *Row) { q.User, q.Status = "", open })
}

func (s *script) insert(entity, user, status string) *script {
	id := s.nextID()
	return s.write(func(t *tables) Change { return t.insert(entity, Row{ID: id, User: user, Status: status}) })
}

func (s *script) save(entity string, id int64, status string) *script {
	return s.write(func(t *tables) Change { return t.save(entity, id, status) })
}

func (s *script) remove(entity string, id int64) *script {
	return s.write(func(t *tables) Change { return t.remove(entity, id) })
}

// approveRow approves an application.
func (s *script) approveRow(a Row) *script {
	return s.save(Application, a.ID, approved).because(MissingParticipant, a.User, approvalFailed).because(OrphanParticipant, a.User, "")
}

// join makes the person a participant, with a row of their own or the one that is there.
func (s *script) join(user string) *script {
	i := slices.IndexFunc(s.parts, func(p Row) bool { return p.User == user })
	if i < 0 {
		s.insert(Participant, user, joined)
	} else {
		s.save(Participant, s.parts[i].ID, joined)
	}
	if !s.takesPart(user) {
		s.newcomer()
	}
	return s
}

// together makes one transaction of the pieces, as the application does today.
func (s *script) together() {
	all := piece{why: map[key]string{}}
	for _, p := range s.pieces {
		all.writes = append(all.writes, p.writes...)
		maps.Copy(all.why, p.why)
	}
	s.pieces = []piece{all}
}

// paced gives the pieces pauses: nothing that begins and ends on the way lasts longer than limit.
func (s *script) paced(limit Millis) []piece {
	for i := range s.pieces {
		if s.pieces[i].pause > 0 {
			return s.pieces // it says so itself
		}
		if i > 0 {
			s.pieces[i].pause = []Millis{
				0, 1, Millis(s.dice.IntN(50)), Millis(s.dice.IntN(800)), Millis(s.dice.IntN(int(limit) + 1)), limit,
			}[s.dice.IntN(6)]
		}
	}
	for s.longest() > limit {
		for i := range s.pieces {
			s.pieces[i].pause -= (s.pieces[i].pause + 7) / 8
		}
	}
	return s.pieces
}

// longest is how long the longest violation lasts that begins and ends on the way.
func (s *script) longest() (longest Millis) {
	dry := &life{tables: s.clone(), why: maps.Clone(s.why), revoked: maps.Clone(s.revoked), withdrawn: maps.Clone(s.withdrawn)}
	began, now := map[key]Millis{}, Millis(0)
	before := dry.explained()
	for i := range s.pieces {
		now += s.pieces[i].pause
		dry.explain(&s.pieces[i], s.pieces[i].apply(dry.tables))
		after := dry.explained()
		for k := range before {
			if at, ok := began[k]; ok && after[k] == "" {
				longest = max(longest, now-at)
				delete(began, k)
			}
		}
		for k, cause := range after {
			if before[k] == "" || rank(severityOf(cause)) > rank(severityOf(before[k])) {
				began[k] = now
			}
		}
		before = after
	}
	return longest
}
