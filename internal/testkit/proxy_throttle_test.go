package testkit_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestProxyThrottles(t *testing.T) {
	p, dial := proxied(t)
	p.Throttle(10000)
	c, start := dial(), time.Now()
	text := strings.Repeat("x", 500)
	if err := say(c, text, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("500 bytes there and back at 10,000 a second took %v", took)
	}
	p.Throttle(1)
	if err := say(c, text, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("at a byte a second: %v", err)
	}
	p.Throttle(0)
	if err := hear(c, text, 5*time.Second); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}
