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
	quests   shards
	// baseline is the state that a baseline in progress has built so far, or nil.
	baseline *shards
	// quest is what Quest and Apply return, buffer its record in the making.
	quest  Quest
	buffer []byte
	turns  Turns
	// approvals counts those that a step made.
	approvals uint64
}

// NewState is an empty state for a database with these tables and words.
func NewState(schema change.Schema, statuses Statuses) *State {
	return &State{
		users:    NewUsers(),
		statuses: statuses,
		columns:  columnsOf(&schema),
		words:    map[string]string{},
		quests:   shards{open: open{limits: usual}},
	}
}

// Users is the table of interned ids.
func (s *State) Users() *Users { return s.users }

// Quest is the quest with an id, or nil. It is valid until the next call of Quest,
// Apply, EndBaseline or Truncate.
func (s *State) Quest(id int64) *Quest {
	if q := s.quests.open.use(id); q != nil {
		return q
	}
	if !s.load(&s.quest, &s.quests, id) {
		return nil
	}
	return &s.quest
}

// load reads a quest into q, and reports whether there is one.
func (s *State) load(q *Quest, from *shards, id int64) bool {
	r, found := from.get(id)
	if !found {
		return false
	}
	if err := q.load(id, r); err != nil {
		panic(err) // we wrote it: memory is broken, and so is all that would follow
	}
	return true
}

// store keeps a quest, or forgets one of which nothing is left.
func (s *State) store(q *Quest, to *shards) {
	if q.empty() {
		to.remove(q.ID)
		return
	}
	s.buffer = appendRecord(s.buffer[:0], q)
	if old, found := to.get(q.ID); !found || string(old) != string(s.buffer) {
		to.put(q.ID, record(s.buffer))
	}
}

// keep has a quest of very many rows, which has just been loaded and stored, stay open.
func (s *State) keep(in *shards) *Quest {
	q := s.quest
	s.quest = Quest{}
	for _, old := range in.open.keep(&q) {
		s.store(old, in)
	}
	return &q
}

// close stores the quests that are open.
func (s *State) close(in *shards) {
	for _, q := range in.open.quests {
		s.store(q, in)
	}
	in.open.quests = nil
}

// Len is the number of quests known.
func (s *State) Len() int { return s.quests.len }

// Approvals counts the approvals that steps have made since the state began.
func (s *State) Approvals() uint64 { return s.approvals }

// IDs lists the quests known, in ascending order.
func (s *State) IDs() []int64 { return s.quests.ids() }

// Apply carries out a step and returns its quest, or nil when nothing of it is
// left. The quest is valid as long as one of Quest.
func (s *State) Apply(step *change.Step) (*Quest, error) {
	quests := &s.quests
	if s.baseline != nil && step.Source.Snapshot {
		quests = s.baseline
	}
	q := quests.open.use(step.QuestID)
	opened := q != nil
	if !opened {
		q = &s.quest
	}
	if !opened && !s.load(q, quests, step.QuestID) {
		*q = Quest{ID: step.QuestID, Applications: q.Applications[:0], Participants: q.Participants[:0], Departures: q.Departures[:0]}
	}
	v := visit{
		at: step.Transaction.CommitLSN, time: step.Transaction.Time,
		existed: q.Exists, status: q.Status, assigned: q.Assigned, held: q.TakesPart(q.Assigned),
	}
	s.turns = Turns{Reversals: s.turns.Reversals[:0]}
	for i := range step.Changes {
		c := &step.Changes[i]
		if err := s.applyChange(q, c, &v); err != nil {
			return nil, fmt.Errorf("apply change %d of transaction %d to quest %d: %w", c.Order, step.Transaction.ID, q.ID, err)
		}
	}
	if len(q.Departures) > 0 {
		now := q.participants(len(q.Departures))
		q.Departures = slices.DeleteFunc(q.Departures, func(d Departure) bool { return now.have(d.User) })
	}
	if !step.Source.Snapshot {
		q.remember(&v)
		s.turn(q, &v)
	}
	switch {
	case q.empty():
		quests.remove(q.ID)
		return nil, nil
	case opened:
		return q, nil
	}
	s.store(q, quests)
	if len(s.buffer) >= quests.open.above {
		q = s.keep(quests)
	}
	return q, nil
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
		if c.Moved {
			v.arrived = append(v.arrived, r.id)
		}
	}
	a := &q.Applications[i]
	was := *a
	if r.has&hasUser != 0 {
		a.User = r.user
	}
	if r.has&hasStatus != 0 {
		a.Status = s.statuses.Application[r.status]
	}
	if was.Status == Approved && (a.Status != Approved || was.User != a.User) {
		v.takenBack = append(v.takenBack, was)
	}
	switch {
	case a.Status == Approved && (was.Status != Approved || was.User != a.User):
		a.Approved, a.ApprovedAt, a.Revoked, a.Met = 0, 0, false, false
		q.withdrawn(a.User, false)
		if c.Moved {
			break // it came as it is: who approved it, and who left since, was elsewhere
		}
		if c.Op != change.Read {
			a.Approved, a.ApprovedAt = v.at, v.time
			s.approvals++
		}
		q.undepart(a.User)
		v.left = slices.DeleteFunc(v.left, func(u User) bool { return u == a.User })
	case a.Status != Approved && was.Status == Approved:
		a.Approved, a.ApprovedAt, a.Revoked, a.Met = 0, 0, c.Op != change.Read, false
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
