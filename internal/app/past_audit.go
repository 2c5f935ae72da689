package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/replay"
)

// PastDatabase is what the database was at a moment, as the stream tells it, for an audit.
// It knows what audits of a database do not, the history of its rows, and lacks what is not
// streamed: people's names. Nothing can be written to it.
type PastDatabase struct {
	snapshot *replay.Snapshot
}

// OpenPastDatabase builds what the database was at a point. It does not touch it.
func OpenPastDatabase(ctx context.Context, c *config.Config, at replay.Point, progress func(done, total int64), logger *slog.Logger) (*PastDatabase, error) {
	conn, done, err := openPast(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	defer done()
	checker := replay.NewChecker(pastStream{conn}, pastEvents{conn}, checkpointsPort{objects: conn.Checkpoints()})
	snapshot, err := checker.Snapshot(ctx, Rules(c), at, progress)
	if err != nil {
		return nil, err
	}
	return &PastDatabase{snapshot}, nil
}

// Moment is its time, and the last message that counts.
func (d *PastDatabase) Moment() (change.Millis, change.Seq) {
	return d.snapshot.Time, d.snapshot.Sequence
}

// Writable is false.
func (d *PastDatabase) Writable(context.Context) error {
	return errors.New("the past cannot be repaired")
}

// Repair is not possible.
func (d *PastDatabase) Repair(ctx context.Context, _ *remedy.Order, _ func(*remedy.Case) ([]remedy.Part, error)) (remedy.Receipt, error) {
	return remedy.Receipt{}, d.Writable(ctx)
}

// Survey gives all quests in ascending order of ids. A person is meant by id.
func (d *PastDatabase) Survey(ctx context.Context, of remedy.Scope, begin func(remedy.Census) error, each func(*remedy.Case) error) error {
	state := d.snapshot.State
	census := remedy.Census{UserID: of.User}
	person, ids := state.Users().Find(of.User), state.IDs()
	people := map[quest.User]struct{}{}
	if of.User != "" && person == 0 { // a name, or a slip of the pen, must not be told that all is well
		return hint.Setup(fmt.Errorf("the stream has nothing of a person %q up to then", of.User), "give the id, as the findings of audit --at without --user show it")
	}
	mine := func(q *quest.Quest) bool { return of.User == "" || concerns(q, person, of.Assignees) }
	for _, id := range ids {
		q := state.Quest(id)
		if q.Exists && mine(q) {
			census.Quests++
		}
		for _, u := range usersOf(q) {
			people[u] = struct{}{}
		}
	}
	if census.People = int64(len(people)); of.User != "" {
		census.People = 1
	}
	if err := begin(census); err != nil {
		return err
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		if q := state.Quest(id); mine(q) {
			if err := each(caseOf(q, state.Users())); err != nil {
				return err
			}
		}
	}
	return nil
}

// usersOf are the people with rows of a quest.
func usersOf(q *quest.Quest) (all []quest.User) {
	for i := range q.Applications {
		all = append(all, q.Applications[i].User)
	}
	for i := range q.Participants {
		all = append(all, q.Participants[i].User)
	}
	return all
}

func concerns(q *quest.Quest, person quest.User, assignees bool) bool {
	for _, u := range usersOf(q) {
		if u == person {
			return true
		}
	}
	return assignees && q.Assigned == person
}

// caseOf is a quest with its people, numbered as its own.
func caseOf(q *quest.Quest, users *quest.Users) *remedy.Case {
	c := &remedy.Case{Quest: *q, People: []remedy.Person{{}}, Times: make([]remedy.ApplicationTimes, len(q.Applications))}
	numbers := map[quest.User]quest.User{0: 0}
	number := func(u quest.User) quest.User {
		n, known := numbers[u]
		if !known {
			n = quest.User(len(c.People))
			numbers[u] = n
			c.People = append(c.People, remedy.Person{ID: users.Text(u)})
		}
		return n
	}
	n := &c.Quest
	n.Assigned = number(q.Assigned)
	n.Applications = append([]quest.Application(nil), q.Applications...)
	n.Participants = append([]quest.Participant(nil), q.Participants...)
	n.Departures = append([]quest.Departure(nil), q.Departures...)
	for i := range n.Applications {
		n.Applications[i].User = number(n.Applications[i].User)
	}
	for i := range n.Participants {
		n.Participants[i].User = number(n.Participants[i].User)
	}
	for i := range n.Departures {
		n.Departures[i].User = number(n.Departures[i].User)
	}
	return c
}
