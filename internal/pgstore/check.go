package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// need is a table and those of its columns that are configured.
type need struct {
	what, table string
	columns     []string
}

func needs(s *change.Schema) []need {
	q, a, p, u := &s.Quest, &s.Application, &s.Participant, &s.User
	return []need{
		{"quest", q.Table, []string{q.ID, q.Title, q.Status, q.AssignedTo, q.IsDeleted, q.CreatedAt, q.UpdatedAt, q.CompletedAt}},
		{"application", a.Table, []string{a.ID, a.QuestID, a.User, a.Status, a.AppliedAt, a.ReviewedAt}},
		{"participant", p.Table, []string{p.ID, p.QuestID, p.User, p.Status, p.JoinedAt}},
		{"user", u.Table, []string{u.ID, u.Username}},
	}
}

// check refuses a database without one of the tables or columns, or with one
// that may not be read, and says which.
func (s *Store) check(ctx context.Context, conn *pgx.Conn) error {
	for _, n := range needs(&s.cfg.Schema) {
		types, err := checkTable(ctx, conn, n)
		if n.what == "user" {
			s.userIDType = types[n.columns[0]]
			if s.cfg.NamesOptional && hint.IsSetup(err) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const columnsSQL = `SELECT a.attname::text, format_type(a.atttypid, NULL), has_column_privilege(c.oid, a.attnum, 'SELECT'), current_user::text,
	has_schema_privilege(n.oid, 'USAGE')
	FROM pg_catalog.pg_class c
	JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`

// checkTable returns the types of the columns when nothing is wrong with them.
func checkTable(ctx context.Context, conn *pgx.Conn, n need) (types map[string]string, err error) {
	op := fmt.Sprintf("check %s table %s", n.what, n.table)
	schema, table := change.SplitTable(n.table)
	rows, err := conn.Query(ctx, columnsSQL, schema, table)
	if err != nil {
		return nil, readError(op, err)
	}
	var column, kind, role string
	var mayRead, mayUse bool
	readable := map[string]bool{}
	types = map[string]string{}
	if _, err = pgx.ForEachRow(rows, []any{&column, &kind, &mayRead, &role, &mayUse}, func() error {
		readable[column], types[column] = mayRead, kind
		return nil
	}); err != nil {
		return nil, readError(op, err)
	}
	if len(types) == 0 {
		return nil, problem{op: op, err: errors.New("there is no such table"), setup: true, hint: missingHint(ctx, conn, table)}.wrap()
	}
	if !mayUse {
		return nil, problem{
			op: op, err: fmt.Errorf("role %s may not use schema %s", role, schema), setup: true,
			hint: fmt.Sprintf("run: GRANT USAGE ON SCHEMA %s TO %s", quoteName(schema), quoteName(role)),
		}.wrap()
	}
	if err := checkColumns(op, n, role, readable); err != nil {
		return nil, err
	}
	return types, nil
}

func checkColumns(op string, n need, role string, readable map[string]bool) error {
	for _, name := range n.columns {
		if name == "" {
			continue
		}
		mayRead, exists := readable[name]
		if !exists {
			return problem{
				op: op, err: fmt.Errorf("there is no column %s", name), setup: true,
				hint: "check the configured column names of the " + n.what + " table",
			}.wrap()
		}
		if !mayRead {
			return problem{
				op: op, err: fmt.Errorf("role %s may not read column %s", role, name), setup: true,
				hint: fmt.Sprintf("run: GRANT SELECT ON %s TO %s", quoteTable(n.table), quoteName(role)),
			}.wrap()
		}
	}
	return nil
}

// missingHint names tables of the same name in other schemas.
func missingHint(ctx context.Context, conn *pgx.Conn, table string) string {
	const advice = "is it the right database? Table names can be configured"
	rows, err := conn.Query(ctx, `SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1 LIMIT 3`, table)
	if err != nil {
		return advice
	}
	// Without an answer there is still the general hint.
	others, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(others) == 0 {
		return advice
	}
	return "there is " + strings.Join(others, ", ") + ": configure the table with its schema"
}
