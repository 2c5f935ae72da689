package pgsource

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/pgjson"
)

// Config says what to stream, and by which names.
type Config struct {
	// DSN is a libpq connection string or URL; what it leaves out comes from
	// libpq's environment variables.
	DSN               string
	Slot, Publication string
	Schema            change.Schema
	// AllColumns streams every column; else those of Schema.Columns.
	AllColumns bool
	// Setup allows setting what is missing: replica identity and publication.
	Setup bool
	// SenderTimeout is wal_sender_timeout for our connection: how long a dead one
	// holds the slot. Default 10 s.
	SenderTimeout time.Duration
	Logger        *slog.Logger
}

// Source is the publishing side of one database.
type Source struct {
	config Config
	conn   *pgx.ConnConfig
	names  names
	// fit is the server that Fit found to fit last.
	fit atomic.Pointer[Server]
}

// New checks the configuration; it connects to nothing.
func New(config Config) (*Source, error) {
	conn, err := pgx.ParseConfig(config.DSN)
	if err != nil {
		return nil, badDSN(err)
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = 10 * time.Second
	}
	conn.RuntimeParams["application_name"] = "questwatch"
	if config.SenderTimeout == 0 {
		config.SenderTimeout = 10 * time.Second
	}
	names, err := namesOf(&config.Schema)
	if err != nil {
		return nil, err
	}
	names.all = config.AllColumns
	return &Source{config: config, conn: conn, names: names}, nil
}

// Database is the name of the database.
func (s *Source) Database() string { return s.conn.Database }

// connect opens an ordinary connection.
func (s *Source) connect(ctx context.Context) (*pgx.Conn, error) {
	config := s.conn.Copy()
	// The server takes our questions to its catalog for large ones, and would spend a
	// second on compiling them, every few seconds.
	config.RuntimeParams["jit"] = "off"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, connectError(s.conn, err)
	}
	return conn, nil
}

// replicate opens a connection that speaks the replication protocol, to the
// server that Fit has seen. Its settings make text values look alike whatever the
// server's are.
func (s *Source) replicate(ctx context.Context) (*pgconn.PgConn, error) {
	config := s.conn.Config.Copy()
	for name, value := range map[string]string{
		"replication":        "database",
		"wal_sender_timeout": strconv.FormatInt(s.config.SenderTimeout.Milliseconds(), 10),
		// An exported snapshot waits in an idle transaction.
		"idle_in_transaction_session_timeout": "0",
		"idle_session_timeout":                "0",
		"statement_timeout":                   "0",
		// A snapshot's connection says nothing for a long time; when our machine dies
		// the server must notice, and free the temporary slot.
		"tcp_keepalives_idle":     "10",
		"tcp_keepalives_interval": "5",
		"tcp_keepalives_count":    "4",
	} {
		config.RuntimeParams[name] = value
	}
	pgjson.Impose(config.RuntimeParams)
	read := &frames{buffer: make([]byte, readBuffer)}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		*read = frames{from: r, buffer: read.buffer} // anew for each host that is tried
		return pgproto3.NewFrontend(read, w)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, connectError(s.conn, err)
	}
	conn.CustomData()[framesKey] = read
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.prepare(brief, conn); err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, nil
}

// framesKey is where a connection's custom data has its reader.
const framesKey = "frames"

// address names the server without any secret.
func address(c *pgx.ConnConfig) string {
	u := url.URL{Scheme: "postgres", Host: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), Path: c.Database}
	if c.User != "" {
		u.User = url.User(c.User)
	}
	return u.String()
}

// quote makes an SQL identifier of a name.
func quote(name ...string) string { return pgx.Identifier(name).Sanitize() }

// literal makes an SQL string of a text.
func literal(text string) string {
	out := make([]byte, 0, len(text)+2)
	out = append(out, '\'')
	for i := 0; i < len(text); i++ {
		if text[i] == '\'' {
			out = append(out, '\'')
		}
		out = append(out, text[i])
	}
	return string(append(out, '\''))
}

// names maps what a Relation message says to what we stream.
type names struct {
	tables                 map[[2]string]change.Entity
	tableOf, idOf, questOf [change.Participant + 1]string
	// columnsOf are the columns that must be there; all says that the others are
	// streamed too.
	columnsOf [change.Participant + 1][]string
	all       bool
	needsOf   [change.Participant + 1][]need
}

func namesOf(schema *change.Schema) (n names, err error) {
	n.tables, n.needsOf = map[[2]string]change.Entity{}, needsOf(schema)
	for _, e := range change.Entities {
		ns, table := change.SplitTable(schema.Table(e))
		key := [2]string{ns, table}
		if other, taken := n.tables[key]; taken {
			return n, fmt.Errorf("table %s is named for %s and for %s", schema.Table(e), other, e)
		}
		n.tables[key] = e
		n.tableOf[e] = ns + "." + table
		n.columnsOf[e] = schema.Columns(e)
		n.idOf[e], n.questOf[e] = schema.Key(e)
	}
	return n, nil
}

// list names every column that must be there: schemas, tables and columns, one
// for one.
func (n *names) list() (schemas, tables, columns []string) {
	for _, e := range change.Entities {
		schema, table := change.SplitTable(n.tableOf[e])
		for _, c := range n.columnsOf[e] {
			schemas, tables, columns = append(schemas, schema), append(tables, table), append(columns, c)
		}
	}
	return schemas, tables, columns
}
