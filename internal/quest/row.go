package quest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// A ColumnError is a column whose value the state cannot take.
type ColumnError struct {
	Entity change.Entity
	Column string
	Err    error
}

func (e *ColumnError) Error() string {
	return fmt.Sprintf("%s column %s: %v", e.Entity, e.Column, e.Err)
}

func (e *ColumnError) Unwrap() error { return e.Err }

var (
	errNull    = errors.New("is null")
	errEmpty   = errors.New("is empty")
	errMissing = errors.New("is not in the row")
)

// row is what a change says of a row, whichever entity it is.
type row struct {
	id      int64
	user    User
	status  string
	title   []byte // a part of the row, or a copy
	joined  int64
	deleted bool
	has     field
}

// field is a set of the columns that a change carried.
type field uint8

const (
	hasID field = 1 << iota
	hasUser
	hasStatus
	hasTitle
	hasJoined
	hasDeleted
)

// read takes the columns that the state needs out of a change's row. Columns that
// the row does not have are not in the result's set.
func (s *State) read(c *change.Change) (r row, err error) {
	cols := &s.columns[c.Entity]
	err = c.Each(func(column, value []byte) error {
		if err := s.readColumn(cols, &r, column, value); err != nil {
			return &ColumnError{Entity: c.Entity, Column: string(column), Err: err}
		}
		return nil
	})
	if err == nil && r.has&hasID == 0 {
		err = &ColumnError{Entity: c.Entity, Column: cols.id, Err: errMissing}
	}
	return r, err
}

// columns names the columns of an entity that the state needs; "" where the
// entity has none of the kind.
type columns struct {
	id, user, status, title, joined, deleted string
	// nullUser says that the user column may be null: nobody is assigned.
	nullUser bool
}

func columnsOf(schema *change.Schema) (c [change.Participant + 1]columns) {
	q, a, p := &schema.Quest, &schema.Application, &schema.Participant
	c[change.Quest] = columns{id: q.ID, user: q.AssignedTo, status: q.Status, title: q.Title, deleted: q.IsDeleted, nullUser: true}
	c[change.Application] = columns{id: a.ID, user: a.User, status: a.Status}
	c[change.Participant] = columns{id: p.ID, user: p.User, status: p.Status, joined: p.JoinedAt}
	return c
}

func (s *State) readColumn(cols *columns, r *row, column, value []byte) (err error) {
	null := change.Null(value)
	switch string(column) {
	case cols.id:
		r.has |= hasID
		r.id, err = change.Int(value)
	case cols.user:
		r.has |= hasUser
		if null && cols.nullUser {
			return nil
		}
		if r.user, err = s.readUser(value); err == nil && r.user == 0 && !cols.nullUser {
			err = errEmpty
		}
	case cols.status:
		r.has |= hasStatus
		if null {
			return errNull
		}
		r.status, err = s.text(value)
	case cols.title:
		r.has |= hasTitle
		if !null {
			r.title, err = change.TextBytes(value)
		}
	case cols.joined:
		r.has |= hasJoined
		if !null {
			r.joined, err = readMicros(value)
		}
	case cols.deleted:
		r.has |= hasDeleted
		if !null {
			r.deleted, err = change.Bool(value)
		}
	}
	return err
}

// readUser interns an id: a uuid, an integer, or any text.
func (s *State) readUser(value []byte) (User, error) {
	if change.Null(value) {
		return 0, errNull
	}
	if value[0] == '"' {
		text, err := change.TextBytes(value)
		if err != nil {
			return 0, err
		}
		return s.users.Intern(text), nil
	}
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return 0, fmt.Errorf("read person's id %.40q", value)
	}
	return s.users.Intern(value), nil
}

// text is a short word; those seen before cost nothing.
func (s *State) text(value []byte) (string, error) {
	if word, ok := s.words[string(value)]; ok {
		return word, nil
	}
	word, err := change.Text(value)
	if err == nil && len(s.words) < 1000 {
		s.words[string(value)] = word
	}
	return word, err
}

func readMicros(value []byte) (int64, error) {
	text, err := change.Text(value)
	if err != nil {
		return 0, err
	}
	switch text {
	case "infinity":
		return math.MaxInt64, nil
	case "-infinity":
		return math.MinInt64, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		// A column without a time zone, which is UTC's.
		if t, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
			return t.UnixMicro(), nil
		}
		switch year, _, _ := strings.Cut(text, "-"); {
		case strings.HasSuffix(text, " BC"):
			return math.MinInt64, nil
		case len(year) > 4 && strings.Trim(year, "0123456789") == "":
			return math.MaxInt64, nil // Postgres knows years up to 294276, and Go's formats none above 9999
		}
		return 0, fmt.Errorf("read time: %w", err)
	}
	return t.UnixMicro(), nil
}
