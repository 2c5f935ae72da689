package pgsource

import (
	"bytes"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
)

// tuple is one row as the server sent it.
type tuple struct {
	row       change.Row
	unchanged []string
	id, quest []byte // their text; nil when null or not sent
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
	var err error
	tag := b.byte()
	if kind != 'I' && (tag == 'O' || tag == 'K') {
		if tag == 'K' {
			return fmt.Errorf("%w: old row of %s has its key only: REPLICA IDENTITY was not FULL", change.ErrUnreadable, r.entity)
		}
		if before, err = r.tuple(b); err != nil {
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
		if after, err = r.tuple(b); err != nil {
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
func (r *relation) tuple(b *buffer) (*tuple, error) {
	if n := int(b.uint16()); b.err == nil && n != len(r.columns) {
		return nil, fmt.Errorf("tuple of %s has %d columns, its description %d", r.entity, n, len(r.columns))
	}
	t := &tuple{row: make(change.Row, 0, 64+len(b.data)*5/4)}
	for i := range r.columns {
		if err := r.column(b, i, t); err != nil {
			return nil, fmt.Errorf("column %s of %s: %w", r.columns[i].name, r.entity, err)
		}
	}
	t.row = change.CloseRow(t.row)
	return t, nil
}

func (r *relation) column(b *buffer, i int, t *tuple) (err error) {
	c := &r.columns[i]
	switch kind := b.byte(); {
	case b.err != nil:
		return b.err
	case kind == 'n':
		if c.streamed {
			t.row = append(change.AppendColumn(t.row, c.name), "null"...)
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
		t.row, err = c.as.Append(change.AppendColumn(t.row, c.name), text)
	}
	return err
}
