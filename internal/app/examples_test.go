package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// TestSubscriberExamples runs the examples of a service: each hears of each failure once,
// also of those that come while it does not run.
func TestSubscriberExamples(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "subscriber")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../deploy/events/subscriber").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	fail := func(quest int) {
		t.Helper()
		exec1(t, dsn, fmt.Sprintf(`INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
			VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', %d)`, quest))
		r.found(t, "missing_participant", quest, false)
	}
	server, err := url.Parse(r.nats.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	examples := [][]string{
		{program, server.String()},
		{"python3", "../../deploy/events/subscriber/subscriber.py", server.Hostname(), server.Port()},
	}
	hears := func(example []string, want ...string) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		cmd := exec.CommandContext(ctx, example[0], example[1:]...)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		var heard lines
		cmd.Stdout = &heard
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			stop()
			if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("after Ctrl-C: %v", err)
			}
		}()
		testkit.Eventually(t, 20*time.Second, func() error {
			if got := strings.TrimSuffix(heard.String(), "\n"); got != strings.Join(want, "\n") {
				return fmt.Errorf("heard %q, want %q", got, want)
			}
			return nil
		})
	}
	fail(10)
	for _, example := range examples {
		hears(example, "warning: quest 1, unknown", "warning: quest 2, unknown", "warning: quest 3, unknown", "critical: quest 10, approval_failed")
	}
	fail(9)
	for _, example := range examples {
		hears(example, "critical: quest 9, approval_failed")
	}
}
