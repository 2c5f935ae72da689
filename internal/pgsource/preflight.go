package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// minVersion is the first server whose pgoutput passes logical messages on.
const minVersion = 140000

// Server identifies the cluster that was checked.
type Server struct {
	// System is the cluster's system identifier.
	System   string
	Timeline uint32
	Version  int // as server_version_num

	// idleTimeout is how long the server keeps a slot that nobody streams from, in
	// its own words.
	idleTimeout string
}

// Check looks whether the server can be streamed from, and whether what is
// missing can be set. It changes nothing.
func (s *Source) Check(ctx context.Context) (server Server, setup Setup, err error) {
	err = s.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if server, setup, err = s.check(ctx, conn); err != nil {
			return err
		}
		_, _, err = s.slot(ctx, conn) // one that is somebody else's
		return err
	})
	if err != nil {
		return Server{}, nil, s.checkError(err)
	}
	s.warnOfIdleTimeout(server.idleTimeout)
	return server, setup, nil
}

func (s *Source) checkError(err error) error {
	if errors.Is(err, errConnect) { // which names the server already
		return err
	}
	return fmt.Errorf("check %s: %w", address(s.conn), err)
}

func (s *Source) check(ctx context.Context, conn *pgx.Conn) (server Server, setup Setup, err error) {
	if server, err = s.checkServer(ctx, conn); err != nil {
		return server, nil, err
	}
	tables, err := s.checkTables(ctx, conn, server.Version)
	if err != nil {
		return server, nil, err
	}
	if setup, err = s.missing(ctx, conn, server.Version, tables); err != nil {
		return server, nil, err
	}
	return server, setup, s.mayRun(setup)
}

// Setup is what must be set before streaming, in order.
type Setup []statement

// statement is something to set, and whether our role may.
type statement struct {
	sql string
	may bool
}

func (s *Source) checkServer(ctx context.Context, conn *pgx.Conn) (server Server, err error) {
	var level, segment string
	var standby, may bool
	// The control file's timeline is that of the last checkpoint, which a server that
	// was just promoted has yet to write.
	err = conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(),
		       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)
		         OR coalesce((SELECT pg_has_role(oid, 'member') FROM pg_roles WHERE rolname = 'rds_replication'), false),
		       (SELECT system_identifier::text FROM pg_control_system()),
		       CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END,
		       coalesce(current_setting('idle_replication_slot_timeout', true), '')`).
		Scan(&server.Version, &level, &standby, &may, &server.System, &segment, &server.idleTimeout)
	switch {
	case err != nil:
		return server, fmt.Errorf("read the server's settings: %w", err)
	case server.Version < minVersion:
		return server, hint.Setup(fmt.Errorf("server version is %d.%d", server.Version/10000, server.Version%10000), "Postgres 14 or newer is needed")
	case standby:
		return server, hint.Setup(errors.New("the server is a standby"), "connect to the primary")
	case level != "logical":
		return server, hint.Setup(fmt.Errorf("wal_level is %s", level),
			"as a superuser: ALTER SYSTEM SET wal_level = 'logical'; then restart the server")
	case !may:
		return server, hint.Setup(fmt.Errorf("role %s may not replicate", s.conn.User),
			"as a superuser: ALTER ROLE %s REPLICATION", quote(s.conn.User))
	}
	// Names of segments begin with the timeline.
	timeline, err := strconv.ParseUint(segment[:min(8, len(segment))], 16, 32)
	if err != nil {
		return server, fmt.Errorf("read the server's timeline: %w", err)
	}
	server.Timeline = uint32(timeline)
	return server, nil
}

// table is what the catalog says of one of our tables.
type table struct {
	entity   change.Entity
	oid      uint32
	identity string
	owned    bool
	// publishGenerated says that the publication must have its generated columns.
	publishGenerated bool
}

func (s *Source) checkTables(ctx context.Context, conn *pgx.Conn, version int) ([]table, error) {
	var tables []table
	for _, e := range change.Entities {
		t, err := s.checkTable(ctx, conn, e)
		if err == nil {
			err = s.checkGenerated(ctx, conn, version, &t)
		}
		if err == nil && t.identity != "f" {
			err = s.checkOthers(ctx, conn, &t)
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", s.names.tableOf[e], err)
		}
		tables = append(tables, t)
	}
	return tables, nil
}

func (s *Source) checkTable(ctx context.Context, conn *pgx.Conn, e change.Entity) (t table, err error) {
	schema, name := change.SplitTable(s.names.tableOf[e])
	t.entity = e
	var kind string
	var names []string
	var oids []uint32
	var readable, hidden bool
	err = conn.QueryRow(ctx, `
		SELECT c.oid, c.relkind::text, c.relreplident::text, pg_has_role(c.relowner, 'USAGE'),
		       has_schema_privilege(n.oid, 'USAGE') AND NOT EXISTS (SELECT FROM pg_attribute a
		           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND ($3 OR a.attname = ANY ($4))
		           AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')),
		       row_security_active(c.oid),
		       array(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
		       array(SELECT atttypid FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2`, schema, name, s.names.all, s.names.columnsOf[e]).
		Scan(&t.oid, &kind, &t.identity, &t.owned, &readable, &hidden, &names, &oids)
	setting := "tables." + e.String()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return t, hint.Setup(errors.New("it does not exist in this database"),
			"check the database's name, or set %s.table in the configuration", setting)
	case err != nil:
		return t, err
	case kind != "r":
		return t, hint.Setup(errors.New("it is not an ordinary table"), "views, foreign and partitioned tables cannot be streamed")
	}
	if err := s.checkColumns(ctx, conn, e, names, oids); err != nil {
		return t, err
	}
	if !readable {
		return t, hint.Setup(fmt.Errorf("role %s may not read it", s.conn.User),
			"as its owner: GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON %s TO %[2]s",
			quote(schema), quote(s.conn.User), quote(schema, name))
	}
	if hidden {
		return t, hint.Setup(fmt.Errorf("row security hides rows of it from role %s", s.conn.User),
			"as a superuser: ALTER ROLE %s BYPASSRLS", quote(s.conn.User))
	}
	return t, nil
}

// missing lists what must be set before the tables can be streamed. Identity
// comes before the publication: a publication alone would make the application's
// UPDATEs fail on a table without a key. Generated columns come before identity,
// for the same reason.
func (s *Source) missing(ctx context.Context, conn *pgx.Conn, version int, tables []table) (steps Setup, err error) {
	published, exists, mayAlter, err := s.published(ctx, conn)
	if err != nil {
		return nil, err
	}
	if exists {
		sql, err := s.publishGenerated(ctx, conn, tables)
		if err != nil {
			return nil, err
		}
		if sql != "" {
			steps = append(steps, statement{sql, mayAlter})
		}
	}
	ownsAll := true
	for _, t := range tables {
		ownsAll = ownsAll && t.owned
		if t.identity != "f" {
			steps = append(steps, statement{fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL", s.quoted(t.entity)), t.owned})
		}
	}
	name := quote(s.config.Publication)
	if !exists {
		var mayCreate bool
		if err := conn.QueryRow(ctx, `SELECT has_database_privilege(current_database(), 'CREATE')`).Scan(&mayCreate); err != nil {
			return nil, fmt.Errorf("read the role's rights: %w", err)
		}
		list := make([]string, len(tables))
		for i, t := range tables {
			list[i] = s.quoted(t.entity)
		}
		sql := fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s", name, strings.Join(list, ", "))
		if version >= generatedVersion { // also for those that somebody adds one day
			sql += " WITH (publish_generated_columns = stored)"
		}
		return append(steps, statement{sql, mayCreate && ownsAll}), nil
	}
	for _, t := range tables {
		if !slices.Contains(published, t.oid) {
			steps = append(steps, statement{fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE %s", name, s.quoted(t.entity)), t.owned && mayAlter})
		}
	}
	return steps, nil
}

func (s *Source) quoted(e change.Entity) string {
	schema, table := change.SplitTable(s.names.tableOf[e])
	return quote(schema, table)
}

// published lists the tables of our publication. One that leaves out operations,
// rows or columns is an error: what it leaves out would be lost in silence.
func (s *Source) published(ctx context.Context, conn *pgx.Conn) (tables []uint32, exists, mayAlter bool, err error) {
	var whole bool
	err = conn.QueryRow(ctx, `
		SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pg_has_role(pubowner, 'USAGE')
		FROM pg_publication WHERE pubname = $1`, s.config.Publication).Scan(&whole, &mayAlter)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, false, nil
	}
	if err != nil {
		return nil, false, false, fmt.Errorf("read publication %q: %w", s.config.Publication, err)
	}
	if !whole {
		return nil, true, false, hint.Setup(fmt.Errorf("publication %q leaves out some operations", s.config.Publication),
			"ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate')", quote(s.config.Publication))
	}
	filtered, err := s.filtered(ctx, conn)
	if err != nil {
		return nil, true, false, err
	}
	if filtered != "" {
		return nil, true, false, hint.Setup(fmt.Errorf("publication %q leaves out rows or columns of %s", s.config.Publication, filtered),
			"publish the table without WHERE and without a column list, or choose another publication with postgres.publication")
	}
	rows, err := conn.Query(ctx, `
		SELECT c.oid FROM pg_publication_tables p
		JOIN pg_namespace n ON n.nspname = p.schemaname
		JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
		WHERE p.pubname = $1`, s.config.Publication)
	if err == nil {
		tables, err = pgx.CollectRows(rows, pgx.RowTo[uint32])
	}
	if err != nil {
		return nil, true, false, fmt.Errorf("read publication %q: %w", s.config.Publication, err)
	}
	return tables, true, mayAlter, nil
}

// filtered names a table that the publication filters, or "". Filters exist
// since Postgres 15.
func (s *Source) filtered(ctx context.Context, conn *pgx.Conn) (name string, err error) {
	var has bool
	err = conn.QueryRow(ctx, `
		SELECT count(*) = 2 FROM pg_attribute
		WHERE attrelid = 'pg_publication_rel'::regclass AND attname IN ('prqual', 'prattrs')`).Scan(&has)
	if err == nil && has {
		err = conn.QueryRow(ctx, `
			SELECT coalesce(min(r.prrelid::regclass::text), '') FROM pg_publication_rel r
			JOIN pg_publication p ON p.oid = r.prpubid
			WHERE p.pubname = $1 AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)`, s.config.Publication).Scan(&name)
	}
	if err != nil {
		return "", fmt.Errorf("read publication %q: %w", s.config.Publication, err)
	}
	return name, nil
}

// mayRun is an error that says who must set what we may not.
func (s *Source) mayRun(setup Setup) error {
	if len(setup) == 0 {
		return nil
	}
	if !s.config.Setup {
		return hint.Setup(errors.New("it is not set up, and setting it up was forbidden"), "as the owner of tables and publication, who may create in the database: %s;", setup)
	}
	for _, step := range setup {
		if !step.may {
			return hint.Setup(fmt.Errorf("role %s lacks the right to set it up", s.conn.User), "as the owner of tables and publication, who may create in the database: %s;", setup)
		}
	}
	return nil
}

// Fit makes sure that the server still fits, sets again what may be set, and
// looks at the slot: all that a session must know before it begins, and that can
// change while it runs.
func (s *Source) Fit(ctx context.Context) (slot Slot, err error) {
	var server Server
	var setup Setup
	var stays bool
	err = s.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if server, setup, err = s.check(ctx, conn); err != nil || len(setup) > 0 {
			return err
		}
		slot, stays, err = s.slot(ctx, conn)
		return err
	})
	if err != nil {
		return Slot{}, s.checkError(err)
	}
	s.fit.Store(&server)
	if len(setup) > 0 {
		if err := s.Set(ctx, setup); err != nil {
			return Slot{}, err
		}
		if slot, err = s.Slot(ctx); err != nil {
			return Slot{}, err
		}
	}
	if stays && slot.Usable && !slot.Active {
		if err := s.followLater(ctx); err != nil {
			return Slot{}, err
		}
	}
	slot.System, slot.Timeline = server.System, server.Timeline
	return slot, nil
}

func (setup Setup) String() string {
	list := make([]string, len(setup))
	for i, step := range setup {
		list[i] = step.sql
	}
	return strings.Join(list, "; ")
}

// Set runs what Check found missing, each statement by itself: locks on several
// tables at once would be a deadlock for an application that takes them in
// another order. In Setup's order every statement is harmless without the next.
// It waits two seconds for a table's lock, no longer: the application queues up
// behind it.
func (s *Source) Set(ctx context.Context, setup Setup) error {
	if len(setup) == 0 {
		return nil
	}
	err := s.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, `SET lock_timeout = '2s'`); err != nil {
			return err
		}
		for len(setup) > 0 {
			// A duplicate was made since by another instance that starts too.
			if _, err := conn.Exec(ctx, setup[0].sql); err != nil && codeOf(err) != codeDuplicate {
				return fmt.Errorf("%s: %w", setup[0].sql, err)
			}
			s.config.Logger.Info("set up the database", "statement", setup[0].sql)
			setup = setup[1:]
		}
		return nil
	})
	if codeOf(err) == codeLockTimeout {
		err = hint.Wrap(err, "a long transaction holds the table; try again, or run at a quiet time: %s;", setup)
	}
	if err != nil {
		return fmt.Errorf("set up %s: %w", address(s.conn), err)
	}
	return nil
}
