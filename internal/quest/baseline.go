package quest

import (
	"github.com/peerquest/questwatch/internal/change"
)

// BeginBaseline starts a baseline: the steps of a snapshot that follow build a
// new state beside this one, which takes its place at EndBaseline. A baseline
// that was begun before and not ended is forgotten.
func (s *State) BeginBaseline() {
	baseline := s.quests.fresh()
	s.baseline = &baseline
}

// EndBaseline puts the new state in place. What the baseline did not restate is
// gone and leaves no history, because nobody knows when or why it went; the
// history of what it did restate is kept as far as it can still be true. missed says
// that changes were lost before it: whether an approval without a participant failed,
// or whoever it was for came and left, nobody saw.
func (s *State) EndBaseline(missed bool) {
	if s.baseline == nil {
		return
	}
	s.close(&s.quests)
	s.close(s.baseline)
	var q, old Quest
	for _, id := range s.baseline.ids() {
		if s.load(&old, &s.quests, id) && s.load(&q, s.baseline, id) {
			q.inherit(&old, missed)
			s.store(&q, s.baseline)
		}
	}
	s.quests, s.baseline = *s.baseline, nil
}

// inherit takes over what an earlier state of the same quest remembers.
func (q *Quest) inherit(old *Quest, missed bool) {
	for i := range q.Applications {
		a := &q.Applications[i]
		if j, found := old.findApplication(a.ID); found {
			if was := old.Applications[j]; was.User == a.User && (was.Status == Approved) == (a.Status == Approved) {
				a.Approved, a.ApprovedAt, a.Revoked, a.Met = was.Approved, was.ApprovedAt, was.Revoked, was.Met
			}
		}
	}
	q.forgetFulfilled(old)
	if missed {
		q.forgetUnfulfilled()
	}
	came, approved := false, q.approvedSince(old)
	for i := range q.Participants {
		p := &q.Participants[i]
		j, found := old.findParticipant(p.ID)
		same := found && old.Participants[j].User == p.User
		p.Direct = same && old.Participants[j].Direct
		p.Withdrawn = same && old.Participants[j].Withdrawn && !approved[p.User]
		came = came || p.Active() && !(same && old.Participants[j].Active())
	}
	now := q.participants(len(old.Departures))
	for _, d := range old.Departures {
		if !now.have(d.User) && !approved[d.User] {
			q.Departures = append(q.Departures, d)
		}
	}
	if q.Exists && q.Assigned == 0 && !came {
		q.Released = old.Released
	}
	q.inheritAssignee(old)
	q.meet()
}

// inheritAssignee keeps what is known of the assignee. One who ceased to take part
// while nobody looked may have left, or may have been taken away.
func (q *Quest) inheritAssignee(old *Quest) {
	if q.Assigned == 0 || q.Assigned != old.Assigned {
		return
	}
	held, holds := old.TakesPart(q.Assigned), q.TakesPart(q.Assigned)
	q.Handed = old.Handed && (holds || !held)
	if !holds {
		q.Left = old.Left
	}
}

// forgetFulfilled forgets the approvals of those who had a participant in old
// and have none now. The approval did not fail, and how the participant went
// nobody saw.
func (q *Quest) forgetFulfilled(old *Quest) {
	then, now := old.participants(len(q.Applications)), q.participants(len(q.Applications))
	for i := range q.Applications {
		if a := &q.Applications[i]; then.have(a.User) && !now.have(a.User) {
			a.Approved, a.ApprovedAt, a.Met = 0, 0, false
		}
	}
}

// forgetUnfulfilled forgets the approvals of which no participant is known to have come.
func (q *Quest) forgetUnfulfilled() {
	now := q.participants(len(q.Applications))
	for i := range q.Applications {
		if a := &q.Applications[i]; !a.Met && !now.have(a.User) {
			a.Approved, a.ApprovedAt = 0, 0
		}
	}
}

// approvedSince are those of whom an application is approved now and was not in old.
func (q *Quest) approvedSince(old *Quest) map[User]bool {
	var since map[User]bool
	for i := range q.Applications {
		a := &q.Applications[i]
		if a.Status != Approved {
			continue
		}
		if j, found := old.findApplication(a.ID); found && old.Applications[j].Status == Approved && old.Applications[j].User == a.User {
			continue
		}
		if since == nil {
			since = map[User]bool{}
		}
		since[a.User] = true
	}
	return since
}

// Undone notes that a person's participant went because the repair that had made it
// was taken back: nobody left, and what should have become of the approval nobody
// can say any more.
func (s *State) Undone(id int64, u User) {
	q := s.Quest(id)
	if q == nil {
		return
	}
	q.undepart(u)
	for i := range q.Applications {
		if a := &q.Applications[i]; a.User == u {
			a.Approved, a.ApprovedAt, a.Met = 0, 0, false
		}
	}
	if q == &s.quest {
		s.store(q, &s.quests)
	}
}

// Truncate removes all rows of an entity. Nobody left by it and no approval
// failed by it: what it removes leaves no history, as in EndBaseline.
func (s *State) Truncate(e change.Entity) {
	s.close(&s.quests)
	q := &s.quest
	for _, id := range s.quests.ids() {
		s.load(q, &s.quests, id)
		q.truncate(e)
		s.store(q, &s.quests)
	}
}

func (q *Quest) truncate(e change.Entity) {
	switch e {
	case change.Quest:
		*q = Quest{ID: q.ID, Applications: q.Applications, Participants: q.Participants, Departures: q.Departures}
	case change.Application:
		for _, a := range q.Applications {
			if a.Status == Approved {
				q.withdrawn(a.User, true)
			}
		}
		q.Applications = q.Applications[:0]
	case change.Participant:
		before := *q
		q.Participants = q.Participants[:0]
		q.forgetFulfilled(&before)
		if before.TakesPart(q.Assigned) {
			q.Handed = false
		}
	}
}
