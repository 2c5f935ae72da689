package alert

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

// TestTry: whoever tries a channel out learns what the other side answered.
func TestTry(t *testing.T) {
	var log bytes.Buffer
	runs, _ := command(t, `printf 'paged \033[2Jbob\nand ann\n'`, &log)
	quiet, _ := command(t, "exit 0", &log)
	taken := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	sink := testkit.NewMailSink(t, false, func(command, _ string) string {
		if command == "." {
			return "250-2.0.0 Ok\n250 queued as 4bXYZ"
		}
		return ""
	})
	hook, err := NewWebhook(taken, "")
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]Channel{
		"204 No Content": hook,
		`exit status 0, and it said: paged \x1b[2Jbob and ann`: runs,
		"exit status 0":                quiet,
		"250 2.0.0 Ok queued as 4bXYZ": mailTo(t, sink),
	} {
		if answer, err := Try(t.Context(), "questwatch", &Outlet{Name: "one", Channel: c}); err != nil || answer != want {
			t.Errorf("%q, %v; want %q", answer, err, want)
		}
	}
	var refusal *Refusal
	_, err = Try(t.Context(), "questwatch", &Outlet{Name: "one", Channel: NewSlack(server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))})
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "the answer is 403 Forbidden") {
		t.Error(err)
	}
}
