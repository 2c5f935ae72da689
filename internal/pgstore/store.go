package pgstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// Config says which tables are read and how patient writes are.
type Config struct {
	Schema   change.Schema
	Statuses quest.Statuses
	// NamesOptional opens the store though the user table cannot be read. Names are
	// then an error where they are asked for.
	NamesOptional bool
	// LockTimeout is how long a repair waits for the quest's row, Attempts how often
	// it tries.
	LockTimeout time.Duration
	Attempts    uint
}

// Default is PeerQuest's own tables and words.
func Default() Config {
	return Config{
		Schema:      change.PeerQuest(),
		Statuses:    quest.PeerQuest(),
		LockTimeout: 2 * time.Second,
		Attempts:    3,
	}
}

const (
	application    = "questwatch"
	connectTimeout = 10 * time.Second
	maxConnections = 4
)

// Store is a pool of connections to the application's database. It is safe for
// concurrent use.
type Store struct {
	cfg    Config
	pool   *pgxpool.Pool
	tables tables
	words  words
	// userIDType is the SQL type of people's ids, "" where it is not known.
	userIDType string
	// idle is after how long the database ends a repair that says nothing more.
	idle time.Duration

	// mu orders the users of the side connection: the clock and the log position
	// that it reads belong together, and to one moment.
	mu   sync.Mutex
	side *pgxpool.Conn

	// insertMu lets one repair find out about the participant table for all.
	insertMu      sync.Mutex
	insertColumns *participantColumns
}

// Open connects and checks that all tables and columns are there and may be
// read. It leaves nothing behind when it fails.
func Open(ctx context.Context, dsn string, cfg Config) (*Store, error) {
	pc, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, parseError(dsn, err)
	}
	prepare(pc)
	words, err := wordsOf(cfg.Statuses)
	if err != nil {
		return nil, problem{op: "read statuses", err: err, setup: true}.wrap()
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, connectError(&pc.ConnConfig.Config, err)
	}
	s := &Store{cfg: cfg, pool: pool, tables: tablesOf(&cfg.Schema), words: words, idle: idlePatience}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		pool.Close()
		return nil, connectError(&pc.ConnConfig.Config, err)
	}
	err = s.check(ctx, conn.Conn())
	conn.Release()
	if err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// prepare sets what a connection string usually leaves open. Values are read as
// text in places, so the session's time zone and date style are ours.
func prepare(pc *pgxpool.Config) {
	cc := pc.ConnConfig
	if cc.ConnectTimeout == 0 {
		cc.ConnectTimeout = connectTimeout
	}
	if cc.RuntimeParams["application_name"] == "" {
		cc.RuntimeParams["application_name"] = application
	}
	cc.RuntimeParams["timezone"] = "UTC"
	cc.RuntimeParams["datestyle"] = "ISO, MDY"
	cc.RuntimeParams["standard_conforming_strings"] = "on"
	// Poolers that share sessions between clients do not keep prepared statements.
	cc.DefaultQueryExecMode = pgx.QueryExecModeExec
	pc.MaxConns = max(pc.MaxConns, maxConnections)
}

// Close ends all connections. Nothing may be in progress.
func (s *Store) Close() {
	s.mu.Lock()
	s.dropSide()
	s.mu.Unlock()
	s.pool.Close()
}

// Clock reads the database's clock, then the end of its log, then the next
// transaction id: in this order, so that whatever committed before the time is
// below the position.
func (s *Store) Clock(ctx context.Context) (at time.Time, lsn change.LSN, nextXID uint64, err error) {
	var text string
	var xid int64
	err = s.onSide(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT clock_timestamp(), pg_current_wal_insert_lsn()::text,
			pg_snapshot_xmax(pg_current_snapshot())::text::bigint`).Scan(&at, &text, &xid)
	})
	if err == nil {
		lsn, err = change.ParseLSN(text)
	}
	if err != nil {
		return time.Time{}, 0, 0, readError("read the database's clock", err)
	}
	return at, lsn, uint64(xid), nil
}

// Heartbeat commits a transaction that writes nothing but a logical message.
func (s *Store) Heartbeat(ctx context.Context) error {
	err := s.onSide(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SELECT pg_logical_emit_message(true, 'questwatch.heartbeat', '')")
		return err
	})
	return readError("write heartbeat", err)
}

// onSide runs fn on the side connection. One that turns out to be dead, as all
// are after a restart of the server, is replaced once and fn called again: it
// must be harmless to do twice.
func (s *Store) onSide(ctx context.Context, fn func(*pgx.Conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dead, err := s.trySide(ctx, fn)
	if dead && ctx.Err() == nil {
		s.pool.Reset() // the idle ones are likely to be dead too
		_, err = s.trySide(ctx, fn)
	}
	return err
}

// trySide runs fn once and drops the connection after a failure that may be its
// own; dead says that it was lost.
func (s *Store) trySide(ctx context.Context, fn func(*pgx.Conn) error) (dead bool, err error) {
	if s.side == nil {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return false, fmt.Errorf("acquire connection: %w", err)
		}
		s.side = conn
	}
	err = fn(s.side.Conn())
	if err == nil {
		return false, nil
	}
	code := sqlState(err)
	dead = s.side.Conn().IsClosed() || strings.HasPrefix(code, operatorIntervention)
	if dead || code == "" {
		s.dropSide()
	}
	return dead, err
}

// Reset gives up all connections: another server has the address now, and those
// that exist may lead to the former one.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool.Reset()
	s.dropSide()
}

func (s *Store) dropSide() {
	if s.side != nil {
		s.side.Release()
		s.side = nil
	}
}

// Usernames looks names up. Ids that the user table does not have are not in the
// result.
func (s *Store) Usernames(ctx context.Context, ids []string) (map[string]string, error) {
	names := make(map[string]string, len(ids))
	if len(ids) == 0 {
		return names, nil
	}
	if s.userIDType == "" {
		return nil, fmt.Errorf("read user names: %s could not be read at the start", s.cfg.Schema.User.Table)
	}
	u := s.cfg.Schema.User
	// Without the cast to the column's own type there would be no use of its index.
	rows, err := s.pool.Query(ctx, fmt.Sprintf("SELECT %s::text, %s::text FROM %s WHERE %[1]s = ANY($1::text[]::%[4]s[])",
		quoteName(u.ID), quoteName(u.Username), s.tables.user, s.userIDType), ids)
	if err != nil {
		return nil, readError("read user names", err)
	}
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	return names, readError("read user names", err)
}

// detached is for what must be said to the server though the caller gave up.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}
