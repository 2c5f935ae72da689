package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// firings is an Alertmanager as far as it remembers what was told last of a quest.
type firings struct {
	mu    sync.Mutex
	ends  map[string]time.Time // by quest
	posts int
}

func (f *firings) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var list []struct {
		Labels map[string]string
		EndsAt time.Time
	}
	_ = json.NewDecoder(r.Body).Decode(&list) // of what is not decoded nothing is remembered
	f.mu.Lock()
	defer f.mu.Unlock()
	f.posts++
	for _, a := range list {
		f.ends[a.Labels["alertname"]+" "+a.Labels["quest"]] = a.EndsAt
	}
}

// fires reports whether an alert does now.
func (f *firings) fires(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Before(f.ends[what])
}

// TestAlertsOverAllChannels: a failed approval reaches a mailbox, an Alertmanager, a
// program and a chat in somebody's own words; it fires over a restart, until it is over.
func TestAlertsOverAllChannels(t *testing.T) {
	t.Parallel()
	box := testkit.NewMailSink(t, false, nil)
	am := &firings{ends: map[string]time.Time{}}
	manager := httptest.NewServer(am)
	t.Cleanup(manager.Close)
	var mu sync.Mutex
	chatted := ""
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct{ Content string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		defer mu.Unlock()
		chatted += body.Content + "\n"
	}))
	t.Cleanup(chat.Close)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	paged := filepath.Join(dir, "paged")

	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := settings(t, dsn)
	a := &c.Alert
	a.Email.Host, a.Email.Port, a.Email.CAFile = box.Host, box.Port, file("ca.pem", string(box.CA))
	a.Email.From, a.Email.To, a.Email.GroupFor = "questwatch@example.org", "ops@example.org", time.Second
	a.Alertmanager.URL, a.Alertmanager.Resend = manager.URL, time.Second
	a.Command.Command, a.Command.GroupFor = []string{"sh", "-c", `cat >>"$0"`, paged}, 0
	a.Discord.URL, a.Discord.GroupFor = chat.URL, time.Second
	a.Discord.Template = file("chat.tmpl", `{{range .Lines}}{{if eq .Kind "drift.opened"}}look at {{.Quest}}, {{.User}}!{{else}}{{.Text}}{{end}}{{"\n"}}{{end}}`)
	r := start(t, c, dsn)
	r.ready(t)
	committed := time.Now()
	failIn(t, dsn, 105)
	arrived := func(name string, there func() bool) {
		t.Helper()
		testkit.Eventually(t, 40*time.Second, func() error {
			if !there() {
				return fmt.Errorf("%s was not told", name)
			}
			return nil
		})
		t.Logf("%s after %v, with a grace of 1 s", name, time.Since(committed).Round(10*time.Millisecond))
	}
	mailed := func(words string) func() bool {
		return func() bool {
			for _, m := range box.Taken() {
				if text := strings.ReplaceAll(m.Text, "=\n", ""); m.Safe && strings.Contains(text, words) && strings.Contains(text, "in quest 105") {
					return true
				}
			}
			return false
		}
	}
	const alert = "QuestwatchMissingParticipant 105"
	arrived("the Alertmanager", func() bool { return am.fires(alert) })
	arrived("the mailbox", mailed("critical: missing_participant"))
	arrived("the program", func() bool {
		text, err := os.ReadFile(paged)
		return err == nil && strings.Contains(string(text), `"kind":"drift.opened"`) && strings.Contains(string(text), `"quest_id":105`)
	})
	arrived("the chat", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(chatted, "look at 105, ")
	})

	r.stop(t)
	testkit.Eventually(t, 20*time.Second, func() error {
		if am.fires(alert) {
			return fmt.Errorf("with nobody to repeat it, %s fires", alert)
		}
		return nil
	})
	r = start(t, c, dsn)
	r.ready(t)
	arrived("the Alertmanager, once more,", func() bool { return am.fires(alert) })
	endIn(t, dsn, 105)
	arrived("the end", func() bool { return !am.fires(alert) })
	arrived("the end, to the mailbox,", mailed("over: missing_participant"))
	if am.fires(alert) {
		t.Errorf("%s fires again", alert)
	}
	if n := len(box.Taken()); n > 4 {
		t.Errorf("%d mails", n)
	}
}
