package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/testkit/chronicle"
)

// row names a row.
type row struct {
	entity string
	quest  int64
	id     int64
}

// rows are tables, as plain as can be.
type rows struct {
	now      map[row]chronicle.Row
	half     []*chronicle.Message // of a transaction that has not ended
	restated map[row]chronicle.Row
	taken    change.Seq
	// last is the message that they are as of, and known says that they are what the
	// database had.
	last  change.Seq
	known bool
}

func (r *rows) take(m *chronicle.Message) {
	r.taken++
	switch m.Kind {
	case chronicle.Step, chronicle.Truncate, chronicle.Report, chronicle.TxEnd:
		if m.Snapshot {
			write(r.restated, m)
			break
		}
		if r.half = append(r.half, m); m.Kind != chronicle.TxEnd && (m.Transaction.Messages == 0 || m.Transaction.Message < m.Transaction.Messages) {
			return
		}
		for _, one := range r.half {
			write(r.now, one)
		}
		r.half = nil
	case chronicle.Epoch:
		if len(r.half) > 0 { // which goes on
			return
		}
	case chronicle.BaselineBegin:
		r.restated = map[row]chronicle.Row{}
	case chronicle.BaselineEnd:
		r.now, r.known = r.restated, true
	case chronicle.Gap:
		r.known = false
	case chronicle.Progress:
	}
	r.last = r.taken
}

func write(to map[row]chronicle.Row, m *chronicle.Message) {
	for key := range to {
		if slices.Contains(m.Entities, key.entity) {
			delete(to, key)
		}
	}
	for _, c := range m.Changes {
		if c.Before != nil {
			delete(to, row{c.Entity, m.Quest, c.Before.ID})
		}
		if c.After != nil {
			to[row{c.Entity, m.Quest, c.After.ID}] = *c.After
		}
	}
}

// cases are the quests, as whoever reads the tables has them.
func (r *rows) cases() map[int64]*remedy.Case {
	statuses, all := quest.PeerQuest(), map[int64]*remedy.Case{}
	keys := make([]row, 0, len(r.now))
	for key := range r.now {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b row) int { return int(a.id - b.id) })
	for _, key := range keys {
		c := all[key.quest]
		if c == nil {
			c = &remedy.Case{Quest: quest.Quest{ID: key.quest}, People: []remedy.Person{{}}}
			all[key.quest] = c
		}
		q, one := &c.Quest, r.now[key]
		user := quest.User(slices.IndexFunc(c.People, func(p remedy.Person) bool { return p.ID == one.User }))
		if user == ^quest.User(0) {
			user = quest.User(len(c.People))
			c.People = append(c.People, remedy.Person{ID: one.User})
		}
		switch key.entity {
		case chronicle.Quest:
			q.Exists, q.Status, q.Assigned, q.Deleted = true, statuses.Quest[one.Status], user, one.Deleted
		case chronicle.Application:
			q.Applications = append(q.Applications, quest.Application{ID: one.ID, User: user, Status: statuses.Application[one.Status]})
			c.Times = append(c.Times, remedy.ApplicationTimes{})
		case chronicle.Participant:
			q.Participants = append(q.Participants, quest.Participant{ID: one.ID, User: user, Status: statuses.Participant[one.Status]})
		}
	}
	return all
}

func (r *rows) Writable(context.Context) error { return nil }

func (r *rows) Repair(context.Context, *remedy.Order, func(*remedy.Case) ([]remedy.Part, error)) (remedy.Receipt, error) {
	panic("nobody asked for a repair")
}

func (r *rows) Survey(_ context.Context, _ remedy.Scope, begin func(remedy.Census) error, each func(*remedy.Case) error) error {
	var census remedy.Census
	all, people := r.cases(), map[string]bool{}
	for key, one := range r.now {
		if key.entity == chronicle.Quest {
			census.Quests++
		} else {
			people[one.User] = true
		}
	}
	census.People = int64(len(people))
	err := begin(census)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if err == nil {
			err = each(all[id])
		}
	}
	return err
}

// shape is a quest as a text.
func (r *rows) shape(id int64) string {
	q, ok := r.now[row{chronicle.Quest, id, id}]
	out := []string{fmt.Sprint(ok, q.Status, q.Deleted, q.User)}
	for key, one := range r.now {
		if key.quest == id && key.entity != chronicle.Quest {
			out = append(out, fmt.Sprint(key.entity, one.ID, one.User, one.Status))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
