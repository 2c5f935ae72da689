package app

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// TestAlertsAcrossOutages: neither the channel nor the server of the stream is needed when
// something fails: it is told when both are there again.
func TestAlertsAcrossOutages(t *testing.T) {
	t.Parallel()
	h, addr := &receiver{}, "127.0.0.1:0"
	up := func() (down func()) {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		addr = l.Addr().String()
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
		s.Start()
		return sync.OnceFunc(s.Close)
	}
	down := up()
	h.url = "http://" + addr
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, alerting(t, outside(t, dsn, server), webhookAt(h)), dsn)
	r.ready(t)
	h.toldBaseline(t) // what is under way when the channel goes down is told again
	h.tells(t, fail(t, dsn))

	down()
	quest := fail(t, dsn)
	r.found(t, "missing_participant", int(quest), false)
	testkit.Eventually(t, 20*time.Second, func() error {
		s, all := r.status(t.Context()).Channels, r.scrape(t)
		if len(s) != 1 || s[0].Channel != "webhook" || s[0].Failing.IsZero() || s[0].Waiting == 0 || !strings.Contains(s[0].Error, "refused") ||
			all[`questwatch_alert_failing_seconds{channel="webhook"}`] <= 0 || all[`questwatch_alert_waiting_events{channel="webhook"}`] == 0 {
			return fmt.Errorf("status: %+v", s)
		}
		return nil
	})
	t.Cleanup(up())
	h.tells(t, quest)
	r.wantSeries(t, map[string]float64{`questwatch_alert_failing_seconds{channel="webhook"}`: 0, `questwatch_alert_waiting_events{channel="webhook"}`: 0})

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	quest = fail(t, dsn)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	h.tells(t, quest)
	h.onceEach(t, 0)
}

// TestRefusedAlert: what the other side will never take is told in an event.
func TestRefusedAlert(t *testing.T) {
	t.Parallel()
	h, dsn := listen(t, httptest.NewServer), testkit.Database(t, testkit.LoadAudit001)
	h.answer = func(w http.ResponseWriter, _ *http.Request, _ int, _ *delivery) bool {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return false
	}
	r := start(t, alerting(t, settings(t, dsn), webhookAt(h)), dsn)
	r.ready(t)
	id := r.found(t, "missing_participant", int(fail(t, dsn)), false)
	testkit.Eventually(t, 20*time.Second, func() error {
		for _, e := range eventsOn(t, r, "alert.undelivered.webhook.>") {
			if text := string(e.Data); strings.Contains(text, id+".opened") && strings.Contains(text, "422") && !strings.Contains(text, "/hook") {
				return nil
			}
		}
		return errors.New("nothing says what was not told")
	})
}

// TestAlertsOfTheNextInstance: who takes over goes on where the other one stopped.
func TestAlertsOfTheNextInstance(t *testing.T) {
	t.Parallel()
	h, server := listen(t, httptest.NewServer), testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := alerting(t, outside(t, dsn, server), webhookAt(h))
	first := spawn(t, c)
	first.says(t, "caught up with the stream")
	c.Data = t.TempDir()
	start(t, c, dsn)
	h.tells(t, fail(t, dsn))
	quest := fail(t, dsn)
	first.kill()
	h.tells(t, quest)
	h.tells(t, fail(t, dsn))
	h.onceEach(t, 1)
}

// BenchmarkAlert measures from just before the commit of a failed approval to its alert
// at a webhook, the grace of a second taken off.
func BenchmarkAlert(b *testing.B) {
	h, dsn := listen(b, httptest.NewServer), testkit.Database(b, testkit.LoadAudit001)
	start(b, alerting(b, settings(b, dsn), webhookAt(h)), dsn).ready(b)
	var took []time.Duration
	for b.Loop() {
		committed := time.Now() // at the latest
		took = append(took, h.tells(b, fail(b, dsn)).Sub(committed)-time.Second)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
