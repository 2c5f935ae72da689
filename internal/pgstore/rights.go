package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// participantColumns is what a repair needs to know of the participant table.
type participantColumns struct {
	// required are the texts, other than our columns, that an insert must give a value
	// because they take no null and have no default. Frameworks keep defaults to
	// themselves; for a text it is the empty one.
	required []string
	// readable are all those that the role may read.
	readable []string
}

// participantColumns asks the database once.
func (s *Store) participantColumns(ctx context.Context) (*participantColumns, error) {
	s.insertMu.Lock()
	defer s.insertMu.Unlock()
	if s.insertColumns != nil {
		return s.insertColumns, nil
	}
	p := &s.cfg.Schema.Participant
	ours := []string{p.QuestID, p.User, p.Status, p.JoinedAt}
	rows, err := s.pool.Query(ctx, `SELECT a.attname::text, t.typcategory::text, format_type(a.atttypid, a.atttypmod),
		(a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND t.typdefault IS NULL AND a.attidentity = '' AND a.attgenerated = '',
		has_column_privilege(a.attrelid, a.attnum, 'SELECT')
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, s.tables.participant)
	if err != nil {
		return nil, readError("read participant columns", err)
	}
	columns := &participantColumns{}
	var name, category, kind string
	var required, readable bool
	_, err = pgx.ForEachRow(rows, []any{&name, &category, &kind, &required, &readable}, func() error {
		if readable {
			columns.readable = append(columns.readable, name)
		}
		if !required || slices.Contains(ours, name) {
			return nil
		}
		if category != "S" {
			return problem{
				op: "prepare insert of participants", setup: true,
				err:  fmt.Errorf("column %s of %s takes no null, has no default and is of type %s", name, p.Table, kind),
				hint: "give the column a default: nobody but the application knows a value for it",
			}.wrap()
		}
		columns.required = append(columns.required, name)
		return nil
	})
	if err != nil {
		return nil, readError("read participant columns", err)
	}
	s.insertColumns = columns
	return columns, nil
}

// Writable refuses a role or a server that cannot repair, before the first
// write, and says what to grant.
func (s *Store) Writable(ctx context.Context) error {
	const op = "check the right to repair"
	var role, readOnlyNow string
	var standby bool
	err := s.pool.QueryRow(ctx, "SELECT current_user::text, current_setting('transaction_read_only'), pg_is_in_recovery()").
		Scan(&role, &readOnlyNow, &standby)
	if err != nil {
		return readError(op, err)
	}
	if standby {
		return problem{op: op, err: errors.New("this server is a standby"), setup: true, hint: "connect to the primary"}.wrap()
	}
	var missing []string
	for _, n := range s.rights() {
		for _, name := range n.columns {
			var may bool
			err := s.pool.QueryRow(ctx, "SELECT has_column_privilege($1::text::regclass, $2::text, $3::text)", quoteTable(n.table), name, n.what).Scan(&may)
			if err != nil {
				return readError(op, err)
			}
			if !may {
				missing = append(missing, fmt.Sprintf("GRANT %s ON %s TO %s", n.what, quoteTable(n.table), quoteName(role)))
				break
			}
		}
	}
	lacking, err := s.mayKeepJournal(ctx, role)
	if err != nil {
		return err
	}
	if missing = append(missing, lacking...); len(missing) > 0 {
		return problem{op: op, err: fmt.Errorf("role %s may not write what repairs write", role), setup: true, hint: "run: " + strings.Join(missing, "; ")}.wrap()
	}
	if readOnlyNow == "on" {
		return problem{op: op, err: errors.New("the session is read-only"), setup: true, hint: "default_transaction_read_only is on for this role or database"}.wrap()
	}
	_, err = s.participantColumns(ctx)
	return err
}

// mayKeepJournal lists what the role lacks to write the journal, where there is one.
func (s *Store) mayKeepJournal(ctx context.Context, role string) (missing []string, err error) {
	if there, err := s.HasJournal(ctx); err != nil || !there {
		return nil, err
	}
	var repair, brake, hold bool
	err = s.pool.QueryRow(ctx, `SELECT
		has_column_privilege('questwatch.repair', 'finding', 'INSERT') AND has_column_privilege('questwatch.repair', 'finding', 'SELECT'),
		has_column_privilege('questwatch.brake', 'actor', 'INSERT') AND has_column_privilege('questwatch.brake', 'actor', 'SELECT'),
		has_function_privilege('questwatch.hold(bigint)', 'EXECUTE')`).Scan(&repair, &brake, &hold)
	if err == nil && !repair {
		missing = append(missing, "GRANT SELECT, INSERT ON questwatch.repair TO "+quoteName(role))
	}
	if err == nil && !brake {
		missing = append(missing, "GRANT SELECT, INSERT ON questwatch.brake TO "+quoteName(role))
	}
	if err == nil && !hold {
		missing = append(missing, "GRANT EXECUTE ON FUNCTION questwatch.hold(bigint) TO "+quoteName(role))
	}
	return missing, readError("look at the rights on the journal", err)
}

// rights are the privileges that repairs need; what is the privilege.
func (s *Store) rights() []need {
	q, p := &s.cfg.Schema.Quest, &s.cfg.Schema.Participant
	update := []string{q.Status, q.AssignedTo}
	if q.UpdatedAt != "" {
		update = append(update, q.UpdatedAt)
	}
	insert := []string{p.QuestID, p.User, p.Status}
	if p.JoinedAt != "" {
		insert = append(insert, p.JoinedAt)
	}
	return []need{{"UPDATE", q.Table, update}, {"INSERT", p.Table, insert}}
}
