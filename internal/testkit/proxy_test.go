package testkit_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func proxied(t *testing.T) (*testkit.Proxy, func() net.Conn) {
	t.Helper()
	p, err := testkit.NewProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, func() net.Conn {
		c, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

func say(c net.Conn, text string, patience time.Duration) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	return hear(c, text, patience)
}

func hear(c net.Conn, text string, patience time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, []byte(text)) {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

func TestProxyForwardsAndCuts(t *testing.T) {
	p, dial := proxied(t)
	c := dial()
	if err := say(c, "hello", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := say(c, "hello", 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the cut: %v", err)
	}
	if err := say(dial(), "again", 5*time.Second); err != nil {
		t.Errorf("new connection: %v", err)
	}
}

func TestProxyRefuses(t *testing.T) {
	p, dial := proxied(t)
	old := dial()
	if err := say(old, "hello", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	p.Refuse(true)
	// The reset may come before the client's own connect has returned.
	refused, err := net.Dial("tcp", p.Addr())
	if err == nil {
		t.Cleanup(func() { _ = refused.Close() })
		err = say(refused, "hello", 5*time.Second)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("new connection: %v", err)
	}
	if err := say(old, "still", 5*time.Second); err != nil {
		t.Errorf("old connection: %v", err)
	}
	p.Refuse(false)
	if err := say(dial(), "again", 5*time.Second); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestProxyStallsWithoutLoss(t *testing.T) {
	p, dial := proxied(t)
	c := dial()
	if err := say(c, "hello", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	p.Stall(true)
	if err := say(c, "kept", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("stalled: %v", err)
	}
	p.Stall(false)
	if err := hear(c, "kept", 5*time.Second); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestProxyDelays(t *testing.T) {
	p, dial := proxied(t)
	p.Delay(40 * time.Millisecond)
	c, start := dial(), time.Now()
	if err := say(c, "hello", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 80*time.Millisecond {
		t.Errorf("there and back took %v", took)
	}
}

func TestProxyClosesWhileStalled(t *testing.T) {
	p, dial := proxied(t)
	p.Stall(true)
	c := dial()
	if _, err := io.WriteString(c, "lost"); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := hear(c, "lost", 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after close: %v", err)
	}
}
