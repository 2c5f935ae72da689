package pgstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/pgjson"
)

// A quest with very many rows is handed over in pieces of at most this size.
const (
	pieceRows  = 1000
	pieceBytes = 1 << 20
)

// Baseline reads all rows of the three tables through an exported snapshot (or
// one of its own, for ""), quest by quest in ascending order: the quest's row,
// its applications, its participants, each by id. columns says which columns of
// an entity a row must have; Schema.Columns is the usual answer. With all, it has
// all others too that the log has. Rows are byte for byte what the log's stream
// gives: columns stand in the table's order.
//
// Changes have Op Read, Entity, Table and After; the caller numbers them. They
// are valid during the call of fn. A quest with more than 1,000 rows, or with
// more than about 1 MB, comes in several calls.
func (s *Store) Baseline(
	ctx context.Context, exported string, columns map[change.Entity][]string, all bool,
	fn func(questID int64, rows []change.Change) error,
) error {
	err := s.inSnapshot(ctx, exported, func(sn *snapshot) error {
		b := &baseline{store: s, fn: fn}
		for _, e := range change.Entities {
			if err := b.plan(ctx, sn, e, columns[e], all); err != nil {
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
	// where confines the rows by the column that has the quest's id; nil for all.
	where func(key string) string
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
	types   []*pgjson.Type
	formats []int16
}

func (b *baseline) plan(ctx context.Context, sn *snapshot, e change.Entity, columns []string, all bool) error {
	if len(columns) == 0 {
		return fmt.Errorf("plan reading of %s: no columns", e)
	}
	table, err := columnsOf(ctx, sn.conn, b.store.cfg.Schema.Table(e), columns, all)
	if err != nil {
		return fmt.Errorf("plan reading of %s: %w", e, err)
	}
	id, quest := b.store.cfg.Schema.Key(e)
	t := baselineTable{formats: []int16{1}}
	selected := []string{column("t", quest, "bigint")}
	for i, c := range table {
		key := change.AppendString([]byte{'{'}, c.name)
		if i > 0 {
			key[0] = ','
		}
		t.keys = append(t.keys, append(key, ':'))
		t.types = append(t.types, c.as)
		t.formats = append(t.formats, 0)
		selected = append(selected, "t."+quoteName(c.name))
	}
	where := ""
	if b.where != nil {
		where = " WHERE " + b.where(quest)
	}
	t.query = fmt.Sprintf("SELECT %s FROM %s t%s ORDER BY t.%s, t.%s",
		strings.Join(selected, ", "), quoteTable(b.store.cfg.Schema.Table(e)), where, quoteName(quest), quoteName(id))
	b.tables[e] = t
	return nil
}

// tableColumn is a column that the baseline reads.
type tableColumn struct {
	name string
	oid  uint32
	as   *pgjson.Type
}

// columnsOf lists the columns to read, in the table's order. The log has generated
// ones from Postgres 18 on, where our publication must have those that are stored.
func columnsOf(ctx context.Context, conn *pgx.Conn, table string, wanted []string, all bool) ([]tableColumn, error) {
	const sql = `SELECT a.attname::text, a.atttypid::bigint FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND (a.attgenerated = ''
			OR a.attgenerated = 's' AND current_setting('server_version_num')::int >= 180000) ORDER BY a.attnum`
	rows, err := conn.Query(ctx, sql, quoteTable(table))
	if err != nil {
		return nil, readError("read columns", err)
	}
	var columns []tableColumn
	var name string
	var oid int64
	missing := slices.Clone(wanted)
	if _, err = pgx.ForEachRow(rows, []any{&name, &oid}, func() error {
		if all || slices.Contains(wanted, name) {
			columns = append(columns, tableColumn{name: name, oid: uint32(oid)})
			missing = slices.DeleteFunc(missing, func(m string) bool { return m == name })
		}
		return nil
	}); err != nil {
		return nil, readError("read columns", err)
	}
	if len(missing) > 0 {
		return nil, problem{op: "read columns", err: fmt.Errorf("%s has no column %s", table, strings.Join(missing, ", ")), setup: true}.wrap()
	}
	return columns, assignTypes(ctx, conn, columns)
}

// assignTypes finds out how the columns' values become JSON.
func assignTypes(ctx context.Context, conn *pgx.Conn, columns []tableColumn) error {
	var made []uint32
	for i := range columns {
		if columns[i].as = pgjson.Builtin(columns[i].oid); columns[i].as == nil {
			made = append(made, columns[i].oid)
		}
	}
	if len(made) == 0 {
		return nil
	}
	rows, err := conn.Query(ctx, pgjson.Query, pgjson.List(made))
	if err != nil {
		return readError("read column types", err)
	}
	definitions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pgjson.Definition])
	if err != nil {
		return readError("read column types", err)
	}
	types := pgjson.Build(definitions)
	for i := range columns {
		if c := &columns[i]; c.as == nil {
			if c.as = types[c.oid]; c.as == nil {
				c.as = pgjson.Text
			}
		}
	}
	return nil
}

func (b *baseline) read(ctx context.Context, sn *snapshot) error {
	g, err := sn.group(ctx, func(e change.Entity) (string, []int16) { return b.tables[e].query, b.tables[e].formats })
	if err != nil {
		return err
	}
	for id, ok := g.quest(); ok; id, ok = g.quest() {
		err := g.rows(ctx, id, func(e change.Entity, values [][]byte) error {
			if err := b.add(e, values); err != nil {
				return fmt.Errorf("quest %d: %w", id, err)
			}
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

func (b *baseline) add(e change.Entity, values [][]byte) (err error) {
	t := &b.tables[e]
	for i, v := range values[1:] {
		b.bytes = append(b.bytes, t.keys[i]...)
		if v == nil {
			b.bytes = append(b.bytes, "null"...)
			continue
		}
		if b.bytes, err = t.types[i].Append(b.bytes, v); err != nil {
			return fmt.Errorf("column %s of %s: %w", t.keys[i][1:len(t.keys[i])-1], e, err)
		}
	}
	b.bytes = append(b.bytes, '}')
	b.ends = append(b.ends, len(b.bytes))
	b.rows = append(b.rows, change.Change{Op: change.Read, Entity: e, Table: b.store.cfg.Schema.Table(e)})
	return nil
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
