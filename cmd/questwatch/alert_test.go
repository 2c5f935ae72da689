package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
	if out.status != exitFine || !strings.HasPrefix(out.stdout, "webhook has taken a test, in ") {
		t.Errorf("%+v", out)
	}
	if !strings.HasPrefix(got, "v1,") || !strings.Contains(got, `"type":"dev.questwatch.alert.test.v1"`) {
		t.Errorf("sent %q", got)
	}
	if out := command(t, "alert", "test", "webhook", "--output", "json"); !strings.HasPrefix(out.stdout, `{"channel":"webhook","took_ms":`) {
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
