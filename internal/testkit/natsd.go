package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsChildEnv holds the configuration file of a nats-server that is a copy of the running test binary. So tests
// need no other program, and the server is of the version that go.mod pins.
const natsChildEnv = "QUESTWATCH_TESTKIT_NATS"

// NATSOptions describe an external nats-server. The zero value is one with JetStream and without users.
type NATSOptions struct {
	Dir         string // store and log; empty means a temporary folder
	Config      string // more configuration text: authorization, accounts, limits
	JetStream   string // more text for the jetstream block, such as `sync_interval: always`
	NoJetStream bool
}

// NATS is a nats-server in a process of its own, to be killed as a crash would. It is safe for concurrent use.
type NATS struct {
	dir     string
	ownsDir bool
	port    int
	monitor int

	mu   sync.Mutex // orders starts and stops
	proc *process
}

// StartNATS starts a server and returns when it takes connections. It needs Main as the package's TestMain, or
// ServeChildren in a program's main.
func StartNATS(opts NATSOptions) (_ *NATS, err error) {
	if !underMain.Load() {
		return nil, errors.New("start nats-server: the package's TestMain must call testkit.Main, or main testkit.ServeChildren")
	}
	n := &NATS{dir: opts.Dir}
	if n.dir == "" {
		if n.dir, err = os.MkdirTemp("", "questwatch-nats-"); err != nil {
			return nil, fmt.Errorf("make folder for nats-server: %w", err)
		}
		n.ownsDir = true
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	// As with Postgres: somebody may take a port before the server has it.
	for range 3 {
		if n.port, err = freePort(); err != nil {
			return nil, err
		}
		if n.monitor, err = freePort(); err != nil {
			return nil, err
		}
		if err = n.writeConfig(opts); err != nil {
			return nil, err
		}
		if err = n.Start(); err == nil {
			return n, nil
		}
	}
	return nil, err
}

// NewNATS starts a server and closes it at the test's end.
func NewNATS(tb TB, opts NATSOptions) *NATS {
	tb.Helper()
	n, err := StartNATS(opts)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Logf("close nats-server: %v", err)
		}
	})
	return n
}

// Addr is the server's address, for a Proxy. It stays the same over restarts.
func (n *NATS) Addr() string { return "127.0.0.1:" + strconv.Itoa(n.port) }

// URL is the address for clients.
func (n *NATS) URL() string { return "nats://" + n.Addr() }

// MonitorURL is the address of the server's monitoring pages.
func (n *NATS) MonitorURL() string { return "http://127.0.0.1:" + strconv.Itoa(n.monitor) }

// PID is the server's process.
func (n *NATS) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc.cmd.Process.Pid
}

// LogFile is where the server writes its log.
func (n *NATS) LogFile() string { return filepath.Join(n.dir, "nats.log") }

// StoreDir is where JetStream keeps its files.
func (n *NATS) StoreDir() string { return filepath.Join(n.dir, "store") }

func (n *NATS) configFile() string { return filepath.Join(n.dir, "nats.conf") }

func (n *NATS) writeConfig(opts NATSOptions) error {
	text := fmt.Sprintf("server_name: testkit\nlisten: %q\nhttp: \"127.0.0.1:%d\"\nlog_file: %q\n",
		n.Addr(), n.monitor, n.LogFile())
	if !opts.NoJetStream {
		text += fmt.Sprintf("jetstream {\n  store_dir: %q\n  %s\n}\n", n.StoreDir(), opts.JetStream)
	}
	text += opts.Config + "\n"
	if err := os.WriteFile(n.configFile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write nats-server configuration: %w", err)
	}
	return nil
}

// Start starts a stopped or killed server again, with the same port and store.
func (n *NATS) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc != nil && n.proc.running() {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find test binary: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), natsChildEnv+"="+n.configFile())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	proc, err := startProcess(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	n.proc = proc
	err = poll(60*time.Second, func() error {
		if !proc.running() {
			return nil
		}
		return n.ping()
	})
	if !proc.running() {
		err = fmt.Errorf("server ended: %w", proc.err)
	}
	if err != nil {
		return fmt.Errorf("start nats-server: %w", errors.Join(err, proc.kill()))
	}
	return nil
}

// ping takes "not you" for an answer: who may connect is the test's affair, and the server checks it when it is up.
func (n *NATS) ping() error {
	nc, err := nats.Connect(n.URL(), nats.NoReconnect(), nats.Timeout(2*time.Second))
	if err == nil {
		nc.Close()
	}
	if errors.Is(err, nats.ErrAuthorization) {
		return nil
	}
	return err
}

// Stop lets the server shut down in good order.
func (n *NATS) Stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		return nil
	}
	return n.proc.stop(syscall.SIGTERM, stopPatience)
}

// Kill crashes the server. What it wrote stays in the page cache: this is not a loss of power.
func (n *NATS) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		return nil
	}
	return n.proc.kill()
}

// Close kills the server and removes the temporary folder that StartNATS made.
func (n *NATS) Close() error {
	err := n.Kill()
	if n.ownsDir {
		err = errors.Join(err, os.RemoveAll(n.dir))
	}
	return err
}

// serveNATS is the child's whole life.
func serveNATS(conf string) int {
	opts, err := server.ProcessConfigFile(conf)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats-server:", err)
		return 2
	}
	s, err := server.NewServer(opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats-server:", err)
		return 2
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
	return 0
}
