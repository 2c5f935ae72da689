package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/pgjson"
)

// snapshot is a transaction that sees the database at one moment.
type snapshot struct {
	conn *pgx.Conn
}

// inSnapshot runs fn in a REPEATABLE READ READ ONLY transaction, in an exported
// snapshot where one is named. Limits that a role may have for its sessions are
// lifted: a reading takes as long as it takes.
func (s *Store) inSnapshot(ctx context.Context, exported string, fn func(*snapshot) error) (err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return connectError(&s.pool.Config().ConnConfig.Config, err)
	}
	defer conn.Release()
	begin := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
	if exported != "" {
		begin += "SET TRANSACTION SNAPSHOT " + quoteText(exported) + ";"
	}
	begin += pgjson.SetLocal() + `SET LOCAL row_security = off;
		SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
		SET LOCAL cursor_tuple_fraction = 1; SET LOCAL jit = off;
		SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'` // from Postgres 17 on
	defer func() {
		end, cancel := detached(ctx)
		defer cancel()
		// Nothing was written: a failure here loses the connection and nothing else.
		if e := run(end, conn.Conn().PgConn(), "ROLLBACK"); e != nil && err == nil {
			err = fmt.Errorf("end snapshot: %w", e)
		}
	}()
	if err := run(ctx, conn.Conn().PgConn(), begin); err != nil {
		return readError("begin snapshot", err)
	}
	return fn(&snapshot{conn: conn.Conn()})
}

// run executes statements that return nothing.
func run(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	return conn.Exec(ctx, sql).Close()
}

// open declares a cursor. Column 0 is the quest's id; the others have the
// formats given.
func (sn *snapshot) open(ctx context.Context, e change.Entity, query string, formats []int16) (*cursor, error) {
	name := "questwatch_" + e.String()
	if err := run(ctx, sn.conn.PgConn(), "DECLARE "+name+" NO SCROLL CURSOR FOR "+query); err != nil {
		return nil, readError(fmt.Sprintf("read %s rows", e), err)
	}
	return &cursor{entity: e, conn: sn.conn.PgConn(), name: name, formats: formats, size: firstBatch}, nil
}

// group opens the cursors of all three entities and goes to their first rows.
func (sn *snapshot) group(ctx context.Context, query func(change.Entity) (sql string, formats []int16)) (*grouped, error) {
	g := &grouped{}
	for i, e := range change.Entities {
		sql, formats := query(e)
		c, err := sn.open(ctx, e, sql, formats)
		if err != nil {
			return nil, err
		}
		g.cursors[i] = c
	}
	return g, g.start(ctx)
}
