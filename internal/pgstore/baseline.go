package pgstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
)

// A quest with very many rows is handed over in pieces of at most this size.
const (
	pieceRows  = 1000
	pieceBytes = 1 << 20
)

// Baseline reads all rows of the three tables through an exported snapshot (or
// one of its own, for ""), quest by quest in ascending order: the quest's row,
// its applications, its participants, each by id. columns says which columns of
// an entity a row has, in that order; Schema.Columns is the usual answer.
//
// Changes have Op Read, Entity, Table and After; the caller numbers them. They
// are valid during the call of fn. A quest with more than 1,000 rows, or with
// more than about 1 MB, comes in several calls.
func (s *Store) Baseline(
	ctx context.Context, exported string, columns map[change.Entity][]string,
	fn func(questID int64, rows []change.Change) error,
) error {
	err := s.inSnapshot(ctx, exported, func(sn *snapshot) error {
		b := &baseline{store: s, fn: fn}
		for _, e := range change.Entities {
			if err := b.plan(ctx, sn, e, columns[e]); err != nil {
				return err
			}
		}
		return b.read(ctx, sn)
	})
	if err != nil {
		return fmt.Errorf("read baseline: %w", err)
	}
	return nil
}

type baseline struct {
	store  *Store
	tables [change.Participant + 1]baselineTable
	fn     func(int64, []change.Change) error
	// The piece under construction: rows lie in bytes, ends says where they end.
	bytes []byte
	ends  []int
	rows  []change.Change
}

// baselineTable is how one entity is read. keys has `{"id":`, `,"quest_id":` and
// so on.
type baselineTable struct {
	query   string
	keys    [][]byte
	renders []render
	formats []int16
}

func (b *baseline) plan(ctx context.Context, sn *snapshot, e change.Entity, columns []string) error {
	if len(columns) == 0 {
		return fmt.Errorf("plan reading of %s: no columns", e)
	}
	renders, err := columnRenders(ctx, sn.conn, b.store.cfg.Schema.Table(e), columns)
	if err != nil {
		return fmt.Errorf("plan reading of %s: %w", e, err)
	}
	id, quest := b.store.cfg.Schema.Key(e)
	t := baselineTable{renders: renders, formats: []int16{1}}
	selected := []string{column("t", quest, "bigint")}
	for i, name := range columns {
		key := change.AppendString([]byte{'{'}, name)
		if i > 0 {
			key[0] = ','
		}
		t.keys = append(t.keys, append(key, ':'))
		t.formats = append(t.formats, 0)
		expr := "t." + quoteName(name)
		if renders[i] == asJSON {
			expr = "to_json(" + expr + ")::text"
		}
		selected = append(selected, expr)
	}
	t.query = fmt.Sprintf("SELECT %s FROM %s t ORDER BY t.%s, t.%s",
		strings.Join(selected, ", "), quoteTable(b.store.cfg.Schema.Table(e)), quoteName(quest), quoteName(id))
	b.tables[e] = t
	return nil
}

// columnRenders asks for the columns' types, below their domains.
func columnRenders(ctx context.Context, conn *pgx.Conn, table string, columns []string) ([]render, error) {
	const sql = `WITH RECURSIVE base(name, oid) AS (
			SELECT a.attname, a.atttypid FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
		UNION ALL
			SELECT b.name, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')
		SELECT b.name::text, t.oid::bigint, t.typtype::text FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype <> 'd'`
	rows, err := conn.Query(ctx, sql, quoteTable(table))
	if err != nil {
		return nil, readError("read column types", err)
	}
	types := map[string]render{}
	var name, kind string
	var oid int64
	if _, err = pgx.ForEachRow(rows, []any{&name, &oid, &kind}, func() error {
		types[name] = renderOf(uint32(oid), kind == "e")
		return nil
	}); err != nil {
		return nil, readError("read column types", err)
	}
	renders := make([]render, len(columns))
	for i, name := range columns {
		how, ok := types[name]
		if !ok {
			return nil, problem{op: "read column types", err: fmt.Errorf("%s has no column %s", table, name), setup: true}.wrap()
		}
		renders[i] = how
	}
	return renders, nil
}

func (b *baseline) read(ctx context.Context, sn *snapshot) error {
	g, err := sn.group(ctx, func(e change.Entity) (string, []int16) { return b.tables[e].query, b.tables[e].formats })
	if err != nil {
		return err
	}
	for id, ok := g.quest(); ok; id, ok = g.quest() {
		err := g.rows(ctx, id, func(e change.Entity, values [][]byte) error {
			b.add(e, values)
			if len(b.rows) >= pieceRows || len(b.bytes) >= pieceBytes {
				return b.flush(id)
			}
			return nil
		})
		if err == nil {
			err = b.flush(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *baseline) add(e change.Entity, values [][]byte) {
	t := &b.tables[e]
	for i, v := range values[1:] {
		b.bytes = append(b.bytes, t.keys[i]...)
		b.bytes = appendJSON(b.bytes, t.renders[i], v)
	}
	b.bytes = append(b.bytes, '}')
	b.ends = append(b.ends, len(b.bytes))
	b.rows = append(b.rows, change.Change{Op: change.Read, Entity: e, Table: b.store.cfg.Schema.Table(e)})
}

// flush hands over what has been collected. The rows are cut out only now: the
// buffer may have moved while it grew.
func (b *baseline) flush(quest int64) error {
	if len(b.rows) == 0 {
		return nil
	}
	start := 0
	for i, end := range b.ends {
		b.rows[i].After = change.Row(b.bytes[start:end:end])
		start = end
	}
	err := b.fn(quest, b.rows)
	b.bytes, b.ends, b.rows = b.bytes[:0], b.ends[:0], b.rows[:0]
	return err
}
