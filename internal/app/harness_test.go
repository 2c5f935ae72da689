package app

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/testkit"
)

// childEnv names the configuration of a program that is a copy of this test
// binary, to be killed as a crash would.
const childEnv = "QUESTWATCH_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		os.Exit(runChild(path))
	}
	flag.Parse()
	parallel := 4 // these tests wait more than they work
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "test.parallel" {
			parallel = 0
		}
	})
	if parallel > 0 {
		if err := flag.Set("test.parallel", strconv.Itoa(parallel)); err != nil {
			panic(err)
		}
	}
	testkit.Main(m)
}

// settings is a configuration for a test: everything private, on free ports.
func settings(t testing.TB, dsn string) config.Config {
	t.Helper()
	c := config.Default()
	c.Data = t.TempDir()
	c.HTTP.Listen = "127.0.0.1:0"
	c.NATS.Listen = "127.0.0.1:0"
	c.Postgres.DSN = dsn
	c.Stream.ConfirmLag = 300 * time.Millisecond // nothing here loses what was acknowledged
	// Slots are a cluster's and not a database's.
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c.Postgres.Slot = "slot_" + conn.Database
	c.Rules.SetGrace(time.Second)
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	return c
}

// onServer is a configuration over an external NATS server and a database with the scenario
// of the audit.
func onServer(t *testing.T) (c config.Config, dsn string, server *testkit.NATS) {
	t.Helper()
	server, dsn = testkit.NewNATS(t, testkit.NATSOptions{}), testkit.Database(t, testkit.LoadAudit001)
	c = settings(t, dsn)
	c.NATS.URL = server.URL()
	return c, dsn, server
}

// through is a DSN that goes by way of a proxy.
func through(t *testing.T, dsn string) (string, *testkit.Proxy) {
	t.Helper()
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("%s:%d", conn.Host, conn.Port)
	p := proxyTo(t, addr)
	return strings.Replace(dsn, addr, p.Addr(), 1), p
}

func proxyTo(t *testing.T, addr string) *testkit.Proxy {
	t.Helper()
	p, err := testkit.NewProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close proxy: %v", err)
		}
	})
	return p
}

// running is a program under test.
type running struct {
	*App
	dsn    string // around any proxy
	since  uint64 // findings of older epochs do not count: their stream is gone
	cancel context.CancelFunc
	halted func() error
	closed func() error
}

func testLogger(t testing.TB) *slog.Logger {
	level := slog.LevelError + 1
	if testing.Verbose() {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("test", t.Name())
}

// start runs the program until halt or stop is called, at the latest at the
// test's end. dsn is the database itself, where c leads through a proxy.
func start(t testing.TB, c config.Config, dsn string) *running {
	t.Helper()
	return startWith(t, c, dsn, true)
}

func startWith(t testing.TB, c config.Config, dsn string, wait bool) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a, err := New(ctx, c, testLogger(t))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, wait) }()
	r := &running{App: a, dsn: dsn, cancel: cancel}
	r.halted = sync.OnceValue(func() error { return <-done })
	r.closed = sync.OnceValue(func() error {
		cancel()
		return errors.Join(r.halted(), a.Close())
	})
	t.Cleanup(func() {
		if err := r.closed(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return r
}

// halt ends Run; what New made stays open for questions.
func (r *running) halt(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := r.halted(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// stop ends the program.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if err := r.closed(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// ready waits until the program says so.
func (r *running) ready(t testing.TB) {
	t.Helper()
	r.readyWithin(t, 30*time.Second)
}

func (r *running) readyWithin(t testing.TB, patience time.Duration) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if reasons := r.Reasons(); len(reasons) > 0 {
			return fmt.Errorf("not ready: %q", reasons)
		}
		return nil
	})
}

// notReady waits until the program says that something is wrong.
func (r *running) notReady(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		if len(r.Reasons()) == 0 {
			return errors.New("still ready")
		}
		return nil
	})
}

// settle waits until the program has taken in all that was committed so far.
func (r *running) settle(t *testing.T) {
	t.Helper()
	var now time.Time
	query(t, r.dsn, "SELECT clock_timestamp()", &now)
	testkit.Eventually(t, 40*time.Second, func() error {
		if at := r.watch.Status().Now; at < change.MillisOf(now) {
			return fmt.Errorf("stream time is %s, want %s; %q", at.Time(), now, r.Reasons())
		}
		return nil
	})
}

// loaded is a database with the scenario of the audit on a cluster of the test's
// own, to be crashed.
func loaded(t testing.TB, c *testkit.Cluster) string {
	t.Helper()
	dsn := c.DSN("postgres")
	if err := errors.Join(testkit.LoadSchema(t.Context(), dsn), testkit.LoadAudit001(t.Context(), dsn)); err != nil {
		t.Fatal(err)
	}
	return dsn
}

// startLock begins a transaction that has written, which a snapshot waits for. The
// function returned ends it.
func startLock(t *testing.T, dsn string) func() {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT pg_current_xact_id()"); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() { conn.Close(context.WithoutCancel(t.Context())) })
}

func query(t testing.TB, dsn, sql string, into ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), sql).Scan(into...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func exec1(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// child is the program in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	log   string
	ended chan struct{}
}

// spawn starts the program as a process. It ends with ours.
func spawn(t *testing.T, c config.Config) *child {
	t.Helper()
	return spawnWith(t, c)
}

// spawnWith adds to the process' environment.
func spawnWith(t *testing.T, c config.Config, env ...string) *child {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &child{cmd: exec.Command(os.Args[0]), log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the test
	p.cmd.Env = append(append(os.Environ(), childEnv+"="+path), env...)
	p.cmd.Stderr = log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the program with SIGKILL.
func (p *child) kill() {
	_ = p.cmd.Process.Kill() // it may have ended before
	<-p.ended
}

// terminate asks the program to end and waits.
func (p *child) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if !p.cmd.ProcessState.Success() {
		t.Errorf("program ended with %v:\n%s", p.cmd.ProcessState, p.output(t))
	}
}

func (p *child) output(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// says waits until the program has logged something.
func (p *child) says(t *testing.T, what string) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		if text := p.output(t); !strings.Contains(text, what) {
			return fmt.Errorf("no %q in %s", what, text)
		}
		return nil
	})
}

// runChild is the child's whole life.
func runChild(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	var c config.Config
	if err := json.Unmarshal(data, &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	go func() { // standard input ends with our parent
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	a, err := newWrapped(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, nil)), killer())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := errors.Join(a.Run(ctx, true), a.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
