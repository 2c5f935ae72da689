package pgstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
)

// schemaVersion is the version of schema questwatch that SetupSQL makes.
const schemaVersion = 1

// advisoryLock is the first half of the advisory locks that are ours: with 0 for the
// schema, with the hash of a namespace for its brake.
const advisoryLock = 0x71776174

// laterSchema is the SQLSTATE by which the script says that it is too old.
const laterSchema = "QW001"

//go:embed setup.sql
var setupSQL string

// SetupSQL is the script that makes schema questwatch: the journal of repairs, the
// brakes, and the function that locks a quest of these tables. It may be run again at any
// time, refuses a schema of a later version, and touches no table of the application.
func SetupSQL(schema *change.Schema) string {
	return strings.NewReplacer(
		"@version@", strconv.Itoa(schemaVersion), "@lock@", strconv.Itoa(advisoryLock),
		"@later@", laterSchema, "@hold@", quoteText(holdBody(schema)),
	).Replace(setupSQL)
}

// holdBody locks the quest first: with its row locked no new child of it can commit.
func holdBody(schema *change.Schema) string {
	body := "\nBEGIN\n"
	for _, e := range change.Entities {
		_, key := schema.Key(e)
		body += fmt.Sprintf("  PERFORM FROM %s t WHERE t.%s = $1 FOR UPDATE;\n", quoteTable(schema.Table(e)), quoteName(key))
	}
	return body + "END\n"
}

// Setup runs SetupSQL unless there is nothing to do, and says whether it did.
func (s *Store) Setup(ctx context.Context) (changed bool, err error) {
	const op = "set up schema questwatch"
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, connectError(&s.pool.Config().ConnConfig.Config, err)
	}
	defer conn.Release()
	// Whoever may not make schemas may still find that somebody else has.
	switch state, err := s.journalState(ctx, conn.Conn()); {
	case err != nil:
		return false, fmt.Errorf("%s: %w", op, err)
	case state == journalReady:
		return false, nil
	}
	if err := run(ctx, conn.Conn().PgConn(), SetupSQL(&s.cfg.Schema)); err != nil {
		end, cancel := detached(ctx)
		defer cancel()
		_ = run(end, conn.Conn().PgConn(), "ROLLBACK") // the error at hand says more
		return false, setupError(op, err)
	}
	return true, nil
}

func setupError(op string, err error) error {
	switch sqlState(err) {
	case laterSchema:
		return laterError(op, err)
	case noPrivilege:
		return problem{
			op: op, err: err, setup: true,
			hint: "run questwatch setup once as a role that owns the tables and may create in the database, or have its administrator run what questwatch setup --print prints",
		}.wrap()
	}
	return readError(op, err)
}

// journalError is that of a statement which reads or writes schema questwatch.
func journalError(op string, err error) error {
	if sqlState(err) == noPrivilege {
		return problem{op: op, err: err, setup: true, hint: "the role lacks a right on schema questwatch: deploy/postgres/roles.sql has them all"}.wrap()
	}
	return readError(op, err)
}

func laterError(op string, err error) error {
	return problem{op: op, err: err, setup: true, hint: "use the questwatch that made it, or a later one"}.wrap()
}

// journalState is what there is of schema questwatch.
type journalState uint8

const (
	noJournal journalState = iota
	// journalStale: it was set up for other tables, or is of an earlier version.
	journalStale
	journalReady
)

// HasJournal reports whether the database has a journal. One that cannot be used,
// because it was made by a later version or for other tables, is an error.
func (s *Store) HasJournal(ctx context.Context) (bool, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, connectError(&s.pool.Config().ConnConfig.Config, err)
	}
	defer conn.Release()
	return s.hasJournal(ctx, conn.Conn())
}

func (s *Store) hasJournal(ctx context.Context, conn *pgx.Conn) (bool, error) {
	state, err := s.journalState(ctx, conn)
	if err == nil && state == journalStale {
		err = problem{
			op: "look for the journal", err: errors.New("schema questwatch was set up for other tables, or by an earlier version"),
			setup: true, hint: "run questwatch setup",
		}.wrap()
	}
	return err == nil && state == journalReady, err
}

// journalState asks the catalogue first: it can be read without any right on the schema.
func (s *Store) journalState(ctx context.Context, conn *pgx.Conn) (journalState, error) {
	const op = "look for the journal"
	var there bool
	var hold *string
	err := conn.QueryRow(ctx, `SELECT
		EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'version'),
		(SELECT prosrc FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid AND p.proname = 'hold')
		FROM pg_catalog.pg_namespace n WHERE n.nspname = 'questwatch'`).Scan(&there, &hold)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !there {
		return noJournal, nil
	}
	if err != nil {
		return noJournal, readError(op, err)
	}
	var version int
	if err := conn.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM questwatch.version").Scan(&version); err != nil {
		return noJournal, journalError(op, err)
	}
	switch {
	case version > schemaVersion:
		return noJournal, laterError(op, fmt.Errorf("schema questwatch is of version %d, later than version %d", version, schemaVersion))
	case version < schemaVersion || hold == nil || *hold != holdBody(&s.cfg.Schema):
		return journalStale, nil
	}
	return journalReady, nil
}
