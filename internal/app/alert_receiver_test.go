package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
)

// delivery is what came over a webhook.
type delivery struct {
	event  event.Event
	header http.Header
	body   []byte
	at     time.Time
}

// receiver is the other side of a webhook.
type receiver struct {
	url string

	mu    sync.Mutex
	tried []delivery
	taken []delivery
	// answer is asked whether to take a post, which counts from 1. Where it does not, it
	// has answered.
	answer func(w http.ResponseWriter, r *http.Request, try int, p *delivery) (take bool)
}

// listen makes a receiver that takes everything; with TLS its certificate is nobody's.
func listen(t testing.TB, begin func(http.Handler) *httptest.Server) *receiver {
	t.Helper()
	h := &receiver{}
	server := begin(h)
	t.Cleanup(server.Close)
	h.url = server.URL + "/hook"
	return h
}

func (h *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := delivery{header: r.Header, at: time.Now()}
	p.body, _ = io.ReadAll(r.Body)
	p.event, _ = event.Parse(p.body) // what it is not is seen in the tests
	h.mu.Lock()
	h.tried = append(h.tried, p)
	try, answer := len(h.tried), h.answer
	h.mu.Unlock()
	if answer != nil && !answer(w, r, try, &p) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = append(h.taken, p)
}

func (h *receiver) told() []delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]delivery(nil), h.taken...)
}

// kinds counts what was told by group, what and quest.
func (h *receiver) kinds() map[string]int {
	kinds := map[string]int{}
	for _, p := range h.told() {
		kinds[fmt.Sprintf("%s.%s %d", p.event.Group, p.event.What, p.event.Quest)]++
	}
	return kinds
}

// tells waits until the failure of an approval has been told, and returns when that was.
func (h *receiver) tells(t testing.TB, quest int64) (at time.Time) {
	t.Helper()
	testkit.Eventually(t, 90*time.Second, func() error {
		kinds := h.kinds()
		if kinds[fmt.Sprintf("drift.opened %d", quest)] == 0 || kinds[fmt.Sprintf("approval.failed %d", quest)] == 0 {
			return fmt.Errorf("no failure of quest %d was told: %v", quest, kinds)
		}
		return nil
	})
	for _, p := range h.told() {
		if p.event.Quest == quest && p.event.Group == "approval" {
			return p.at
		}
	}
	return at
}

// toldBaseline waits for the summary of the baseline.
func (h *receiver) toldBaseline(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 60*time.Second, func() error {
		if h.kinds()["drift.baseline 0"] == 0 {
			return errors.New("no baseline was told")
		}
		return nil
	})
}

// onceEach fails where an event was told more often than crashes allow.
func (h *receiver) onceEach(t *testing.T, crashes int) {
	t.Helper()
	again, ids := 0, map[string]int{}
	for _, p := range h.told() {
		ids[p.event.ID]++
		if ids[p.event.ID] > 1 {
			again++
		}
		if ids[p.event.ID] > 2 {
			t.Errorf("%s was told %d times", p.event.ID, ids[p.event.ID])
		}
	}
	if again > crashes {
		t.Errorf("%d duplicates after %d crashes", again, crashes)
	}
}

// signed checks the signature as a receiver would.
func (p *delivery) signed(key string) error {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s.%s.%s", p.header.Get("Webhook-Id"), p.header.Get("Webhook-Timestamp"), p.body)
	if want, got := "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), p.header.Get("Webhook-Signature"); got != want {
		return fmt.Errorf("signature %q, want %q", got, want)
	}
	return nil
}

// fails makes quests whose approval has failed.
const fails = `WITH q AS (INSERT INTO quests_quest (title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at,
	updated_at, requirements, resources, slug, is_deleted, creator_id, category_id)
	SELECT 'q', 'd', 'initiate', 'open', 1, 0, 0, now(), now(), '', '', gen_random_uuid(), false, '483ab258-e434-44f3-9da2-73409dd55f55', 2
	FROM generate_series(1, %d) RETURNING id)
	INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
	SELECT 'approved', now(), '22222222-2222-4222-8222-222222222222', id FROM q RETURNING quest_id`

// fail makes one.
func fail(t testing.TB, dsn string) (quest int64) {
	t.Helper()
	query(t, dsn, fmt.Sprintf(fails, 1), &quest)
	return quest
}

// failIn has one fail in a quest where student2 has not applied, and endIn ends that.
func failIn(t testing.TB, dsn string, quest int) {
	t.Helper()
	exec1(t, dsn, fmt.Sprintf(`INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', %d)`, quest))
}

func endIn(t testing.TB, dsn string, quest int) {
	t.Helper()
	exec1(t, dsn, fmt.Sprintf("DELETE FROM applications_application WHERE quest_id = %d AND status = 'approved'", quest))
}
