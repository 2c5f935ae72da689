package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestTriesAnAlert(t *testing.T) {
	status := http.StatusOK
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Header.Get("Webhook-Signature")[:3] + string(body)
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	refused(t, command(t, "alert", "test", "webhook"), exitUsage, "no channel of alerts is set up")
	t.Setenv("QUESTWATCH_ALERT_WEBHOOK_URL", s.URL+"/geheim")
	t.Setenv("QUESTWATCH_ALERT_WEBHOOK_SECRET", "a secret")
	refused(t, command(t, "alert", "test", "pager"), exitUsage, `no channel "pager" is set up: there is webhook`)
	refused(t, command(t, "alert", "test"), exitUsage, "say which ")

	out := command(t, "alert", "test", "webhook")
	if out.status != exitFine || !strings.HasPrefix(out.stdout, "webhook has taken a test, in ") || !strings.HasSuffix(out.stdout, "s: 200 OK\n") {
		t.Errorf("%+v", out)
	}
	if !strings.HasPrefix(got, "v1,") || !strings.Contains(got, `"type":"dev.questwatch.alert.test.v1"`) {
		t.Errorf("sent %q", got)
	}
	if out := command(t, "alert", "test", "webhook", "--output", "json"); !strings.HasPrefix(out.stdout, `{"answer":"200 OK","channel":"webhook","took_ms":`) {
		t.Errorf("%+v", out)
	}
	status = http.StatusForbidden
	out = command(t, "alert", "test", "webhook")
	refused(t, out, exitFailure, "the answer is 403 Forbidden")
	if text := fmt.Sprint(out); strings.Contains(text, "geheim") || strings.Contains(text, "a secret") {
		t.Errorf("it tells a secret: %s", text)
	}
}

func TestSilenceThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--for", "1h"}, "wants a rule, a quest or a user"},
		{[]string{"--quest", "1"}, "wants an end"},
		{[]string{"--quest", "1", "--for", "721h"}, "at most 30 days ahead"},
		{[]string{"--quest", "-5", "--for", "1h"}, "no quest has the id -5"},
		{[]string{"--quest", "one", "--for", "1h"}, "want a whole number"},
		{[]string{"--rule", "no_such", "--for", "1h"}, "no_such"},
	} {
		refused(t, command(t, append([]string{"alert", "silence"}, c.args...)...), exitUsage, c.says)
	}
	refused(t, command(t, "alert", "silence", "--quest", "1", "--for", "1h", "--data", t.TempDir()), exitFailure, "start questwatch run")
}

// TestSilenceSaysWhatItCovers: whoever silences learns at once whether that is what he
// meant.
func TestSilenceSaysWhatItCovers(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, data := instance(t, dsn)
	openFindings(t, a, 5)
	const student2 = "22222222-2222-4222-8222-222222222222"
	silence := func(args ...string) outcome {
		return command(t, append([]string{"alert", "silence", "--for", "1h", "--data", data}, args...)...)
	}
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"--quest", "1"}, []string{"It covers 1 of the 5 findings that are open now."}},
		{[]string{"--rule", "missing_participant"}, []string{"It covers 3 of the 5 findings"}},
		{[]string{"--quest", "99999"}, []string{"It matches nothing that is open now (5 findings are); it will hold for what comes."}},
		{[]string{"--user", student2}, []string{"It covers 2 of the 5 findings"}},
		{[]string{"--user", "student2", "--dsn", dsn}, []string{"  user " + student2 + " until", "student2 is the user " + student2 + ".", "It covers 2 of the 5 findings"}},
		{[]string{"--user", "483AB258-E434-44F3-9DA2-73409DD55F55", "--dsn", dsn}, []string{"  user 483ab258-e434", "It matches nothing that is open now"}},
		{[]string{"--user", "88888888-8888-4888-8888-888888888888"}, []string{"It matches nothing that is open now"}},
	} {
		out := silence(c.args...)
		for _, text := range c.says {
			if out.status != exitFine || !strings.Contains(out.stdout, text) {
				t.Errorf("%q: there is no %q in %+v", c.args, text, out)
			}
		}
	}
	refused(t, silence("--user", "nobody", "--dsn", dsn), exitUsage, `no user has the name or the id "nobody"`)
	refused(t, silence("--user", "student2"), exitUsage, "no database is named", "or give the user's id")
	refused(t, silence("--user", "student2", "--dsn", "postgres://nobody@127.0.0.1:1/none"), exitFailure, `look up who is called "student2"`, "or give the user's id")
	if out := silence("--quest", "2", "--output", "json"); !strings.Contains(out.stdout, `"open_findings":5,"open_covered":1}`) {
		t.Errorf("%+v", out)
	}
	if out := command(t, "alert", "silences", "--data", data); strings.Count(out.stdout, "\n") != 8 {
		t.Errorf("refused ones are kept, or others are not: %+v", out)
	}
}
