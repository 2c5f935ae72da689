package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/peerquest/questwatch/internal/change"
)

// row is what decides whether a change has to do with a finding. The values are
// their JSON text.
type row struct {
	id                    int64
	user, status, deleted string // "" where the row does not say
}

// columns names the columns of an entity that a row is made of; "" where the entity
// has none of the kind.
type columns struct{ id, user, status, deleted string }

func columnsOf(s *change.Schema) (c [change.Participant + 1]columns) {
	q, a, p := &s.Quest, &s.Application, &s.Participant
	c[change.Quest] = columns{q.ID, q.AssignedTo, q.Status, q.IsDeleted}
	c[change.Application] = columns{id: a.ID, user: a.User, status: a.Status}
	c[change.Participant] = columns{id: p.ID, user: p.User, status: p.Status}
	return c
}

// readRow reads a row; nil when there is none.
func readRow(cols *columns, data change.Row) (*row, error) {
	if data == nil {
		return nil, nil
	}
	r := &row{}
	found := false
	err := data.Each(func(column, value []byte) (err error) {
		switch string(column) {
		case cols.id:
			found = true
			r.id, err = change.Int(value)
		case cols.user:
			r.user, err = plain(value)
		case cols.status:
			r.status = string(value)
		case cols.deleted:
			r.deleted = string(value)
		}
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("the row has no column %s", cols.id)
	}
	return r, err
}

// plain is a value as a text: a person's id, as findings have it. Null is "".
func plain(value []byte) (string, error) {
	switch {
	case change.Null(value):
		return "", nil
	case value[0] == '"':
		return change.Text(value)
	}
	return string(value), nil
}

// seen is a change with the rows that it was between.
type seen struct {
	*change.Change
	cols          *columns
	before, after *row
}

func (s *seen) id() int64 {
	if s.after != nil {
		return s.after.id
	}
	return s.before.id
}

// read takes a change apart. What an update leaves out stays as it was.
func read(cols *[change.Participant + 1]columns, c *change.Change) (s seen, err error) {
	if int(c.Entity) >= len(cols) {
		return s, fmt.Errorf("%w: unknown entity %d", change.ErrMalformed, c.Entity)
	}
	s.Change, s.cols = c, &cols[c.Entity]
	if s.before, err = readRow(s.cols, c.Before); err == nil {
		s.after, err = readRow(s.cols, c.After)
	}
	if err != nil {
		return s, fmt.Errorf("%w: %s: %w", change.ErrMalformed, c.Entity, err)
	}
	if c.Op == change.Update && s.before != nil {
		fill(&s.after.user, s.before.user, c, s.cols.user)
		fill(&s.after.status, s.before.status, c, s.cols.status)
		fill(&s.after.deleted, s.before.deleted, c, s.cols.deleted)
	}
	return s, nil
}

func fill(value *string, before string, c *change.Change, column string) {
	if slices.Contains(c.Unchanged, column) || slices.Contains(c.Omitted, column) {
		*value = before
	}
}

// changed reports whether anything that rules look at became another, as far as the
// message shows.
func (s *seen) changed() bool { return s.before == nil || s.after == nil || *s.before != *s.after }

// of reports whether the row is the person's, or was.
func (s *seen) of(user string) bool {
	return s.before != nil && s.before.user == user || s.after != nil && s.after.user == user
}

// scope says which rows a finding is about: those of a person, or the whole quest, its
// applications too or not.
type scope struct {
	user         string
	applications bool
}

// leads reports whether a change is one that can have led to the finding. For a
// person these are the rows of the pair, the quest's assignment to the person, and
// whatever makes the quest one to be watched.
func (a scope) leads(s *seen) bool {
	if !s.changed() {
		return false
	}
	switch {
	case s.Entity == change.Quest && a.user == "":
		return true
	case s.Entity == change.Quest:
		return s.after == nil || s.before != nil && (s.before.deleted != s.after.deleted || s.before.user != s.after.user && s.of(a.user))
	case a.user == "":
		return s.Entity == change.Participant || a.applications
	}
	return s.of(a.user)
}

// shows reports whether a change is worth showing in a transaction that led to the
// finding: beside what leads, what became of the quest's row, and for a finding
// about a whole quest everybody's rows.
func (a scope) shows(s *seen) bool {
	if s.Entity == change.Quest {
		return s.changed()
	}
	return a.user == "" || s.of(a.user)
}

// follows reports whether a row is one whose fate baselines are compared by.
func (a scope) follows(e change.Entity, r *row) bool {
	switch {
	case e == change.Quest:
		return true
	case a.user == "":
		return e == change.Participant || a.applications
	}
	return r.user == a.user
}

// valueKept bounds a value in bytes; the beginning of a longer one is kept.
const valueKept = 1000

// keep copies a value out of its message.
func keep(value []byte) (kept json.RawMessage, cut bool) {
	if len(value) <= valueKept {
		return bytes.Clone(value), false
	}
	text, err := plain(value)
	if err != nil {
		text = string(value)
	}
	if len(text) > valueKept {
		end := valueKept
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return json.RawMessage(change.AppendString(nil, text)), true
}

// describe is the public form of a change.
func (s *seen) describe() (*Change, error) {
	c := &Change{
		Entity: s.Entity.String(), ID: s.id(), Op: s.Op.String(), At: positionOf(s.LSN), Moved: s.Moved,
		Unchanged: s.Unchanged, Omitted: s.Omitted, unknown: s.Op == change.Update && s.before == nil,
	}
	var err error
	switch {
	case s.Before == nil:
		c.Columns, err = s.all(s.After, func(o *Column, value json.RawMessage) { o.After = value })
	case s.After == nil:
		c.Columns, err = s.all(s.Before, func(o *Column, value json.RawMessage) { o.Before = value })
	default:
		c.Columns, err = s.differing()
	}
	return c, err
}

// all are the columns of a row that came or went.
func (s *seen) all(r change.Row, set func(*Column, json.RawMessage)) ([]Column, error) {
	list := []Column{}
	err := each(r, func(column string, value []byte) {
		kept, cut := keep(value)
		o := Column{Column: column, Cut: cut, role: s.cols.role(column)}
		set(&o, kept)
		list = append(list, o)
	})
	return list, err
}

// differing are the columns that an update changed. What it does not name after
// stays as it was.
func (s *seen) differing() ([]Column, error) {
	before := map[string][]byte{}
	err := each(s.Before, func(column string, value []byte) { before[column] = bytes.Clone(value) })
	if err != nil {
		return nil, err
	}
	list := []Column{}
	err = each(s.After, func(column string, value []byte) {
		was, had := before[column]
		if had && bytes.Equal(was, value) {
			return
		}
		o := Column{Column: column, role: s.cols.role(column)}
		o.After, o.Cut = keep(value)
		if had {
			var cut bool
			o.Before, cut = keep(was)
			o.Cut = o.Cut || cut
		}
		list = append(list, o)
	})
	return list, err
}

// role is what a column means to the rules.
type role uint8

const (
	noRole role = iota
	ofPerson
	ofStatus
	ofDeletion
)

func (c *columns) role(column string) role {
	switch column {
	case c.user:
		return ofPerson
	case c.status:
		return ofStatus
	case c.deleted:
		return ofDeletion
	}
	return noRole
}

func each(r change.Row, fn func(column string, value []byte)) error {
	return r.Each(func(column, value []byte) error {
		fn(string(column), value)
		return nil
	})
}
