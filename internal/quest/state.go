package quest

import (
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
)

// State is every quest of the database, at one position of the stream. It has
// one writer and no lock.
type State struct {
	users    *Users
	statuses Statuses
	columns  [change.Participant + 1]columns
	words    map[string]string
	quests   map[int64]*Quest
	// baseline is the state that a baseline in progress has built so far, or nil.
	baseline map[int64]*Quest
}

// NewState is an empty state for a database with these tables and words.
func NewState(schema change.Schema, statuses Statuses) *State {
	return &State{
		users:    NewUsers(),
		statuses: statuses,
		columns:  columnsOf(&schema),
		words:    map[string]string{},
		quests:   map[int64]*Quest{},
	}
}

// Users is the table of interned ids.
func (s *State) Users() *Users { return s.users }

// Quest is the quest with an id, or nil. It changes with the next Apply.
func (s *State) Quest(id int64) *Quest { return s.quests[id] }

// Len is the number of quests known.
func (s *State) Len() int { return len(s.quests) }

// IDs lists the quests known, in ascending order.
func (s *State) IDs() []int64 {
	ids := make([]int64, 0, len(s.quests))
	for id := range s.quests {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Apply carries out a step and returns its quest, or nil when nothing of it is
// left.
func (s *State) Apply(step *change.Step) (*Quest, error) {
	quests := s.quests
	if s.baseline != nil && step.Source.Snapshot {
		quests = s.baseline
	}
	q := quests[step.QuestID]
	if q == nil {
		q = &Quest{ID: step.QuestID}
		quests[step.QuestID] = q
	}
	v := visit{at: step.Transaction.CommitLSN, assigned: q.Assigned}
	for i := range step.Changes {
		c := &step.Changes[i]
		if err := s.applyChange(q, c, &v); err != nil {
			return nil, fmt.Errorf("apply change %d of transaction %d to quest %d: %w", c.Order, step.Transaction.ID, q.ID, err)
		}
	}
	q.Departures = slices.DeleteFunc(q.Departures, func(d Departure) bool { return q.HasParticipant(d.User) })
	if !step.Source.Snapshot {
		q.remember(&v)
	}
	if q.empty() {
		delete(quests, q.ID)
		return nil, nil
	}
	return q, nil
}

// visit is what a step did to a quest, as far as history needs it. Nobody ever
// saw what was written and taken back within one step.
type visit struct {
	at       change.LSN
	assigned User // before the step
	// came are the participant rows that became somebody's and active, fresh those
	// that were not there before.
	came, fresh []int64
	// left are the people who lost a row that was there before, and were not
	// approved after that.
	left []User
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
		newcomer = newcomer || p.Active() && !q.takesPart(p.User, v.came)
	}
	for _, u := range v.left {
		q.depart(u, v.at)
	}
	switch {
	case q.Assigned != 0 || newcomer:
		q.Released = 0
	case q.Exists && v.assigned != 0 && q.Actives() > 0:
		q.Released = v.at
	}
}

// takesPart reports whether the person has an active row that is not among came.
func (q *Quest) takesPart(u User, came []int64) bool {
	return slices.ContainsFunc(q.Participants, func(p Participant) bool {
		return p.User == u && p.Active() && !slices.Contains(came, p.ID)
	})
}

// applyChange carries out one change.
func (s *State) applyChange(q *Quest, c *change.Change, v *visit) error {
	if int(c.Entity) >= len(s.columns) {
		return fmt.Errorf("unknown entity %d", c.Entity)
	}
	r, err := s.read(c)
	if err != nil {
		return err
	}
	switch c.Entity {
	case change.Quest:
		return s.applyQuest(q, c, &r)
	case change.Application:
		return s.applyApplication(q, c, &r, v)
	case change.Participant:
		return s.applyParticipant(q, c, &r, v)
	}
	return fmt.Errorf("unknown entity %d", c.Entity)
}

func (s *State) applyQuest(q *Quest, c *change.Change, r *row) error {
	if c.Op == change.Delete {
		q.Exists, q.Deleted, q.Title, q.Status, q.Assigned, q.Released = false, false, "", Other, 0, 0
		return nil
	}
	if !q.Exists && r.has&hasStatus == 0 {
		return &ColumnError{Entity: c.Entity, Column: s.columns[c.Entity].status, Err: errMissing}
	}
	q.Exists = true
	if r.has&hasTitle != 0 && q.Title != string(r.title) {
		q.Title = string(r.title) // rarely: every write of the row has the title
	}
	if r.has&hasStatus != 0 {
		q.Status = s.statuses.Quest[r.status]
	}
	if r.has&hasUser != 0 {
		q.Assigned = r.user
	}
	if r.has&hasDeleted != 0 {
		q.Deleted = r.deleted
	}
	return nil
}

func (s *State) applyApplication(q *Quest, c *change.Change, r *row, v *visit) error {
	i, found := q.findApplication(r.id)
	if c.Op == change.Delete {
		if found {
			if a := q.Applications[i]; a.Status == Approved {
				q.withdrawn(a.User, true)
			}
			q.Applications = slices.Delete(q.Applications, i, i+1)
		}
		return nil
	}
	if !found {
		if err := s.needs(c.Entity, r); err != nil {
			return err
		}
		q.Applications = slices.Insert(q.Applications, i, Application{ID: r.id})
	}
	a := &q.Applications[i]
	was, wasUser := a.Status, a.User
	if r.has&hasUser != 0 {
		a.User = r.user
	}
	if r.has&hasStatus != 0 {
		a.Status = s.statuses.Application[r.status]
	}
	switch {
	case a.Status == Approved && (was != Approved || wasUser != a.User):
		a.Approved, a.Revoked = 0, false
		if c.Op != change.Read {
			a.Approved = v.at
		}
		q.undepart(a.User)
		v.left = slices.DeleteFunc(v.left, func(u User) bool { return u == a.User })
		q.withdrawn(a.User, false)
	case a.Status != Approved && was == Approved:
		a.Approved, a.Revoked = 0, c.Op != change.Read
	}
	return nil
}

func (s *State) applyParticipant(q *Quest, c *change.Change, r *row, v *visit) error {
	i, found := q.findParticipant(r.id)
	if c.Op == change.Delete {
		if found {
			v.lost(&q.Participants[i])
			q.Participants = slices.Delete(q.Participants, i, i+1)
		}
		return nil
	}
	if !found {
		if err := s.needs(c.Entity, r); err != nil {
			return err
		}
		v.fresh = append(v.fresh, r.id)
		q.Participants = slices.Insert(q.Participants, i, Participant{ID: r.id, Status: Dropped})
	}
	p := &q.Participants[i]
	was := *p
	if r.has&hasUser != 0 {
		p.User = r.user
	}
	if r.has&hasStatus != 0 {
		p.Status = s.statuses.Participant[r.status]
	}
	if r.has&hasJoined != 0 {
		p.Joined = r.joined
	}
	if was.User != p.User {
		v.lost(&was)
	}
	if p.Active() && !(was.Active() && was.User == p.User) {
		v.came = append(v.came, p.ID)
	}
	return nil
}

// lost notes that a row is its person's no more.
func (v *visit) lost(p *Participant) {
	if p.User != 0 && !slices.Contains(v.fresh, p.ID) {
		v.left = append(v.left, p.User)
	}
}

// needs checks that a row that was not known before says all that it must.
func (s *State) needs(e change.Entity, r *row) error {
	cols := &s.columns[e]
	if r.has&hasUser == 0 {
		return &ColumnError{Entity: e, Column: cols.user, Err: errMissing}
	}
	if r.has&hasStatus == 0 {
		return &ColumnError{Entity: e, Column: cols.status, Err: errMissing}
	}
	return nil
}
