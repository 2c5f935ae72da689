package quest

import (
	"cmp"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
)

// visit is what a step did to a quest, as far as history needs it. Nobody ever
// saw what was written and taken back within one step.
type visit struct {
	at   change.LSN
	time change.Millis
	// What the quest was before the step; held says that its assignee took part.
	existed  bool
	status   Status
	assigned User
	held     bool
	// came are the participant rows that became somebody's and active, fresh those
	// that were not there before.
	came, fresh []int64
	// left are the people who lost a row that was there before, and were not
	// approved after that.
	left []User
	// arrived are the applications that came from another quest, or had another id.
	arrived []int64
	// takenBack are applications as they were when they ceased to be approved.
	takenBack []Application
}

// lost notes that a row is its person's no more.
func (v *visit) lost(p *Participant) {
	if p.User != 0 && !slices.Contains(v.fresh, p.ID) {
		v.left = append(v.left, p.User)
	}
}

// remember keeps what the step as a whole says of history.
func (q *Quest) remember(v *visit) {
	newcomer := false
	for _, id := range v.came {
		i, found := q.findParticipant(id)
		if !found {
			continue
		}
		p := &q.Participants[i]
		p.Direct = !q.HasApplication(p.User)
		newcomer = newcomer || p.Active() && !q.tookPart(p.User, v.came)
	}
	for _, u := range v.left {
		q.depart(u, v.at)
	}
	switch {
	case !q.Exists || q.Assigned != 0 || newcomer:
		q.Released = 0
	case v.assigned != 0 && q.Actives() > 0:
		q.Released = v.at
	}
	switch holds := q.TakesPart(q.Assigned); {
	case q.Assigned != v.assigned || q.Assigned == 0:
		q.Left, q.Handed = 0, q.Assigned != 0
	case holds:
		q.Left = 0
	case v.held:
		q.Left = v.at
	}
	q.meet()
}

// tookPart reports whether the person has an active row that is not among came.
func (q *Quest) tookPart(u User, came []int64) bool {
	return slices.ContainsFunc(q.Participants, func(p Participant) bool {
		return p.User == u && p.Active() && !slices.Contains(came, p.ID)
	})
}

// meet notes which approvals have their participant.
func (q *Quest) meet() {
	now := q.participants(len(q.Applications))
	for i := range q.Applications {
		a := &q.Applications[i]
		if a.Approved != 0 && !a.Met {
			a.Met = now.have(a.User)
		}
	}
}

// Turns is what a step as a whole did to statuses whose way back matters.
type Turns struct {
	// From and To are the quest's; the same where it did not turn, or was not there
	// both before and after.
	From, To Status
	// Reversals are the approvals that became pending again, by application.
	Reversals []Reversal
}

// Reversal is an approval that became pending again.
type Reversal struct {
	Application int64
	User        User
	// Approved is the commit of the approval, At its time; 0 where nobody saw it.
	Approved change.LSN
	At       change.Millis
	// Met is the application's, as it was.
	Met bool
}

// Turns is what the last step applied did; valid until the next Apply.
func (s *State) Turns() *Turns { return &s.turns }

func (s *State) turn(q *Quest, v *visit) {
	if q.Exists && v.existed {
		s.turns.From, s.turns.To = v.status, q.Status
	}
	for i := range v.takenBack {
		was := &v.takenBack[i]
		now, found := q.findApplication(was.ID)
		if !found || q.Applications[now].Status != Pending || q.Applications[now].User != was.User {
			continue
		}
		if was.Approved == v.at || slices.Contains(v.arrived, was.ID) { // and of this step: nobody ever saw it approved here
			continue
		}
		s.turns.Reversals = append(s.turns.Reversals, Reversal{
			Application: was.ID, User: was.User, Approved: was.Approved, At: was.ApprovedAt, Met: was.Met,
		})
	}
	if len(s.turns.Reversals) > 1 {
		slices.SortFunc(s.turns.Reversals, func(a, b Reversal) int { return cmp.Compare(a.Application, b.Application) })
		s.turns.Reversals = slices.CompactFunc(s.turns.Reversals, func(a, b Reversal) bool { return a.Application == b.Application })
	}
}
