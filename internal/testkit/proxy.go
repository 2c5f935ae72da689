package testkit

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy forwards TCP connections to a server and puts faults between the two: cut, refused, stalled and slow
// connections. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	loops    sync.WaitGroup

	mu      sync.Mutex // new connections and the switches race: a connection made during Cut must be cut or kept, not lost
	target  string
	conns   map[net.Conn]struct{}
	refuse  bool
	stalled chan struct{} // closed while traffic flows
	delay   time.Duration
	rate    int           // bytes a second; 0 is no limit
	rated   chan struct{} // closed when rate changes
	closed  chan struct{}
}

// NewProxy listens on a free port of 127.0.0.1 and forwards to target, a host:port.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for proxy: %w", err)
	}
	p := &Proxy{
		target: target, listener: l, conns: map[net.Conn]struct{}{},
		stalled: make(chan struct{}), rated: make(chan struct{}), closed: make(chan struct{}),
	}
	close(p.stalled)
	p.loops.Go(p.accept)
	return p, nil
}

// Addr is where clients connect to, a host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut resets all connections. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		reset(c)
	}
}

// Refuse makes the proxy reset new connections at once; those that exist live on.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Redirect leads new connections to another server, as an address that moves does;
// those that exist live on.
func (p *Proxy) Redirect(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Stall stops forwarding without closing anything, as a network that swallows packets does. What was sent in the
// meantime is delivered after Stall(false).
func (p *Proxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stalled:
		if on {
			p.stalled = make(chan struct{})
		}
	default:
		if !on {
			close(p.stalled)
		}
	}
}

// Delay holds every piece of up to 32 KiB back for d, in both directions, one piece at a time: so it limits the
// throughput too.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Close cuts everything, stops listening, and returns when the proxy's goroutines have ended.
func (p *Proxy) Close() error {
	p.mu.Lock()
	select {
	case <-p.closed:
		p.mu.Unlock()
		p.loops.Wait()
		return nil
	default:
		close(p.closed)
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.Cut()
	p.loops.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // the listener was closed
		}
		p.loops.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	if !p.admit(client) {
		reset(client)
		return
	}
	defer p.forget(client)
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	upstream, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil || !p.admit(upstream) {
		if err == nil {
			reset(upstream)
		}
		return
	}
	defer p.forget(upstream)
	var both sync.WaitGroup
	both.Go(func() { p.forward(upstream, client) })
	p.forward(client, upstream)
	both.Wait()
}

// admit registers a connection for Cut, unless it is not wanted.
func (p *Proxy) admit(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closed:
		return false
	default:
	}
	if p.refuse {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	reset(c)
}

// forward copies one direction until either side ends, then ends both: the protocols we carry have no use
// for half-closed connections.
func (p *Proxy) forward(dst, src net.Conn) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 && (!p.throttle(n) || !p.pass()) {
			return
		}
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits out delay and stall; false means that the proxy was closed.
func (p *Proxy) pass() bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.closed:
			return false
		}
	}
	p.mu.Lock()
	flowing := p.stalled
	p.mu.Unlock()
	select {
	case <-flowing:
		return true
	case <-p.closed:
		return false
	}
}

// reset closes with RST, so that the other side sees an error and not an orderly end. A connection that
// forward closed already is none of its concern.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
