package pgsource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/hint"
)

// ErrBusy says that another connection streams from the slot.
var ErrBusy = errors.New("replication slot is in use")

// ErrNoSlot says that the slot does not exist or can no longer be used.
var ErrNoSlot = errors.New("replication slot cannot be used")

// Postgres error codes that somebody can do something about.
const (
	codeInvalidPassword = "28P01"
	codeInvalidAuth     = "28000"
	codeNoDatabase      = "3D000"
	codeTooManyConns    = "53300"
	codeStarting        = "57P03"
	codeNoPrivilege     = "42501"
	codeInUse           = "55006"
	codeNotPrerequisite = "55000"
	codeUndefinedObject = "42704"
	codeUndefinedFile   = "58P01"
	codeDuplicate       = "42710"
	codeLimit           = "53400"
	codeLockTimeout     = "55P03"
)

func codeOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// badDSN is an unreadable connection string. What its parser says repeats parts
// of it, which may be a password in an unexpected place, and is left out; only
// files that cannot be read are named.
func badDSN(err error) error {
	why := errors.New("it is neither a URL nor a key=value list, or a value in it is not a valid one")
	var file *fs.PathError
	if errors.As(err, &file) {
		why = file
	}
	return hint.Setup(fmt.Errorf("read the database's connection string: %w", why),
		"use the form postgres://user@host:5432/database, or libpq's key=value form (percent-encode special characters in a URL, quote spaces in a list); a password may come from PGPASSFILE or PGPASSWORD")
}

// errConnect is in the errors of who has not come as far as a connection.
var errConnect = errors.New("connect")

func connectError(c *pgx.ConnConfig, err error) error {
	wrapped := fmt.Errorf("%w to %s: %w", errConnect, address(c), cause(err))
	switch codeOf(err) {
	case codeInvalidPassword, codeInvalidAuth:
		return hint.Setup(wrapped, "check user and password (PGPASSFILE, PGPASSWORD, or the password in the URL) and the server's pg_hba.conf")
	case codeNoDatabase:
		return hint.Setup(wrapped, "check the database's name at the end of the URL")
	case codeTooManyConns:
		return hint.Wrap(wrapped, "raise max_connections or max_wal_senders, or end other connections")
	case codeStarting:
		return hint.Wrap(wrapped, "the server is starting or stopping; try again in a moment")
	case codeNoPrivilege:
		return hint.Setup(wrapped, "as a superuser: ALTER ROLE %s REPLICATION", quote(c.User))
	case "":
		return hint.Wrap(wrapped, "check that a Postgres server listens there and that host, port and TLS settings are right")
	}
	return wrapped
}

// cause is the innermost part of a connection error that says something: pgx
// repeats host, user and database around it.
func cause(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}
