package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/peerquest/questwatch/internal/hint"
)

const (
	defaultListen     = "127.0.0.1:4222"
	defaultMaxPayload = 8 << 20
	defaultSync       = time.Second
	defaultRoom       = 64 << 20
	stopTimeout       = 10 * time.Second
	readyPoll         = 100 * time.Millisecond
)

// MaxBatch is how many messages an atomic batch may have.
const MaxBatch = 4096

// ErrStopTimeout says that the server was still busy when Stop gave up.
var ErrStopTimeout = errors.New("nats server did not stop in time")

// Config is how to run the server.
type Config struct {
	Dir          string        // data directory, created with mode 0700
	Listen       string        // host:port, 127.0.0.1:4222 by default; port 0 or -1 takes any free one
	MaxStore     int64         // bytes for all streams; 0 is the size of the disk
	Room         int64         // bytes that must be free for a Restart to help; 64 MiB, on a small disk a sixteenth
	MaxPayload   int32         // bytes a message, 8 MiB by default
	SyncInterval time.Duration // 1 s by default
	SyncAlways   bool          // sync every write, and a batch once, before it is acknowledged
	Protected    []string      // consumer names that readers may not touch
	Logger       *slog.Logger

	copied bool // Dir is a copy: nobody relies on it, and it goes with the server
}

func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = defaultListen
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = defaultMaxPayload
	}
	if c.SyncInterval == 0 {
		c.SyncInterval = defaultSync
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Server is a running server.
type Server struct {
	cfg   Config
	lock  *dirLock
	creds credentials

	mu   sync.Mutex // Restart replaces these two while others ask
	nats *server.Server
	log  *logger

	restarting sync.Mutex // Stop waits for a Restart, and not the reverse
	starting   sync.WaitGroup
	stopOnce   sync.Once
	stopped    chan struct{}
}

// Start runs a server and returns when it accepts connections, which after a
// crash may take minutes. When ctx ends first, or anything fails, nothing is
// left running and the directory is unlocked.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if _, err := os.Stat(cfg.Dir); errors.Is(err, fs.ErrNotExist) {
		// Nobody can own it yet. Where the address is no good, do not even make it.
		if _, _, err := probeAddress(ctx, cfg.Listen); err != nil {
			return nil, err
		}
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return start(ctx, cfg, lock)
}

// start runs a server on a directory that is locked.
func start(ctx context.Context, cfg Config, lock *dirLock) (*Server, error) {
	cfg.fitDisk()
	s, err := newServer(ctx, cfg, lock)
	if err == nil {
		err = removeProbes(cfg.Dir)
	}
	if err != nil {
		lock.release()
		return nil, err
	}
	s.starting.Go(s.nats.Start) // returns once the listener runs, or after a fatal error
	if err := s.ready(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func newServer(ctx context.Context, cfg Config, lock *dirLock) (*Server, error) {
	host, port, err := probeAddress(ctx, cfg.Listen)
	if err != nil {
		return nil, err
	}
	creds, err := ensureCredentials(cfg.Dir)
	if err != nil {
		return nil, err
	}
	allowed, err := users(creds, cfg.Protected)
	if err != nil {
		return nil, err
	}
	if !cfg.copied {
		if err := settle(filepath.Join(cfg.Dir, server.JetStreamStoreDir)); err != nil {
			return nil, err
		}
	}
	ns, err := server.NewServer(&server.Options{
		ServerName:             "questwatch",
		Host:                   host,
		Port:                   port,
		DontListen:             cfg.copied,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               cfg.Dir,
		JetStreamMaxStore:      cfg.MaxStore,
		SyncInterval:           cfg.SyncInterval,
		SyncAlways:             cfg.SyncAlways,
		JetStreamLimits: server.JSLimitOpts{
			MaxBatchSize: MaxBatch,
			// Those that a lost connection left behind count for ten seconds.
			MaxBatchInflightPerStream: 1000,
		},
		MaxPayload: cfg.MaxPayload,
		// A full publish window must not look like a slow client.
		MaxPending: max(server.MAX_PENDING_SIZE, 8*int64(cfg.MaxPayload)),
		Users:      allowed,
		NoAuthUser: readerUser,
	})
	if err != nil {
		return nil, fmt.Errorf("configure nats server: %w", err)
	}
	log := &logger{log: cfg.Logger.With("component", "nats")}
	ns.SetLoggerV2(log, false, false, false)
	return &Server{cfg: cfg, nats: ns, log: log, lock: lock, creds: creds, stopped: make(chan struct{})}, nil
}

// probeAddress finds out whether the address can be listened on before
// anything is written. An empty host, which means every interface, is refused:
// that must be asked for by address.
func probeAddress(ctx context.Context, listen string) (host string, port int, err error) {
	op := fmt.Sprintf("listen on %q", listen)
	host, portText, err := net.SplitHostPort(listen)
	if err == nil && host == "" {
		err = errors.New("host is empty")
	}
	if err == nil {
		port, err = strconv.Atoi(portText)
	}
	if err != nil {
		return "", 0, hint.Failed(op, err, "write it as host:port, 127.0.0.1:4222 for this machine only or 0.0.0.0:4222 for all interfaces")
	}
	if port <= 0 {
		return host, server.RANDOM_PORT, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", 0, hint.Failed(op, err, "another program uses this port: stop it, choose another port, or use that server instead of an embedded one")
	}
	if err != nil {
		return "", 0, hint.Failed(op, err, "choose an address of this machine and a port that this user may use")
	}
	return host, port, l.Close()
}

func (s *Server) ready(ctx context.Context, cfg Config) error {
	for ready := false; !ready; {
		ready = s.nats.ReadyForConnections(readyPoll)
		if err := s.log.fatalError(); err != nil {
			return hint.Failed("start nats server", err, "check the data directory; the server's own log lines say more")
		}
		if ctx.Err() != nil {
			return fmt.Errorf("start nats server: %w", context.Cause(ctx))
		}
	}
	s.creds.URL = s.nats.ClientURL()
	if have, err := readCredentials(cfg.Dir); err == nil && have == s.creds {
		return nil // a full disk would not let us write it again
	}
	return writeCredentials(cfg.Dir, s.creds)
}

// ClientURL is where other programs connect. It holds no credentials.
func (s *Server) ClientURL() string { return s.current().ClientURL() }

// Addr is the address listened on.
func (s *Server) Addr() net.Addr { return s.current().Addr() }

// InProcess are the options that connect the owner without a socket, also again
// after a Restart.
func (s *Server) InProcess() []nats.Option {
	return append(ownerOptions(s.creds.User, s.creds.Password), nats.InProcessServer(s))
}

// Owner are the options that connect the owner over TCP.
func (s *Server) Owner() []nats.Option {
	return ownerOptions(s.creds.User, s.creds.Password)
}

// Stop ends the server. It returns ErrStopTimeout when that takes more than
// ten seconds; the shutdown then goes on by itself and unlocks the directory
// when it is done.
func (s *Server) Stop() error {
	s.stopOnce.Do(func() {
		go func() {
			defer close(s.stopped)
			s.restarting.Lock()
			defer s.restarting.Unlock()
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
			s.starting.Wait()
			if s.cfg.copied {
				_ = removeCopy(s.cfg.Dir) // or by the next StartCopy
			}
			s.lock.release()
		}()
	})
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.stopped:
		return nil
	case <-timer.C:
		return hint.Failed("stop nats server", ErrStopTimeout, "look for a slow or failing disk")
	}
}
