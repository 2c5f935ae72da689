package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

func TestEvents(t *testing.T) {
	_, c := open(t)
	a, b := c.EventSubject("drift.opened.rule.1"), c.EventSubject("drift.resolved.rule.1")
	if _, err := c.LastEvent(t.Context(), a); !errors.Is(err, bus.ErrNoMessage) {
		t.Errorf("last event of none: %v", err)
	}
	first, err := c.PublishEvent(t.Context(), a, "one", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.PublishEvent(t.Context(), a, "one", []byte("1")); err != nil || again != first {
		t.Errorf("published again at %d, %v", again, err)
	}
	var events []bus.EventMsg
	for i := range 1000 {
		subject := a
		if i%2 == 1 {
			subject = b
		}
		events = append(events, bus.EventMsg{Subject: subject, ID: string(payload(i)), Data: payload(i)})
	}
	other := background(t, func(ctx context.Context) error { // somebody else's events in between
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := c.PublishEvent(ctx, c.EventSubject("other.x.x._"), "other "+string(payload(i)), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err := c.PublishEvents(t.Context(), events[:600]); err != nil {
		t.Fatal(err)
	}
	if err := c.PublishEvents(t.Context(), events); err != nil { // overlaps: duplicates
		t.Fatal(err)
	}
	_ = other()
	last, err := c.LastEvent(t.Context(), c.EventSubject("drift.*.rule.*"))
	if err != nil || string(last.Data) != string(payload(999)) || last.Subject != b {
		t.Errorf("last event: %+v, %v", last, err)
	}
	done := errors.New("done")
	var got []bus.Message
	err = c.ConsumeEvents(t.Context(), []string{a, b}, first+1, func(m bus.Message) error {
		got = append(got, m)
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return done }))
	if !errors.Is(err, done) || wantPrefix(t, got) != 1000 {
		t.Errorf("%d events, %v", len(got), err)
	}
	err = c.ConsumeEvents(t.Context(), []string{c.EventSubject("nothing.>")}, 1, nil, bus.OnCaughtUp(func(bus.Seq) error { return done }))
	if !errors.Is(err, done) {
		t.Errorf("caught up without a matching event: %v", err)
	}
}

func TestForeignEventsAreSkipped(t *testing.T) {
	s, c := open(t)
	js := raw(t, s)
	a, b := c.EventSubject("a.x"), c.EventSubject("b.x")
	for i, subject := range []string{a, b} {
		if _, err := c.PublishEvent(t.Context(), subject, string(payload(i)), payload(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), a, []byte("foreign")); err != nil {
			t.Fatal(err)
		}
	}
	for _, filter := range []string{a, c.EventSubject("a.*"), c.EventSubject("a.>")} {
		if m, err := c.LastEvent(t.Context(), filter); err != nil || string(m.Data) != string(payload(0)) {
			t.Errorf("last of %s: %q, %v", filter, m.Data, err)
		}
	}
	if _, err := js.Publish(t.Context(), c.EventSubject("c"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.LastEvent(t.Context(), c.EventSubject("c")); !errors.Is(err, bus.ErrNoMessage) {
		t.Errorf("last of foreign ones only: %v", err)
	}
	done, n := errors.New("done"), 0
	err := c.ConsumeEvents(t.Context(), nil, 0, func(m bus.Message) error { n++; return nil }, bus.OnCaughtUp(func(bus.Seq) error { return done }))
	if !errors.Is(err, done) || n != 2 {
		t.Errorf("%d events, %v", n, err)
	}
}

func TestEventErrors(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess()})
	if _, err := c.PublishEvent(t.Context(), c.EventSubject("x"), "id", nil); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("without a stream: %v", err)
	}
	if _, err := c.PublishEvent(t.Context(), c.EventSubject("x"), "", nil); err == nil {
		t.Error("an event without id is accepted")
	}
	if _, err := c.PublishEvent(t.Context(), c.EventSubject("x"), "id", make([]byte, c.MaxPayload()+1)); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	reader := connect(t, bus.Config{URL: s.ClientURL()})
	var p *bus.PermissionError
	if _, err := reader.PublishEvent(t.Context(), c.EventSubject("x"), "id", nil); !errors.As(err, &p) {
		t.Errorf("without permission: %v", err)
	}
	if err := reader.PublishEvents(t.Context(), []bus.EventMsg{{Subject: c.EventSubject("x"), ID: "id"}}); !errors.As(err, &p) {
		t.Errorf("several without permission: %v", err)
	}
}

func TestPublishEventSurvivesRestartOfServer(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, embedded.Config{Dir: dir})
	addr := s.Addr().String()
	c := connect(t, bus.Config{URL: s.ClientURL(), Options: append(s.Owner(), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	var events []bus.EventMsg
	for i := range 5000 {
		events = append(events, bus.EventMsg{Subject: c.EventSubject("x"), ID: string(payload(i)), Data: payload(i)})
	}
	published := make(chan error, 1)
	go func() { published <- c.PublishEvents(t.Context(), events) }()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	startServer(t, embedded.Config{Dir: dir, Listen: addr})
	if err := receive(t, published); err != nil {
		t.Fatal(err)
	}
	var got []bus.Message
	done := errors.New("done")
	err := c.ConsumeEvents(t.Context(), nil, 0, func(m bus.Message) error { got = append(got, m); return nil },
		bus.OnCaughtUp(func(bus.Seq) error { return done }))
	if !errors.Is(err, done) || wantPrefix(t, got) != len(events) {
		t.Errorf("%d events, %v", len(got), err)
	}
}
