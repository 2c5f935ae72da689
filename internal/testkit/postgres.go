package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions describe a private cluster. The zero value is a good one for tests.
type PostgresOptions struct {
	Dir      string            // where it lives; empty means a temporary folder. An initialised cluster is used again
	BinDir   string            // where initdb and postgres are; empty means FindPostgres
	Settings map[string]string // for postgresql.conf, over our own
}

// StopMode is how Postgres is asked to stop.
type StopMode syscall.Signal

const (
	Fast      = StopMode(syscall.SIGINT)  // roll back, send what replicas still need, write a checkpoint
	Immediate = StopMode(syscall.SIGQUIT) // stop now; the next start recovers from the log
)

// A server that is asked to stop waits for replication clients to receive everything. A client that
// hangs must not make a test hang.
const stopPatience = 20 * time.Second

// Cluster is a private Postgres server with its data. Superuser is `postgres`, without a password. It is safe
// for concurrent use.
type Cluster struct {
	dir, bin  string
	settings  map[string]string
	ownsDir   bool
	ownsData  bool
	port      int
	cred      *syscall.Credential
	detachCtx func() bool

	mu     sync.Mutex // orders starts and stops: the end of the context may race with any of them
	proc   *process
	log    *os.File
	closed bool
}

// StartPostgres makes a cluster and returns when it accepts connections. When ctx ends the cluster is
// killed, whatever it is doing; pass one that lives longer than the clients that are to stop in good order.
func StartPostgres(ctx context.Context, opts PostgresOptions) (_ *Cluster, err error) {
	c := &Cluster{dir: opts.Dir, bin: opts.BinDir, settings: opts.Settings}
	if c.bin == "" {
		c.bin, err = FindPostgres()
	} else {
		c.bin, err = checkPostgresBin(c.bin)
	}
	if err != nil {
		return nil, err
	}
	if c.cred, err = serverUser(); err != nil {
		return nil, err
	}
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.initialise(ctx, opts.Settings); err != nil {
		return nil, err
	}
	c.detachCtx = context.AfterFunc(ctx, func() { c.shutDown() })
	// Somebody may take the port between our looking and Postgres's binding it; nobody does so three times.
	for range 3 {
		if c.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = c.Start(); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	return c, nil
}

func (c *Cluster) makeDir() error {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "questwatch-pg-")
		if err != nil {
			return fmt.Errorf("make folder for Postgres: %w", err)
		}
		c.dir, c.ownsDir = dir, true
	} else {
		abs, err := filepath.Abs(c.dir)
		if err != nil {
			return fmt.Errorf("resolve %s: %w", c.dir, err)
		}
		c.dir = abs
		if err := os.MkdirAll(abs, 0o755); err != nil {
			return fmt.Errorf("make folder for Postgres: %w", err)
		}
	}
	return handOver(c.dir, c.cred)
}

// Start starts a stopped or killed cluster again, on the same port, and returns when it accepts connections.
func (c *Cluster) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errors.New("start Postgres: cluster is closed")
	}
	if c.proc != nil && c.proc.running() {
		return nil
	}
	if err := c.openLog(); err != nil {
		return err
	}
	cmd := c.command("postgres", "-D", c.dataDir(), "-p", fmt.Sprint(c.port))
	cmd.Stdout, cmd.Stderr = c.log, c.log
	// SIGQUIT: the postmaster ends its children at once. After a SIGKILL they would find out one by one.
	proc, err := startProcess(cmd, syscall.SIGQUIT)
	if err != nil {
		return err
	}
	c.proc = proc
	err = poll(60*time.Second, func() error {
		if !proc.running() {
			return nil
		}
		return c.ping()
	})
	if !proc.running() {
		err = fmt.Errorf("server ended: %w", errors.Join(proc.err, errors.New(c.logTail())))
	}
	if err != nil {
		return fmt.Errorf("wait for Postgres: %w", errors.Join(err, proc.kill()))
	}
	return nil
}

func (c *Cluster) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Stop asks the server to stop and waits for it. A server that does not is killed after 20 seconds.
func (c *Cluster) Stop(mode StopMode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc == nil {
		return nil
	}
	return c.proc.stop(syscall.Signal(mode), stopPatience)
}

// Kill ends the postmaster and all its children with SIGKILL: a crash of the server, not of the machine.
func (c *Cluster) Kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc == nil {
		return nil
	}
	return c.proc.kill()
}

// Close stops the server and removes what StartPostgres made. It may be called more than once.
func (c *Cluster) Close() error {
	if c.detachCtx != nil {
		c.detachCtx()
	}
	err := c.shutDown()
	if c.ownsDir {
		return errors.Join(err, os.RemoveAll(c.dir))
	}
	if !c.ownsData {
		return err
	}
	for _, path := range []string{c.dataDir(), c.socketDir(), c.LogFile()} {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// shutDown is the end without the clearing up: no start follows it.
func (c *Cluster) shutDown() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var err error
	if c.proc != nil {
		err = c.proc.stop(syscall.SIGQUIT, 5*time.Second)
	}
	if c.log != nil {
		err = errors.Join(err, c.log.Close())
		c.log = nil
	}
	return err
}

// command runs a program of the server as its user, in a folder that it can enter, and without our PG* variables.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	if c.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred}
	}
	return cmd
}

func (c *Cluster) openLog() error {
	if c.log != nil {
		return nil
	}
	f, err := os.OpenFile(c.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open Postgres log: %w", err)
	}
	c.log = f
	return nil
}

// logTail returns the last lines of the log, for errors.
func (c *Cluster) logTail() string {
	f, err := os.Open(c.LogFile())
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const tail = 2000
	if info, err := f.Stat(); err == nil && info.Size() > tail {
		if _, err := f.Seek(-tail, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
