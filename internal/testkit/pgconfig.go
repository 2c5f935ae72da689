package testkit

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// needsPassword is the role whose members must give a password; everybody else is trusted.
const needsPassword = "needs_password"

const hba = `local all all trust
host all +needs_password 127.0.0.1/32 scram-sha-256
host replication +needs_password 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
`

func (c *Cluster) dataDir() string   { return filepath.Join(c.dir, "data") }
func (c *Cluster) socketDir() string { return filepath.Join(c.dir, "socket") }

// LogFile is where the server writes its log.
func (c *Cluster) LogFile() string { return filepath.Join(c.dir, "postgres.log") }

// Port is the server's TCP port on 127.0.0.1. It stays the same over restarts.
func (c *Cluster) Port() int { return c.port }

// Addr is the server's address, for a Proxy.
func (c *Cluster) Addr() string { return "127.0.0.1:" + strconv.Itoa(c.port) }

// SocketDir is the folder of the unix socket, or "" where the path is too long for one.
func (c *Cluster) SocketDir() string {
	// sockaddr_un holds 108 bytes, and Postgres adds "/.s.PGSQL.12345" and a terminator.
	if len(c.socketDir()) > 90 {
		return ""
	}
	return c.socketDir()
}

// DSN connects the superuser to a database.
func (c *Cluster) DSN(db string) string { return c.DSNAs(db, "postgres", "") }

// DSNAs connects any role to a database.
func (c *Cluster) DSNAs(db, role, password string) string {
	u := url.URL{
		Scheme: "postgres", Host: c.Addr(), Path: "/" + db,
		User: url.User(role), RawQuery: "sslmode=disable",
	}
	if password != "" {
		u.User = url.UserPassword(role, password)
	}
	return u.String()
}

// CreateDatabase makes an empty database.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	return exec1(ctx, c.DSN("postgres"), "create database "+name, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
}

// CreatePasswordRole makes a login role that must give this password over TCP. attributes are those of CREATE
// ROLE, such as REPLICATION.
func (c *Cluster) CreatePasswordRole(ctx context.Context, name, password string, attributes ...string) error {
	sql := fmt.Sprintf("CREATE ROLE %s LOGIN %s PASSWORD '%s' IN ROLE %s", pgx.Identifier{name}.Sanitize(),
		strings.Join(attributes, " "), strings.ReplaceAll(password, "'", "''"), needsPassword)
	return exec1(ctx, c.DSN("postgres"), "create role "+name, sql)
}

// exec1 runs one statement, or several without arguments, on a connection of its own.
func exec1(ctx context.Context, dsn, what, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// initialise runs initdb and writes the configuration. A folder that has a cluster keeps its data.
func (c *Cluster) initialise(ctx context.Context, settings map[string]string) error {
	if err := os.MkdirAll(c.socketDir(), 0o755); err != nil {
		return fmt.Errorf("make socket folder: %w", err)
	}
	if err := handOver(c.socketDir(), c.cred); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.dataDir(), "PG_VERSION")); err == nil {
		return c.writeConfig(settings)
	}
	c.ownsData = true
	cmd := c.command("initdb", "-D", c.dataDir(), "-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync", "--no-instructions")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	proc, err := startProcess(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	select {
	case <-proc.done:
	case <-ctx.Done():
		if err := proc.kill(); err != nil {
			return err
		}
	}
	if proc.err != nil {
		return fmt.Errorf("initdb: %w: %s", proc.err, out.String())
	}
	if err := c.bootstrap(); err != nil {
		return err
	}
	return c.writeConfig(settings)
}

// bootstrap creates, in single-user mode, the role that pg_hba.conf speaks of.
func (c *Cluster) bootstrap() error {
	cmd := c.command("postgres", "--single", "-D", c.dataDir(), "-F", "postgres")
	cmd.Stdin = strings.NewReader("CREATE ROLE " + needsPassword + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("create role %s: %w: %s", needsPassword, err, out)
	}
	return nil
}

// writeConfig writes both files whole, so that a cluster used again gets the new settings.
func (c *Cluster) writeConfig(settings map[string]string) error {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": c.SocketDir(),
		"wal_level":               "logical",
		"max_replication_slots":   "32",
		"max_wal_senders":         "32",
		"max_connections":         "200",
		"fsync":                   "off",
		"shared_buffers":          "64MB",
		"autovacuum_naptime":      "10s",
		"log_line_prefix":         "%m [%p] %a ",
		"timezone":                "UTC",
	}
	maps.Copy(all, settings)
	var conf strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", key, strings.ReplaceAll(all[key], "'", "''"))
	}
	for name, text := range map[string]string{"postgresql.conf": conf.String(), "pg_hba.conf": hba} {
		if err := os.WriteFile(filepath.Join(c.dataDir(), name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
