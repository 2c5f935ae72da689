package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/testkit"
)

// hook is a service that takes alerts, at an address that stays the same while it is down.
type hook struct {
	addr string

	mu    sync.Mutex
	posts []post
	// answer says what becomes of the post with a number, from 1 on: a status, or 0 for
	// none as long as the other side waits. nil takes everything.
	answer func(n int) int
}

// post is what came in one try.
type post struct {
	id     string
	kind   string // of the event, without the namespace and version
	body   string
	signed string // what the signature is over
	mac    string
	at     time.Time
	status int
}

func newHook(t testing.TB) *hook {
	t.Helper()
	h := &hook{addr: "127.0.0.1:0"}
	t.Cleanup(h.up(t))
	return h
}

func (h *hook) url() string { return "http://" + h.addr + "/alerts" }

// up listens until the function that it returns is called.
func (h *hook) up(t testing.TB) (down func()) {
	t.Helper()
	l, err := net.Listen("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	return sync.OnceFunc(s.Close)
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var e struct {
		Type string `json:"type"`
	}
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	kind := strings.TrimSuffix(strings.TrimPrefix(e.Type, "dev.questwatch."), ".v1")
	id, at := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	h.mu.Lock()
	status := http.StatusNoContent
	if h.answer != nil {
		status = h.answer(len(h.posts) + 1)
	}
	h.posts = append(h.posts, post{
		id: id, kind: kind, body: string(body), at: time.Now(), status: status,
		signed: id + "." + at + "." + string(body), mac: r.Header.Get("Webhook-Signature"),
	})
	h.mu.Unlock()
	if status == 0 {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
}

func (h *hook) all() []post {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.posts)
}

func (h *hook) answers(fn func(n int) int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = fn
}

func (h *hook) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.posts = nil
}

// taken counts what was taken, by the event's id.
func (h *hook) taken() map[string]int {
	counts := map[string]int{}
	for _, p := range h.all() {
		if p.status/100 == 2 {
			counts[p.id]++
		}
	}
	return counts
}

// waitFor waits until the newest post of a kind about a quest has been taken.
func (h *hook) waitFor(t testing.TB, kind string, quest int) (found post) {
	t.Helper()
	about := fmt.Sprintf(`"quest_id":%d,`, quest)
	testkit.Eventually(t, 40*time.Second, func() error {
		for _, p := range slices.Backward(h.all()) {
			if p.kind == kind && p.status/100 == 2 && strings.Contains(p.body, about) {
				found = p
				return nil
			}
		}
		return fmt.Errorf("no %s of quest %d was told", kind, quest)
	})
	return found
}

func (h *hook) waitForBaseline(t testing.TB) {
	t.Helper()
	testkit.Eventually(t, 40*time.Second, func() error {
		for _, p := range h.all() {
			if p.kind == "drift.baseline" {
				return nil
			}
		}
		return errors.New("no summary of the baseline")
	})
}

// toldAll waits until every failure that the program has found is told, and checks that
// none was told more often than so many times.
func (h *hook) toldAll(t *testing.T, r *running, atMost int) (told int) {
	t.Helper()
	for id, f := range r.findings(t) {
		if f.Origin != "stream" || f.Severity.String() == "info" {
			continue
		}
		told++
		testkit.Eventually(t, 90*time.Second, func() error { // the longest pause between tries is a minute
			if h.taken()[id+".opened"] == 0 {
				return fmt.Errorf("finding %s was not told", id)
			}
			return nil
		})
	}
	for id, n := range h.taken() {
		if n > atMost {
			t.Errorf("event %s was told %d times", id, n)
		}
	}
	return told
}

// failIn has an approval fail in a quest.
func failIn(t testing.TB, dsn string, quests ...int) {
	t.Helper()
	for _, quest := range quests {
		exec1(t, dsn, fmt.Sprintf(`INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
			VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', %d)`, quest))
	}
}

// TestAlerts: the baseline is told in one summary; a failed approval as it was found,
// signed, and again when it is over.
func TestAlerts(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := settings(t, dsn)
	c.Alert.Webhook.URL, c.Alert.Webhook.Secret = h.url(), "a secret"
	r := start(t, c, dsn)
	r.ready(t)
	h.waitForBaseline(t)
	committed := time.Now()
	failIn(t, dsn, 105)
	opened := h.waitFor(t, "drift.opened", 105)
	t.Logf("an approval failure was told %v after its commit, with a grace of 1 s", opened.at.Sub(committed).Round(time.Millisecond))
	h.waitFor(t, "approval.failed", 105)
	exec1(t, dsn, `DELETE FROM applications_application WHERE quest_id = 105 AND status = 'approved'`)
	h.waitFor(t, "drift.resolved", 105)

	var kinds []string
	for _, p := range h.all() {
		kinds = append(kinds, p.kind)
		mac := hmac.New(sha256.New, []byte("a secret"))
		mac.Write([]byte(p.signed))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); p.mac != want {
			t.Errorf("%s is signed %q, want %q", p.kind, p.mac, want)
		}
		stored := ""
		err := r.Bus().ConsumeEvents(t.Context(), nil, 0, func(m bus.Message) error {
			if strings.Contains(string(m.Data), `"id":"`+p.id+`"`) {
				stored = string(m.Data)
			}
			return nil
		}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
		if !errors.Is(err, errCaughtUp) {
			t.Fatal(err)
		}
		if stored != p.body {
			t.Errorf("told\n%s\nand the stream has\n%s", p.body, stored)
		}
	}
	slices.Sort(kinds)
	if want := []string{"approval.failed", "drift.baseline", "drift.opened", "drift.resolved"}; !slices.Equal(kinds, want) {
		t.Errorf("told %q, want %q", kinds, want)
	}
	r.wantSeries(t, map[string]float64{
		`questwatch_alert_deliveries_total{channel="webhook",result="sent"}`: 4,
		`questwatch_alert_events_total{channel="webhook"}`:                   4,
	})
}

// TestAlertsAfterCrashes: whenever the program dies, also while the other side has a
// notice and has not answered, everything is told, and nothing more than once for each
// crash.
func TestAlertsAfterCrashes(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := settings(t, dsn)
	c.Alert.Webhook.URL = h.url()
	h.answers(func(n int) int {
		if n%3 == 2 {
			return 0 // it has it, and says nothing
		}
		return http.StatusOK
	})
	const crashes = 3
	quest := 105
	for range crashes {
		p := spawn(t, c)
		p.says(t, "caught up with the stream")
		before := len(h.all())
		quest++
		failIn(t, dsn, quest)
		testkit.Eventually(t, 60*time.Second, func() error {
			for _, p := range h.all()[before:] {
				if p.status == 0 {
					return nil
				}
			}
			if posts := h.all(); len(posts) == before {
				return errors.New("nothing was told")
			}
			return errors.New("all was answered")
		})
		p.kill()
	}
	h.answers(nil)
	r := start(t, c, dsn)
	r.ready(t)
	failIn(t, dsn, 105)
	h.waitFor(t, "drift.opened", 105)
	if told := h.toldAll(t, r, 1+crashes); told < crashes+1 {
		t.Errorf("%d findings", told)
	}
}

// TestAlertsAcrossOutages: neither the channel nor the server of the stream is needed when
// something fails: it is told when both are there again.
func TestAlertsAcrossOutages(t *testing.T) {
	t.Parallel()
	h := &hook{addr: "127.0.0.1:0"}
	down := h.up(t)
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := outside(t, dsn, server)
	c.Alert.Webhook.URL = h.url()
	r := start(t, c, dsn)
	r.ready(t)
	h.waitForBaseline(t) // what is under way when the channel goes down is told again
	failIn(t, dsn, 101)
	h.waitFor(t, "drift.opened", 101)
	h.waitFor(t, "approval.failed", 101)

	down()
	failIn(t, dsn, 102)
	r.found(t, "missing_participant", 102, false)
	t.Cleanup(h.up(t))
	h.waitFor(t, "drift.opened", 102)
	h.waitFor(t, "approval.failed", 102)

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	failIn(t, dsn, 103)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	h.waitFor(t, "drift.opened", 103)

	// What the server says: not now, too much, and no.
	h.answers(func(int) int { return http.StatusInternalServerError })
	failIn(t, dsn, 104)
	testkit.Eventually(t, 40*time.Second, func() error {
		if last := h.all(); last[len(last)-1].status != http.StatusInternalServerError {
			return errors.New("it was not tried")
		}
		return nil
	})
	h.answers(nil)
	h.waitFor(t, "drift.opened", 104)
	h.toldAll(t, r, 1)
}

// TestRefusedAlert: what the other side will never take is told in an event.
func TestRefusedAlert(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	h.answers(func(int) int { return http.StatusUnprocessableEntity })
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := settings(t, dsn)
	c.Alert.Webhook.URL = h.url()
	r := start(t, c, dsn)
	r.ready(t)
	failIn(t, dsn, 105)
	id := r.found(t, "missing_participant", 105, false)
	testkit.Eventually(t, 20*time.Second, func() error {
		for _, e := range eventsOn(t, r, "alert.undelivered.webhook.>") {
			if text := string(e.Data); strings.Contains(text, id+".opened") && strings.Contains(text, "422") && !strings.Contains(text, "/alerts") {
				return nil
			}
		}
		return errors.New("nothing says what was not told")
	})
}

// TestAlertsOfTheNextInstance: who takes over goes on where the other one stopped.
func TestAlertsOfTheNextInstance(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := outside(t, dsn, server)
	c.Alert.Webhook.URL = h.url()
	first := spawn(t, c)
	first.says(t, "caught up with the stream")
	c.Data = t.TempDir()
	second := start(t, c, dsn)
	failIn(t, dsn, 101)
	h.waitFor(t, "drift.opened", 101)
	failIn(t, dsn, 102)
	first.kill()
	h.waitFor(t, "drift.opened", 102)
	failIn(t, dsn, 103)
	h.waitFor(t, "drift.opened", 103)
	h.toldAll(t, second, 2)
}

// TestAlertsOfANewStream: somebody deletes the events; what comes after is told.
func TestAlertsOfANewStream(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := outside(t, dsn, server)
	c.Alert.Webhook.URL = h.url()
	r := start(t, c, dsn)
	r.ready(t)
	failIn(t, dsn, 101)
	h.waitFor(t, "drift.opened", 101)
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		events, err := js.Stream(ctx, "QUESTWATCH_EVENTS")
		if err == nil {
			err = js.DeleteStream(ctx, "QUESTWATCH_EVENTS")
		}
		if err == nil {
			_, err = js.CreateStream(ctx, events.CachedInfo().Config)
		}
		return err
	})
	failIn(t, dsn, 102)
	h.waitFor(t, "drift.opened", 102)
}

// BenchmarkAlert measures from just before the commit of a failed approval to its alert at a webhook,
// the grace of a second taken off.
func BenchmarkAlert(b *testing.B) {
	h := newHook(b)
	dsn := testkit.Database(b, testkit.LoadAudit001, evidenceQuests)
	c := settings(b, dsn)
	c.Alert.Webhook.URL = h.url()
	start(b, c, dsn).ready(b)
	var took []time.Duration
	for b.Loop() {
		committed := time.Now() // at the latest
		failIn(b, dsn, 101)
		took = append(took, h.waitFor(b, "drift.opened", 101).at.Sub(committed)-time.Second)
		exec1(b, dsn, `DELETE FROM applications_application WHERE quest_id = 101 AND status = 'approved'`)
		h.waitFor(b, "drift.resolved", 101)
		h.forget()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
