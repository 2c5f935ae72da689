package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func startServer(t testing.TB, cfg embedded.Config) *embedded.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func connect(t testing.TB, cfg bus.Config) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// open is a server with streams and a connection to it.
func open(t testing.TB) (*embedded.Server, *bus.Conn) {
	t.Helper()
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess()})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// raw is the plain client beside ours: what a stranger with all rights can do.
func raw(t testing.TB, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), s.Owner()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func newWriter(t testing.TB, c *bus.Conn, last bus.Seq) *bus.Writer {
	t.Helper()
	w := c.NewWriter(last)
	t.Cleanup(w.Close)
	return w
}

func payload(i int) []byte { return fmt.Appendf(nil, "message %d", i) }

func publish(t testing.TB, c *bus.Conn, w *bus.Writer, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		if _, err := w.Publish(t.Context(), c.StepSubject(int64(i)), payload(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// kept is a message whose data lasts.
func kept(m bus.Message) bus.Message {
	m.Data = bytes.Clone(m.Data)
	return m
}

// stored reads the CDC stream's own messages, in order.
func stored(t testing.TB, c *bus.Conn) []bus.Message {
	t.Helper()
	var got []bus.Message
	done := errors.New("done")
	err := c.ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
		got = append(got, kept(m))
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return done }))
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	return got
}

// wantPrefix checks that the payloads are message 0, 1, 2, … and returns how
// many there are.
func wantPrefix(t testing.TB, got []bus.Message) int {
	t.Helper()
	for i, m := range got {
		if string(m.Data) != string(payload(i)) {
			t.Fatalf("position %d of %d holds %q", i, len(got), m.Data)
		}
	}
	return len(got)
}

func advice(t testing.TB, err error) string {
	t.Helper()
	text := hint.Of(err)
	if text == "" {
		t.Fatalf("error has no hint: %v", err)
	}
	return text
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened for 20 s")
		panic("unreachable")
	}
}

// proxy is a TCP connection that can be cut, or swallow what it should pass on.
type proxy struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	mute  bool
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.work.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.work.Go(func() { p.pump(client, server, false) })
		p.work.Go(func() { p.pump(server, client, true) })
	}
}

func (p *proxy) pump(from, to net.Conn, muted bool) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		drop := muted && p.mute
		p.mu.Unlock()
		if drop {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// cut closes all connections; new ones are possible.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// silence drops what the server says from now on.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

func background(t testing.TB, run func(ctx context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = receive(t, result) })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}
