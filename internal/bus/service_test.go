package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/testkit"
)

// serve answers with what was asked, in two parts, until the test ends.
func serve(t *testing.T, c *bus.Conn) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Serve(ctx, bus.Service{Name: "echo", Version: "0.1.0", About: "Answer with the question", Handle: func(_ context.Context, r *bus.Request) []byte {
			if err := r.Tell([]byte("wait")); err != nil {
				t.Error(err)
			}
			return []byte("answer")
		}})
	}()
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("serve: %v", err)
		}
	}
}

// asked asks until somebody answers: a service takes a moment to be known.
func asked(t *testing.T, c *bus.Conn) string {
	t.Helper()
	var answer string
	testkit.Eventually(t, 10*time.Second, func() error {
		parts := ""
		data, err := c.Ask(t.Context(), "echo", nil, 5*time.Second, func(part []byte) { parts += string(part) + " " })
		if err != nil && !errors.Is(err, bus.ErrNoInstance) {
			t.Fatal(err)
		}
		answer = parts + string(data)
		return err
	})
	return answer
}

func TestServeAndAsk(t *testing.T) {
	t.Parallel()
	s, instance := open(t)
	asker := connect(t, bus.Config{URL: s.ClientURL(), Options: s.Owner()})
	if _, err := asker.Ask(t.Context(), "echo", nil, time.Second, nil); !errors.Is(err, bus.ErrNoInstance) {
		t.Fatalf("nobody is there: %v", err)
	}
	stop := serve(t, instance)
	if got := asked(t, asker); got != "wait answer" {
		t.Errorf("the answer is %q", got)
	}
	stop()
	if _, err := asker.Ask(t.Context(), "echo", nil, time.Second, nil); !errors.Is(err, bus.ErrNoInstance) {
		t.Errorf("nobody is there any more: %v", err)
	}
	stop = serve(t, instance)
	defer stop()
	if got := asked(t, asker); got != "wait answer" {
		t.Errorf("the second instance's answer is %q", got)
	}
}

// An instance that goes away in the middle of an answer is noticed.
func TestAskOfOneThatGoesAway(t *testing.T) {
	t.Parallel()
	s, instance := open(t)
	asker := connect(t, bus.Config{URL: s.ClientURL(), Options: s.Owner()})
	nc, err := nats.Connect(s.ClientURL(), s.Owner()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Subscribe(instance.ControlRequests("echo"), func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	_, err = asker.Ask(t.Context(), "echo", nil, 100*time.Millisecond, nil)
	if err == nil || !strings.Contains(err.Error(), "nothing was heard") {
		t.Errorf("silence: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = asker.Ask(ctx, "echo", nil, time.Second, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// Who may only read can neither ask, nor answer in an instance's place, nor listen.
func TestReadersAskNothing(t *testing.T) {
	t.Parallel()
	s, instance := open(t)
	defer serve(t, instance)()
	owner := connect(t, bus.Config{URL: s.ClientURL(), Options: s.Owner()})
	asked(t, owner)
	denied := make(chan string, 10)
	reader, err := nats.Connect(s.ClientURL(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err.Error() }))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	subject := instance.ControlRequests("echo")
	everything, err := reader.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]func() error{
		"ask":                 func() error { return reader.Publish(subject, nil) },
		"discover":            func() error { return reader.Publish("$SRV.PING", nil) },
		"listen":              func() error { _, err := reader.SubscribeSync(subject); return err },
		"answer in its place": func() error { _, err := reader.QueueSubscribeSync(subject, "q"); return err },
	} {
		if err := errors.Join(try(), reader.Flush()); err != nil {
			t.Fatal(err)
		}
		select {
		case text := <-denied:
			if !strings.Contains(strings.ToLower(text), "permissions violation") {
				t.Errorf("%s: %s", what, text)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("a reader may %s", what)
		}
	}
	for range 20 {
		if got := asked(t, owner); got != "wait answer" {
			t.Fatalf("the answer is %q", got)
		}
	}
	if err := reader.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := everything.NextMsg(50 * time.Millisecond)
		if err != nil {
			break
		}
		if m.Subject == subject || strings.HasPrefix(m.Subject, "$SRV.") {
			t.Errorf("a reader hears %s", m.Subject)
		}
	}
}
