package pgsource

import (
	"bytes"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
)

// tuple is one row as the server sent it. Its id and quest are the message's own
// bytes.
type tuple struct {
	row       change.Row
	unchanged []string
	id, quest []byte // their text; nil when null or not sent
}

// arena is where rows are put, many to an allocation. Whoever holds one of them
// holds all.
type arena []byte

const arenaSize = 256 << 10

// room gives an empty slice with a capacity. A row that outgrows it moves out.
func (a *arena) room(size int) change.Row {
	if cap(*a)-len(*a) < size {
		*a = make(arena, 0, max(size, arenaSize))
	}
	return change.Row((*a)[len(*a):len(*a):cap(*a)])
}

// keep counts a row that room gave as used.
func (a *arena) keep(row change.Row) {
	if free := (*a)[len(*a):cap(*a)]; len(row) <= len(free) && len(row) > 0 && &row[0] == &free[:1][0] {
		*a = (*a)[:len(*a)+len(row)]
	}
}

// row reads an Insert, Update or Delete message.
func (d *decoder) row(kind byte, lsn change.LSN, b *buffer) error {
	id := b.uint32()
	if b.err != nil {
		return b.err
	}
	r, told := d.relations[id]
	switch {
	case !told:
		return fmt.Errorf("row of relation %d, which was not described", id)
	case !d.inTx:
		return errOutside
	case r == nil:
		return nil
	}
	var before, after *tuple
	tag := b.byte()
	if kind != 'I' && (tag == 'O' || tag == 'K') {
		if tag == 'K' {
			return fmt.Errorf("%w: old row of %s has its key only: REPLICA IDENTITY was not FULL", change.ErrUnreadable, r.entity)
		}
		before = &d.before
		if err := d.tuple(r, b, before); err != nil {
			return err
		}
		if kind == 'U' {
			tag = b.byte()
		}
	} else if kind != 'I' {
		return fmt.Errorf("%w: no old row of %s: REPLICA IDENTITY was not FULL", change.ErrUnreadable, r.entity)
	}
	if kind != 'D' {
		if b.err == nil && tag != 'N' {
			return fmt.Errorf("unexpected tuple %q", tag)
		}
		after = &d.after
		if err := d.tuple(r, b, after); err != nil {
			return err
		}
	}
	if err := b.end(); err != nil {
		return err
	}
	return d.changed(r, lsn, before, after)
}

// changed makes signals of a row's old and new form. A row that changes its id
// or its quest is two changes: it leaves one place and comes to another.
func (d *decoder) changed(r *relation, lsn change.LSN, before, after *tuple) error {
	if after != nil && before != nil {
		after.fill(before)
	}
	c := change.Change{Entity: r.entity, Table: d.names.tableOf[r.entity], LSN: lsn}
	switch {
	case before == nil:
		c.Op, c.After = change.Create, after.row
		return d.signal(c, after)
	case after == nil:
		c.Op, c.Before = change.Delete, before.row
		return d.signal(c, before)
	case bytes.Equal(before.id, after.id) && bytes.Equal(before.quest, after.quest):
		c.Op, c.Before, c.After, c.Unchanged = change.Update, before.row, after.row, after.unchanged
		return d.signal(c, after)
	}
	if err := after.complete(before); err != nil {
		return err
	}
	c.Moved = true
	left, came := c, c
	left.Op, left.Before = change.Delete, before.row
	came.Op, came.After, came.Unchanged = change.Create, after.row, after.unchanged
	if err := d.signal(left, before); err != nil {
		return err
	}
	return d.signal(came, after)
}

// fill gives a key column that was not sent its old value; a key is never so
// long that this happens, but nothing in the protocol forbids it.
func (t *tuple) fill(before *tuple) {
	if t.id == nil {
		t.id = before.id
	}
	if t.quest == nil {
		t.quest = before.quest
	}
}

func (d *decoder) signal(c change.Change, t *tuple) error {
	if t.id == nil || t.quest == nil {
		return fmt.Errorf("row of %s without its id or its quest's", c.Entity)
	}
	if _, err := change.Int(t.id); err != nil {
		return fmt.Errorf("row id of %s: %w", c.Entity, err)
	}
	quest, err := change.Int(t.quest)
	if err != nil {
		return fmt.Errorf("quest id of %s: %w", c.Entity, err)
	}
	d.ready = append(d.ready, change.Signal{Kind: change.Changed, QuestID: quest, Change: c})
	return nil
}

// tuple reads TupleData: a column count, then each column's kind and value.
func (d *decoder) tuple(r *relation, b *buffer, t *tuple) error {
	if n := int(b.uint16()); b.err == nil && n != len(r.columns) {
		return fmt.Errorf("tuple of %s has %d columns, its description %d", r.entity, n, len(r.columns))
	}
	*t = tuple{row: d.rows.room(r.nameBytes + len(b.data)*5/4)}
	for i := range r.columns {
		if err := r.column(b, i, t); err != nil {
			return fmt.Errorf("column %s of %s: %w", r.columns[i].name, r.entity, err)
		}
	}
	t.row = change.CloseRow(t.row)
	d.rows.keep(t.row)
	t.row = t.row[:len(t.row):len(t.row)] // what is appended to one must not run into the next
	return nil
}

func (r *relation) column(b *buffer, i int, t *tuple) (err error) {
	c := &r.columns[i]
	switch kind := b.byte(); {
	case b.err != nil:
		return b.err
	case kind == 'n':
		if c.streamed {
			t.row = append(t.appendKey(c), "null"...)
		}
		return nil
	case kind == 'u':
		if c.streamed {
			t.unchanged = append(t.unchanged, c.name)
		}
		return nil
	case kind != 't':
		return fmt.Errorf("unknown kind of value %q", kind)
	}
	text := b.take(int(int32(b.uint32())))
	if b.err != nil {
		return b.err
	}
	if i == r.id {
		t.id = text
	}
	if i == r.quest {
		t.quest = text
	}
	if c.streamed {
		t.row, err = c.as.Append(t.appendKey(c), text)
	}
	return err
}

// appendKey appends a column's name to the row, as change.AppendColumn does.
func (t *tuple) appendKey(c *column) change.Row {
	if len(t.row) == 0 {
		t.row = append(t.row, '{')
	} else {
		t.row = append(t.row, ',')
	}
	return append(t.row, c.key...)
}
