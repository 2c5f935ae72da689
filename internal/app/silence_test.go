package app

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestSilences: what somebody has silenced is told to nobody, over a restart too, until
// the silence ends.
func TestSilences(t *testing.T) {
	t.Parallel()
	h, server := listen(t, httptest.NewServer), testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	told := func() bool {
		return slices.ContainsFunc(h.told(), func(p delivery) bool { return p.event.Quest == 101 })
	}
	c := alerting(t, outside(t, dsn, server), webhookAt(h))
	r := start(t, c, dsn)
	r.ready(t)
	kept, err := ConnectSilences(t.Context(), &c, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	now := time.Now()
	one := alert.Silence{Quest: 101, Since: now, Until: now.Add(time.Hour), Actor: "anna", Reason: "being mended"}
	if err := kept.Add(t.Context(), &one); err != nil {
		t.Fatal(err)
	}
	if list := r.status(t.Context()).Silences; len(list) != 1 || !strings.HasPrefix(list[0].String(), "quest 101 until ") {
		t.Errorf("status has %v", list)
	}
	failIn(t, dsn, 101)
	h.tells(t, fail(t, dsn))
	r.stop(t)
	r = start(t, c, dsn)
	r.ready(t)
	endIn(t, dsn, 101)
	r.found(t, "missing_participant", 101, true)
	h.tells(t, fail(t, dsn))
	if told() {
		t.Errorf("told of the silenced: %v", h.kinds())
	}
	var asked *AskedError
	if err := kept.End(t.Context(), "another"); !errors.As(err, &asked) {
		t.Errorf("end of what is not there: %v", err)
	}
	if err := kept.End(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 30*time.Second, func() error { // for a second it may be known yet
		failIn(t, dsn, 101)
		r.waitOpen(t, "missing_participant", 101)
		if told() {
			return nil
		}
		endIn(t, dsn, 101)
		return errors.New("still silent")
	})
	// One that has ended is known for a while to who tells, for what waits.
	for name, hours := range map[string]time.Duration{"ended1": 1, "ended2": 3 * 24} {
		old := alert.Silence{ID: name, Quest: 9, Since: now.Add(-hours*time.Hour - time.Minute), Until: now.Add(-hours * time.Hour)}
		if _, err := r.Bus().Control().Put(t.Context(), silencePrefix+name, encode(old)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := kept.List(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("in force: %v, %v", list, err)
	}
	list, err = silencesPort{Silences{bucket: r.Bus().Control()}}.List(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != "ended1" {
		t.Errorf("known: %v, %v", list, err)
	}
	if err := r.Bus().Control().Delete(t.Context(), silencePrefix+"ended1"); err != nil {
		t.Fatal(err)
	}
	// What is no silence of ours silences nothing.
	for _, value := range []string{`{"id":"forged","quest_id":104,"since":"2026-01-01T00:00:00Z","until":"2999-01-01T00:00:00Z"}`, `null`, `{`} {
		if _, err := r.Bus().Control().Put(t.Context(), silencePrefix+"forged", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if list, err := kept.List(t.Context()); len(list) != 0 || err != nil {
			t.Errorf("%s: %v, %v", value, list, err)
		}
	}
}

// TestManySilences: alerts wait two seconds for the list and then do without, so however
// long it is, it must not take a request for each.
func TestManySilences(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	setUp, err := bus.Connect(t.Context(), bus.Config{Namespace: "questwatch", URL: server.URL(), Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer setUp.Close()
	if err := setUp.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	near := Silences{bucket: setUp.Control()}
	const many = 500
	for i := range many {
		one := alert.Silence{Quest: int64(i + 1), Since: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := near.Add(t.Context(), &one); err != nil {
			t.Fatal(err)
		}
	}
	proxy := proxyTo(t, server.Addr())
	conn, err := bus.Connect(t.Context(), bus.Config{Namespace: "questwatch", URL: "nats://" + proxy.Addr(), Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy.Delay(20 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), many*20*time.Millisecond)
	defer cancel()
	far := Silences{bucket: conn.Control()}
	if list, err := far.List(ctx); err != nil || len(list) != many {
		t.Errorf("%d of %d silences: %v", len(list), many, err)
	}
}
