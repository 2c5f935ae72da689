package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/hint"
)

// problem is an error that an operator can do something about; setup says that
// the configuration or the database's set-up is at fault, and not something that
// may pass by itself.
type problem struct {
	op    string
	err   error
	hint  string
	setup bool
}

func (p problem) wrap() error {
	err := fmt.Errorf("%s: %w", p.op, p.err)
	if p.setup {
		return hint.Setup(err, "%s", p.hint)
	}
	return hint.Wrap(err, "%s", p.hint)
}

// ErrUnknownUser means that nobody has the name asked for.
var ErrUnknownUser = errors.New("no such user")

// sqlState is an error's SQLSTATE, or "".
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// The SQLSTATEs that something is decided by.
const (
	badPassword        = "28P01"
	badRole            = "28000"
	noDatabase         = "3D000"
	tooManyConnections = "53300"
	startingUp         = "57P03"
	noPrivilege        = "42501"
	noTable            = "42P01"
	noColumn           = "42703"
	readOnly           = "25006"
	lockTimeout        = "55P03"
	serialization      = "40001"
	deadlock           = "40P01"
	duplicateKey       = "23505"
)

// operatorIntervention begins the SQLSTATEs with which a server ends sessions or
// takes none: it stops, crashed, or is starting.
const operatorIntervention = "57P"

// connectError says why the server cannot be reached.
func connectError(cfg *pgconn.Config, err error) error {
	server := fmt.Sprintf("connect to Postgres at %s:%d as %s, database %s", cfg.Host, cfg.Port, cfg.User, cmp.Or(cfg.Database, cfg.User))
	e := problem{op: server, err: reasonOf(err)}
	switch code := sqlState(err); code {
	case badPassword:
		e.setup, e.hint = true, "check the user name and the password; PGPASSWORD and PGPASSFILE work too"
	case badRole:
		e.setup, e.hint = true, "the role must exist and be allowed to log in from here: check pg_hba.conf"
	case noDatabase:
		e.setup, e.hint = true, "check the database's name; psql --list shows those that are there"
	case noPrivilege:
		e.setup, e.hint = true, fmt.Sprintf("run: GRANT CONNECT ON DATABASE %s TO %s", quoteName(cfg.Database), quoteName(cfg.User))
	case tooManyConnections:
		e.hint = "all connections are in use: close some, or raise max_connections"
	case startingUp:
		e.hint = "the server is starting or stopping: try again in a moment"
	case "":
		e.hint = networkHint(err)
	}
	return e.wrap()
}

func networkHint(err error) string {
	var dns *net.DNSError
	var network *net.OpError
	switch {
	case errors.As(err, &dns):
		return "the host name is not known: check it"
	case errors.Is(err, context.DeadlineExceeded):
		return "nobody answered in time: check host, port and firewall, or set connect_timeout"
	case errors.As(err, &network):
		return "is the server running, and does it listen there? pg_isready tells"
	}
	return "check the connection string, sslmode among others"
}

// reasonOf is the innermost error that says something: pgx wraps it in a list of
// all that it tried, with the connection's settings around it.
func reasonOf(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return network
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// passwordForms find what may be a password in a connection string that cannot
// be parsed.
var passwordForms = regexp.MustCompile(`:([^:/]*)@|(?i:password)\s*=\s*(?:'([^']*)'|([^\s&]+))`)

// parseError says what is wrong with a connection string, without showing it.
func parseError(dsn string, err error) error {
	e := problem{
		op: "read connection string", err: errors.New("it is malformed"), setup: true,
		hint: "want postgres://user:password@host:5432/database?sslmode=… or host=… dbname=… user=…",
	}
	inner := errors.Unwrap(err)
	if inner == nil || strings.Contains(inner.Error(), dsn) {
		return e.wrap()
	}
	for _, m := range passwordForms.FindAllStringSubmatch(dsn, -1) {
		for _, secret := range m[1:] {
			if secret != "" && strings.Contains(inner.Error(), secret) {
				return e.wrap()
			}
		}
	}
	e.err = inner
	return e.wrap()
}

// readError turns the errors of a query into ones that an operator understands.
func readError(op string, err error) error {
	if err == nil {
		return nil
	}
	if hint.Of(err) != "" {
		return fmt.Errorf("%s: %w", op, err)
	}
	e := problem{op: op, err: err, setup: true}
	switch sqlState(err) {
	case noPrivilege:
		e.hint = "the role lacks a privilege: grant it, or use another role; with row-level security it needs BYPASSRLS"
	case noTable, noColumn:
		e.hint = "the schema changed: check the configured tables and columns"
	case readOnly:
		e.hint = "this server, or this role, may only read: connect to the primary with a role that may write"
	default:
		return fmt.Errorf("%s: %w", op, err)
	}
	return e.wrap()
}
