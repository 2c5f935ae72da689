package chronicle

import (
	"cmp"
	"slices"
)

// Statuses, as the application spells them.
const (
	open       = "open"
	inProgress = "in-progress"
	completed  = "completed"

	pending  = "pending"
	approved = "approved"
	rejected = "rejected"
	kicked   = "kicked"

	joined  = "joined"
	dropped = "dropped"
)

// tables are the rows of one quest.
type tables struct {
	id          int64
	quest       *Row // nil when it is not there
	apps, parts []Row
}

func (t *tables) clone() *tables {
	c := &tables{id: t.id, apps: slices.Clone(t.apps), parts: slices.Clone(t.parts)}
	if t.quest != nil {
		q := *t.quest
		c.quest = &q
	}
	return c
}

func byID(rows []Row, id int64) int {
	return slices.IndexFunc(rows, func(r Row) bool { return r.ID == id })
}

// usersWith lists the people who have a row of a status, each once.
func usersWith(rows []Row, status string) (users []string) {
	for _, r := range rows {
		if r.Status == status && !slices.Contains(users, r.User) {
			users = append(users, r.User)
		}
	}
	return users
}

// idOf is the id of the person's last row of a status, 0 without one.
func idOf(rows []Row, user, status string) (id int64) {
	for _, r := range rows {
		if r.User == user && r.Status == status {
			id = r.ID
		}
	}
	return id
}

func rowsOf(rows []Row, user string) (n int) {
	for _, r := range rows {
		if r.User == user {
			n++
		}
	}
	return n
}

func (t *tables) hasApproved(user string) bool { return idOf(t.apps, user, approved) != 0 }

// active lists the people who take part, each once.
func (t *tables) active() (users []string) {
	for _, p := range t.parts {
		if p.Status != dropped && !slices.Contains(users, p.User) {
			users = append(users, p.User)
		}
	}
	return users
}

// activeRow is the id of the person's last row that has not dropped out.
func (t *tables) activeRow(user string) (id int64) {
	for _, p := range t.parts {
		if p.User == user && p.Status != dropped {
			id = p.ID
		}
	}
	return id
}

func (t *tables) takesPart(user string) bool { return slices.Contains(t.active(), user) }

// approvedActive lists those who take part with an approved application.
func (t *tables) approvedActive() []string {
	return slices.DeleteFunc(t.active(), func(u string) bool { return !t.hasApproved(u) })
}

// departed lists those with an approved application and no row as a participant.
func (t *tables) departed() []string {
	return slices.DeleteFunc(usersWith(t.apps, approved), func(u string) bool { return rowsOf(t.parts, u) > 0 })
}

func (t *tables) there() bool           { return t.quest != nil && !t.quest.Deleted }
func (t *tables) is(status string) bool { return t.there() && t.quest.Status == status }

// fresh reports whether an approval moves the quest on: the application looks for rows of any status.
func (t *tables) fresh() bool { return t.is(open) && len(t.parts) == 0 }

// The writes. Each carries out a statement and returns what a stream says of it.

func (t *tables) insertQuest(status string) Change {
	t.quest = &Row{ID: t.id, Status: status}
	return t.wrote('c', Quest, nil, t.quest)
}

func (t *tables) saveQuest(set func(q *Row)) Change {
	before := *t.quest
	set(t.quest)
	return t.wrote('u', Quest, &before, t.quest)
}

func (t *tables) deleteQuest() Change {
	before := t.quest
	t.quest = nil
	return t.wrote('d', Quest, before, nil)
}

func (t *tables) rows(entity string) *[]Row {
	if entity == Participant {
		return &t.parts
	}
	return &t.apps
}

func (t *tables) insert(entity string, r Row) Change {
	rows := t.rows(entity)
	*rows = append(*rows, r)
	slices.SortFunc(*rows, func(a, b Row) int { return cmp.Compare(a.ID, b.ID) })
	return t.wrote('c', entity, nil, &r)
}

func (t *tables) save(entity string, id int64, status string) Change {
	rows := *t.rows(entity)
	i := byID(rows, id)
	before := rows[i]
	rows[i].Status = status
	return t.wrote('u', entity, &before, &rows[i])
}

func (t *tables) remove(entity string, id int64) Change {
	rows := t.rows(entity)
	i := byID(*rows, id)
	before := (*rows)[i]
	*rows = slices.Delete(*rows, i, i+1)
	return t.wrote('d', entity, &before, nil)
}

// wrote copies the rows: they change again.
func (t *tables) wrote(op byte, entity string, before, after *Row) Change {
	c := Change{Op: op, Entity: entity}
	if before != nil {
		b := *before
		c.Before = &b
	}
	if after != nil {
		a := *after
		c.After = &a
	}
	return c
}

// read is every row, as a baseline tells it.
func (t *tables) read() (all []Change) {
	if t.quest != nil {
		all = append(all, t.wrote('r', Quest, nil, t.quest))
	}
	for i := range t.apps {
		all = append(all, t.wrote('r', Application, nil, &t.apps[i]))
	}
	for i := range t.parts {
		all = append(all, t.wrote('r', Participant, nil, &t.parts[i]))
	}
	return all
}
