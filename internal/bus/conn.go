package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// Seq is a sequence of a stream: 1 is its first message.
type Seq = change.Seq

// Manage says who makes the streams.
const (
	ManageCreate = "create" // Setup does
	ManageVerify = "verify" // somebody else does, Setup checks
)

const (
	requestTimeout = 5 * time.Second
	pingInterval   = 10 * time.Second
	headerRoom     = 512 // bytes of a message that its headers may take
	// defaultBatch is how many messages of a batch a server takes unless it is told
	// otherwise.
	defaultBatch = 1000
)

// Config is how to reach the server and what to find there.
type Config struct {
	URL       string        // one or several, comma-separated
	Options   []nats.Option // credentials, TLS, an in-process server
	Namespace string        // "questwatch" by default; part of all names

	Manage       string // ManageCreate by default
	Replicas     int    // 1 by default
	CDCMaxAge    time.Duration
	CDCMaxBytes  int64
	EventsMaxAge time.Duration

	// Checkpoints is whether there is to be a store of checkpoints.
	Checkpoints bool
	// Reports is whether there is to be a store of reports.
	Reports bool

	// Batches makes the CDC stream one that a BatchWriter can write to.
	Batches       bool
	BatchMessages int // messages of a batch at most, 1000 by default

	Window      int           // unacknowledged messages of a Writer, 4096 by default
	WindowBytes int64         // and their bytes, 32 MiB by default
	AckTimeout  time.Duration // without an ack for so long a Writer is dead, 10 s by default

	// TailBytes bounds what is kept in memory of this connection's own writing
	// while ConsumeCDC runs, 16 MiB by default. Below 0 all is read from the server.
	TailBytes int64

	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	setDefault(&c.Namespace, defaultNamespace)
	setDefault(&c.Manage, ManageCreate)
	setDefault(&c.Replicas, 1)
	setDefault(&c.CDCMaxAge, 7*24*time.Hour)
	setDefault(&c.CDCMaxBytes, 8<<30)
	setDefault(&c.EventsMaxAge, 400*24*time.Hour)
	setDefault(&c.BatchMessages, defaultBatch)
	setDefault(&c.Window, 4096)
	setDefault(&c.WindowBytes, 32<<20)
	setDefault(&c.AckTimeout, 10*time.Second)
	setDefault(&c.TailBytes, 16<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Conn is a connection. Its methods may be called concurrently.
type Conn struct {
	cfg      Config
	names    names
	log      *slog.Logger
	nc       *nats.Conn
	js       jetstream.JetStream
	findings *Bucket
	control  *Bucket
	reports  *Objects
	// checkpoints is there whether the store is or not.
	checkpoints *Objects
	foreign     atomic.Uint64
	tail        *localTail

	mu       sync.Mutex // guards against watchers that come and go while the connection fails
	watchers map[*watcher]struct{}
}

// watcher hears of trouble on the connection that no reply will tell of.
type watcher struct {
	disconnected func(error)
	denied       func(*PermissionError)
}

// Connect connects once, without retrying, and makes sure that JetStream
// answers. Later losses of the connection are repaired without end.
func Connect(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	if cfg.Manage != ManageCreate && cfg.Manage != ManageVerify {
		return nil, hint.Failed("connect to nats", fmt.Errorf("manage is %q", cfg.Manage), `say "create" or "verify"`)
	}
	ns, err := newNames(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	c := &Conn{cfg: cfg, names: ns, log: cfg.Logger, tail: newLocalTail(cfg.TailBytes), watchers: map[*watcher]struct{}{}}
	c.findings = &Bucket{conn: c, name: ns.findingsBucket}
	c.control = &Bucket{conn: c, name: ns.controlBucket}
	c.checkpoints = &Objects{conn: c, bucket: ns.checkpointsBucket}
	c.reports = &Objects{conn: c, bucket: ns.reportsBucket}
	if err := c.connect(ctx); err != nil {
		return nil, classify("connect to nats"+at(cfg.URL), err)
	}
	return c, nil
}

// at names servers, without what their URLs may hold of credentials.
func at(urls string) string {
	var hosts []string
	for one := range strings.SplitSeq(urls, ",") {
		if u, err := url.Parse(strings.TrimSpace(one)); err == nil && u.Host != "" {
			hosts = append(hosts, u.Host)
		}
	}
	if hosts == nil {
		return ""
	}
	return " at " + strings.Join(hosts, ", ")
}

func (c *Conn) connect(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	nc, err := nats.Connect(c.cfg.URL, c.options(ctx)...)
	if err != nil {
		return err
	}
	c.nc = nc
	c.js, err = jetstream.New(nc, jetstream.WithPublishAsyncTimeout(c.cfg.AckTimeout), jetstream.WithDefaultTimeout(requestTimeout))
	if err == nil {
		err = c.admin(ctx, "INFO", func(ctx context.Context) error {
			_, err := c.js.AccountInfo(ctx)
			return err
		})
	}
	if err != nil {
		nc.Close()
	}
	return err
}

func (c *Conn) options(ctx context.Context) []nats.Option {
	host, _ := os.Hostname()
	opts := []nats.Option{
		nats.Name(fmt.Sprintf("%s@%s:%d", c.cfg.Namespace, host, os.Getpid())),
		nats.Timeout(requestTimeout),
		nats.PingInterval(pingInterval),
		nats.FlusherTimeout(pingInterval), // a stuck socket must not block publishers for ever
	}
	opts = append(opts, c.cfg.Options...)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < requestTimeout {
		opts = append(opts, nats.Timeout(time.Until(deadline)))
	}
	return append(opts,
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1),   // what was not sent is refused, never sent later
		nats.IgnoreAuthErrorAbort(), // only matters after the first connect
		nats.RetryOnFailedConnect(false),
		func(o *nats.Options) error {
			c.hook(o)
			return nil
		})
}

// hook adds our handlers to those that the caller's options may have.
func (c *Conn) hook(o *nats.Options) {
	asyncError, disconnected, reconnected, closed := o.AsyncErrorCB, o.DisconnectedErrCB, o.ReconnectedCB, o.ClosedCB
	o.AsyncErrorCB = func(nc *nats.Conn, sub *nats.Subscription, err error) {
		c.asyncError(err)
		if asyncError != nil {
			asyncError(nc, sub, err)
		}
	}
	o.DisconnectedErrCB = func(nc *nats.Conn, err error) {
		c.lost(err)
		if disconnected != nil {
			disconnected(nc, err)
		}
	}
	o.ReconnectedCB = func(nc *nats.Conn) {
		c.log.Info("reconnected to nats", "url", nc.ConnectedUrlRedacted())
		if reconnected != nil {
			reconnected(nc)
		}
	}
	o.ClosedCB = func(nc *nats.Conn) {
		c.notify(func(w *watcher) { w.disconnected(nats.ErrConnectionClosed) })
		if closed != nil {
			closed(nc)
		}
	}
}

func (c *Conn) asyncError(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		c.log.Warn("nats reports an error", "err", err)
		return
	}
	p := permissionError(err)
	if !c.notify(func(w *watcher) { w.denied(p) }) { // else somebody returns it
		c.log.Error("nats refuses access", "subject", p.Subject, "subscribe", p.Subscribe)
	}
}

func (c *Conn) lost(err error) {
	if err == nil { // closed by ourselves
		err = nats.ErrConnectionClosed
	} else {
		c.log.Warn("lost connection to nats", "err", err)
	}
	c.notify(func(w *watcher) { w.disconnected(err) })
}

// notify reports whether there was anybody to tell.
func (c *Conn) notify(tell func(*watcher)) bool {
	c.mu.Lock()
	watchers := make([]*watcher, 0, len(c.watchers))
	for w := range c.watchers {
		watchers = append(watchers, w)
	}
	c.mu.Unlock()
	for _, w := range watchers {
		tell(w)
	}
	return len(watchers) > 0
}

func (c *Conn) watch(w *watcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers[w] = struct{}{}
}

func (c *Conn) unwatch(w *watcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.watchers, w)
}

// admin runs a request that the server may refuse by silence: a permission
// violation is reported apart from the request, and ends it at once. about is
// the part of the request's subject by which the violation is known.
func (c *Conn) admin(ctx context.Context, about string, request func(context.Context) error) error {
	return c.attend(ctx, about, func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(ctx, requestTimeout)
		defer stop()
		return request(ctx)
	})
}

// attend is admin for a request that may take long.
func (c *Conn) attend(ctx context.Context, about string, request func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &watcher{
		disconnected: func(err error) { // the reply went to the old connection
			cancel(fmt.Errorf("%w: %w", nats.ErrDisconnected, err))
		},
		denied: func(p *PermissionError) {
			if strings.Contains(p.Subject, about) {
				cancel(p)
			}
		},
	}
	c.watch(w)
	defer c.unwatch(w)
	err := request(ctx)
	cause := context.Cause(ctx)
	var p *PermissionError
	if err != nil && (errors.As(cause, &p) || errors.Is(cause, nats.ErrDisconnected)) {
		return cause
	}
	return err
}

// Close closes the connection. Unacknowledged messages stay uncertain.
func (c *Conn) Close() { c.nc.Close() }

// Connected says whether the connection is up at the moment.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// MaxPayload is the largest Data that can be published: the server's limit
// less what our headers need.
func (c *Conn) MaxPayload() int { return int(c.nc.MaxPayload()) - headerRoom }

// ForeignMessages counts the messages skipped because this package had not
// published them. One that is read twice counts twice.
func (c *Conn) ForeignMessages() uint64 { return c.foreign.Load() }

// Findings is the bucket of what is open now.
func (c *Conn) Findings() *Bucket { return c.findings }

// Control is the bucket of pauses, leases and schedules.
func (c *Conn) Control() *Bucket { return c.control }
