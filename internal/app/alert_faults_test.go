package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/testkit"
)

func wantKinds(h *receiver, kind string, quest int64) error {
	if kinds := h.kinds(); kinds[fmt.Sprintf("%s %d", kind, quest)] == 0 {
		return fmt.Errorf("no %s of quest %d: %v", kind, quest, kinds)
	}
	return nil
}

// TestAnswersOfAWebhook: 500, 429 with Retry-After and a server that hangs put a notice
// off. Each event is told once in the end, in order.
func TestAnswersOfAWebhook(t *testing.T) {
	t.Parallel()
	h, dsn := listen(t, httptest.NewServer), testkit.Database(t, testkit.LoadAudit001)
	h.answer = func(w http.ResponseWriter, r *http.Request, try int, _ *delivery) bool {
		switch try {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			w.Header().Set("Retry-After", "4")
			w.WriteHeader(http.StatusTooManyRequests)
		case 3:
			<-r.Context().Done() // until the other side gives up
		default:
			return true
		}
		return false
	}
	r := start(t, alerting(t, settings(t, dsn), webhookAt(h)), dsn)
	r.ready(t)
	h.tells(t, fail(t, dsn))
	h.onceEach(t, 0)
	gap := func(try int) time.Duration { return h.tried[try].at.Sub(h.tried[try-1].at) }
	if gap(2) < 4*time.Second || gap(3) < 15*time.Second {
		t.Errorf("after 429 it was tried again in %s, and a hanging server was left after %s", gap(2), gap(3))
	}
	for _, p := range h.tried[:4] {
		if p.event.ID != h.tried[0].event.ID || p.event.What != "baseline" {
			t.Errorf("tried %s %s", p.event.What, p.event.ID)
		}
	}
}

// TestWrongCertificate: a webhook that cannot be trusted is told nothing, another
// channel is not held up, and when the address is right all is told.
func TestWrongCertificate(t *testing.T) {
	t.Parallel()
	wrong, right, slack := listen(t, httptest.NewTLSServer), listen(t, httptest.NewServer), listen(t, httptest.NewServer)
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := alerting(t, settings(t, dsn), webhookAt(wrong), "QUESTWATCH_ALERT_SLACK_URL="+slack.url, "QUESTWATCH_ALERT_SLACK_GROUP_FOR=1s")
	r := start(t, c, dsn)
	r.ready(t)
	quest := fail(t, dsn)
	testkit.Eventually(t, 60*time.Second, func() error {
		values := r.scrape(t)
		if told := len(slack.told()); told < 2 || values[`questwatch_alert_deliveries_total{channel="webhook",result="failed"}`] < 1 {
			return fmt.Errorf("%d notices to Slack", told)
		}
		return nil
	})
	if len(wrong.tried) > 0 {
		t.Errorf("told to nobody knows whom: %+v", wrong.kinds())
	}
	r.stop(t)
	c = alerting(t, c, webhookAt(right))
	r = start(t, c, dsn)
	right.tells(t, quest)
	right.toldBaseline(t)
	right.onceEach(t, 0)
}

// TestFullEventsStream: what cannot be stored is told when there is room.
func TestFullEventsStream(t *testing.T) {
	t.Parallel()
	h, server := listen(t, httptest.NewServer), testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, alerting(t, outside(t, dsn, server), webhookAt(h)), dsn)
	r.ready(t)
	h.tells(t, fail(t, dsn))
	limit := func(full bool) {
		withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, "QUESTWATCH_EVENTS")
			if err != nil {
				return err
			}
			c := stream.CachedInfo().Config
			c.Discard, c.MaxMsgs = jetstream.DiscardOld, -1
			if full {
				c.Discard, c.MaxMsgs = jetstream.DiscardNew, int64(stream.CachedInfo().State.Msgs)
			}
			_, err = js.UpdateStream(ctx, c)
			return err
		})
	}
	limit(true)
	quest := fail(t, dsn)
	r.notReady(t)
	if wantKinds(h, "drift.opened", quest) == nil {
		t.Error("told although nothing could be stored")
	}
	limit(false)
	h.tells(t, quest)
	h.onceEach(t, 0)
}

// TestAlertsOfAFlood: ten thousand at once are a few notices to people, which count all.
func TestAlertsOfAFlood(t *testing.T) {
	t.Parallel()
	slack, dsn := listen(t, httptest.NewServer), testkit.Database(t, testkit.LoadAudit001)
	c := alerting(t, settings(t, dsn), "QUESTWATCH_ALERT_SLACK_URL="+slack.url, "QUESTWATCH_ALERT_SLACK_GROUP_FOR=5s",
		"QUESTWATCH_ALERT_SLACK_SEVERITY=critical")
	r := start(t, c, dsn)
	r.ready(t)
	from := time.Now()
	const batches = 10
	for range batches {
		exec1(t, dsn, fmt.Sprintf(fails, 1000))
	}
	counted := regexp.MustCompile(`(\d+) new`)
	testkit.Eventually(t, 4*time.Minute, func() error {
		total := 0
		for _, p := range slack.told() {
			var m struct {
				Blocks []struct{ Text struct{ Text string } }
			}
			if err := json.Unmarshal(p.body, &m); err != nil || len(m.Blocks) == 0 {
				t.Fatalf("%v: %s", err, p.body)
			}
			n := 1
			if many := counted.FindStringSubmatch(m.Blocks[0].Text.Text); many != nil {
				n, _ = strconv.Atoi(many[1])
			}
			total += n
		}
		if total != 1000*batches {
			return fmt.Errorf("%d were told", total)
		}
		return nil
	})
	notices, most := len(slack.told()), int(time.Since(from)/(5*time.Second))+1
	t.Logf("%d findings are %d notices", 1000*batches, notices)
	if notices > most {
		t.Errorf("%d notices, want %d at most", notices, most)
	}
}
