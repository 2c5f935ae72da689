package pgsource

import (
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/pgjson"
)

// relation is what the server last said about one of our tables.
type relation struct {
	entity  change.Entity
	columns []column
	// id and quest are the indexes of the row's id and of its quest's.
	id, quest int
	// missing are columns that must be there and are not, or that are of a type that
	// the rules cannot read.
	missing []string
	// nameBytes is what the names of the streamed columns take in a row.
	nameBytes int
}

// column is one column of the server's tuples.
type column struct {
	name string
	oid  uint32
	// modifier is the type's length or precision.
	modifier int32
	// as turns its values into JSON. It is decided once, when the description
	// comes.
	as *pgjson.Type
	// streamed is false for a column that stays in the database.
	streamed bool
	// key is the name as it stands in a row, with its colon.
	key []byte
}

// readRelation reads a Relation message; it returns nil for a table that is not
// ours, which a publication made by somebody else may contain.
func (n *names) readRelation(b *buffer) (id uint32, r *relation, err error) {
	id = b.uint32()
	schema, table := b.text(), b.text()
	if schema == "" {
		schema = "pg_catalog" // the protocol's short form
	}
	identity := b.byte()
	count := int(b.uint16())
	columns := make([]column, 0, min(count, 1600))
	for range count {
		b.byte() // flags: part of the key
		c := column{name: b.text(), oid: b.uint32(), modifier: int32(b.uint32())}
		columns = append(columns, c)
		if b.err != nil {
			break
		}
	}
	if err := b.end(); err != nil {
		return 0, nil, err
	}
	entity, ours := n.tables[[2]string{schema, table}]
	if !ours {
		return id, nil, nil
	}
	switch identity {
	case 'f':
	case 'd', 'n', 'i': // default, nothing, index
		return 0, nil, fmt.Errorf("%w: table %s.%s had replica identity %q, and FULL is needed", change.ErrUnreadable, schema, table, identity)
	default:
		return 0, nil, fmt.Errorf("table %s.%s has unknown replica identity %q", schema, table, identity)
	}
	return id, n.newRelation(entity, columns), nil
}

func (n *names) newRelation(entity change.Entity, columns []column) *relation {
	r := &relation{entity: entity, columns: columns, id: -1, quest: -1}
	for i := range columns {
		c := &columns[i]
		c.streamed = n.all || slices.Contains(n.columnsOf[entity], c.name)
		if c.streamed {
			c.key = append(change.AppendString(nil, c.name), ':')
			r.nameBytes += len(c.key) + len(`,null`)
		}
		if c.name == n.idOf[entity] {
			r.id = i
		}
		if c.name == n.questOf[entity] {
			r.quest = i
		}
	}
	for _, name := range n.columnsOf[entity] {
		if !slices.ContainsFunc(columns, func(c column) bool { return c.name == name }) {
			r.missing = append(r.missing, name)
		}
	}
	return r
}

// streams lists the names of the streamed columns.
func (r *relation) streams() []string {
	names := make([]string, 0, len(r.columns))
	for _, c := range r.columns {
		if c.streamed {
			names = append(names, c.name)
		}
	}
	return names
}

// sameShape reports whether two descriptions stream the same columns with the
// same types.
func (r *relation) sameShape(other *relation) bool {
	kept := func(r *relation) []column {
		return slices.DeleteFunc(slices.Clone(r.columns), func(c column) bool { return !c.streamed })
	}
	return slices.EqualFunc(kept(r), kept(other), func(a, b column) bool { return a.name == b.name && a.sameType(&b) })
}

func (c *column) sameType(other *column) bool {
	return c.oid == other.oid && c.modifier == other.modifier
}

// retyped lists the streamed columns that have another type than before. Rows
// that nobody wrote may have other values by that.
func (r *relation) retyped(before *relation) (names []string) {
	if before == nil {
		return nil
	}
	for i := range r.columns {
		c := &r.columns[i]
		j := slices.IndexFunc(before.columns, func(b column) bool { return b.name == c.name })
		if c.streamed && j >= 0 && !c.sameType(&before.columns[j]) {
			names = append(names, c.name)
		}
	}
	return names
}
