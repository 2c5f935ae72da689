package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
)

// alerting is a program's settings where nothing about alerts is set but this.
func alerting(t testing.TB, c config.Config, environment ...string) config.Config {
	t.Helper()
	read, unknown, err := config.Load("", environment)
	if err != nil || len(unknown) > 0 {
		t.Fatalf("%v, unknown %q", err, unknown)
	}
	c.Alert = read.Alert
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	return c
}

func webhookAt(h *receiver) string { return "QUESTWATCH_ALERT_WEBHOOK_URL=" + h.url }

// TestAlertByAnAddressAlone: the address alone is enough. What was there before is one
// summary, and a failure is told soon, and its end.
func TestAlertByAnAddressAlone(t *testing.T) {
	t.Parallel()
	h, dsn := listen(t, httptest.NewServer), testkit.Database(t, testkit.LoadAudit001)
	r := start(t, alerting(t, settings(t, dsn), webhookAt(h)), dsn)
	r.ready(t)
	h.toldBaseline(t)
	quest := fail(t, dsn)
	committed := time.Now()
	t.Logf("a failed approval was told %s after its commit; the grace is a second", h.tells(t, quest).Sub(committed))
	for _, p := range h.told() {
		if p.header.Get("Content-Type") != "application/cloudevents+json" || p.header.Get("Webhook-Signature") != "" || p.header.Get("Webhook-Id") != p.event.ID {
			t.Errorf("%s came with %v", p.event.ID, p.header)
		}
		same := func(m bus.Message) bool { return bytes.Equal(m.Data, p.body) }
		if !slices.ContainsFunc(eventsOn(t, r, p.event.Group+"."+p.event.What+".>"), same) {
			t.Errorf("told, and not in the stream: %s", p.body)
		}
	}
	exec1(t, dsn, "UPDATE applications_application SET status = 'rejected' WHERE quest_id = (SELECT max(quest_id) FROM applications_application)")
	testkit.Eventually(t, 30*time.Second, func() error { return wantKinds(h, "drift.resolved", quest) })
	if kinds := h.kinds(); len(kinds) != 4 {
		t.Errorf("told: %v", kinds)
	}
	h.onceEach(t, 0)
}

// TestAlertsOverCrashes: the program is killed when a notice has come and before its
// place is kept, then when one has not come. Nothing is lost, and the first crash tells
// one event again.
func TestAlertsOverCrashes(t *testing.T) {
	t.Parallel()
	h, dsn := listen(t, httptest.NewServer), testkit.Database(t, testkit.LoadAudit001)
	c := alerting(t, settings(t, dsn), webhookAt(h), "QUESTWATCH_ALERT_WEBHOOK_SECRET=key")
	p := spawn(t, c)
	h.toldBaseline(t)
	for _, comes := range []bool{true, false} {
		killed, running := make(chan struct{}), p
		h.mu.Lock()
		first := true
		h.answer = func(_ http.ResponseWriter, _ *http.Request, _ int, got *delivery) bool {
			h.mu.Lock()
			die := first && got.event.Group == "approval"
			first = first && !die
			h.mu.Unlock()
			if die {
				running.kill()
				close(killed)
			}
			return !die || comes
		}
		h.mu.Unlock()
		quest := fail(t, dsn)
		select {
		case <-killed:
		case <-time.After(60 * time.Second):
			t.Fatal("nothing was told")
		}
		while := fail(t, dsn)
		p = spawn(t, c)
		h.tells(t, quest)
		h.tells(t, while)
	}
	p.terminate(t)
	h.onceEach(t, 1)
	for _, got := range h.told() {
		if err := got.signed("key"); err != nil {
			t.Errorf("%s: %v", got.event.ID, err)
		}
	}
}

// TestAlertsOfAnotherStream: an events stream that is made anew under the program, or
// while it is stopped, does not end alerts.
func TestAlertsOfAnotherStream(t *testing.T) {
	t.Parallel()
	h, server := listen(t, httptest.NewServer), testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := alerting(t, outside(t, dsn, server), webhookAt(h))
	r := start(t, c, dsn)
	r.ready(t)
	h.tells(t, fail(t, dsn))
	anew := func(make bool) {
		withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, "QUESTWATCH_EVENTS")
			if err != nil {
				return err
			}
			if err := js.DeleteStream(ctx, "QUESTWATCH_EVENTS"); err != nil || !make {
				return err
			}
			_, err = js.CreateStream(ctx, stream.CachedInfo().Config)
			return err
		})
	}
	anew(true)
	h.tells(t, fail(t, dsn))
	r.stop(t)
	// Of the next one, what has the places of what was told of this one must be told too.
	many := toldUpTo(t, server.URL()) + 3
	anew(true)
	conn, err := ConnectBus(t.Context(), &c, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range many {
		e := event.OfUndelivered(c.Namespace, &event.Undelivered{Channel: "another", Events: 1, EventIDs: []string{}, First: i, Last: i})
		if err := (toldPort{conn, c.Namespace}).Publish(t.Context(), []event.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	quest := fail(t, dsn)
	r = start(t, c, dsn)
	r.ready(t)
	h.tells(t, quest)
	if told := h.kinds()["alert.undelivered 0"]; uint64(told) != many {
		t.Errorf("%d of %d events of the new stream were told", told, many)
	}
	r.stop(t)
	anew(false)
	r = start(t, c, dsn)
	r.ready(t)
	h.tells(t, fail(t, dsn))
}

// toldUpTo is the place up to which the webhook has been told.
func toldUpTo(t *testing.T, url string) uint64 {
	t.Helper()
	var at alert.Position
	withJetStream(t, url, func(ctx context.Context, js jetstream.JetStream) error {
		control, err := js.KeyValue(ctx, "questwatch-control")
		if err != nil {
			return err
		}
		entry, err := control.Get(ctx, alertKey("webhook"))
		if err != nil {
			return err
		}
		return json.Unmarshal(entry.Value(), &at)
	})
	return at.Sequence
}

// TestAlertsOfAServerRolledBack: the server comes back as it was some events ago.
func TestAlertsOfAServerRolledBack(t *testing.T) {
	t.Parallel()
	h, server := listen(t, httptest.NewServer), testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := alerting(t, outside(t, dsn, server), webhookAt(h))
	r := start(t, c, dsn)
	r.ready(t)
	h.toldBaseline(t)
	r.stop(t)
	backup := t.TempDir() + "/store"
	halt := func() {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	halt()
	if err := os.CopyFS(backup, os.DirFS(server.StoreDir())); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	r = start(t, c, dsn)
	r.ready(t)
	h.tells(t, fail(t, dsn))
	r.stop(t)
	halt()
	if err := os.RemoveAll(server.StoreDir()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(server.StoreDir(), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	r = start(t, c, dsn)
	r.ready(t)
	h.tells(t, fail(t, dsn))
}
