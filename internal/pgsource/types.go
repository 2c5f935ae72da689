package pgsource

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/pgjson"
)

// types knows how the values of the streamed columns become JSON. The protocol
// gives a type's number only, for a new one its name too; what the type is made
// of is asked on a connection of its own when a description first names it, and
// remembered for the life of the Stream. It is for one goroutine.
type types struct {
	known map[uint32]*pgjson.Type
	// ask looks types up; nil where there is nobody to ask.
	ask func(oids []uint32) (map[uint32]*pgjson.Type, error)
}

// maxTypes bounds what is remembered, against a database that makes new types
// all the time.
const maxTypes = 5000

// errLookup is a failure to ask, which says nothing about the stream itself.
type errLookup struct{ err error }

func (e *errLookup) Error() string { return "look up column types: " + e.err.Error() }

func (e *errLookup) Unwrap() error { return e.err }

// assign decides how each streamed column's values become JSON.
func (t *types) assign(columns []column) error {
	var made []uint32
	unknown := false
	for i := range columns {
		if c := &columns[i]; c.streamed && pgjson.Builtin(c.oid) == nil {
			made = append(made, c.oid)
			unknown = unknown || t.known[c.oid] == nil
		}
	}
	if unknown && t.ask != nil {
		if err := t.learn(made); err != nil {
			return err
		}
	}
	for i := range columns {
		c := &columns[i]
		if c.as = pgjson.Builtin(c.oid); c.as == nil {
			c.as = t.known[c.oid]
		}
		if c.as == nil {
			c.as = pgjson.Text // dropped since it was written
		}
	}
	return nil
}

// learn asks about all types of a table, and not only about the new ones: the
// others may have changed with them.
func (t *types) learn(oids []uint32) error {
	found, err := t.ask(oids)
	if err != nil {
		return &errLookup{err}
	}
	if t.known == nil || len(t.known) > maxTypes {
		t.known = map[uint32]*pgjson.Type{}
	}
	for oid, as := range found {
		t.known[oid] = as
	}
	return nil
}

// lookUp asks the catalog about types and those that they are made of.
func (s *Source) lookUp(ctx context.Context, oids []uint32) (found map[uint32]*pgjson.Type, err error) {
	err = s.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		found, err = typesOf(ctx, conn, oids)
		return err
	})
	return found, err
}

func typesOf(ctx context.Context, conn *pgx.Conn, oids []uint32) (map[uint32]*pgjson.Type, error) {
	rows, err := conn.Query(ctx, pgjson.Query, pgjson.List(oids))
	if err != nil {
		return nil, fmt.Errorf("read types: %w", err)
	}
	definitions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pgjson.Definition])
	if err != nil {
		return nil, fmt.Errorf("read types: %w", err)
	}
	return pgjson.Build(definitions), nil
}
