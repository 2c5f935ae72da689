package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestStatus(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, data := instance(t, dsn)
	openFindings(t, a, 5)
	var got outcome
	testkit.Eventually(t, 30*time.Second, func() error { // until it is ready and the first look at the slot is done
		if got = command(t, "status", "--data", data); got.status != exitFindings || !strings.Contains(got.stdout, "kept") {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	for _, want := range []string{
		`(?m)^instance    ready, streaming since [-0-9]+ [0-9:]+ \(\d+s ago\), `,
		`(?m)^database    test_\d+, slot show_\d+: [0-9.]+ MiB of log kept, [0-9.]+ MiB not confirmed$`,
		`(?m)^stream      [0-9.]+ s behind; 30 rows in 0 transactions since the start$`,
		`(?m)^            QUESTWATCH_CDC: \d+ messages, [0-9.]+ MiB$`,
		`(?m)^findings    5 open \(0 critical, 5 warning\)\n            missing_participant 3, unassigned 2$`,
		`(?m)^repair      plan; automatically: 0 applied, 0 skipped, 0 failed, 0 waiting$`,
		`(?m)^checkpoint  at message \d+, `,
		`(?m)^compared    `,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("there is no %s in\n%s", want, got.stdout)
		}
	}
	got = command(t, "status", "--data", data, "--output", "json")
	var s app.Status
	if err := json.Unmarshal([]byte(got.stdout), &s); err != nil || !s.Ready || s.Open["unassigned"] != 2 || s.Severe["warning"] != 5 || s.Rows != 30 {
		t.Errorf("%v: %+v", err, got)
	}
	if got := command(t, "setup", "--dsn", dsn); got.status != exitFine {
		t.Fatalf("%+v", got)
	}
	if got := command(t, "repair", "pause", "--dsn", dsn, "--actor", "ada", "--reason", "moving"); got.status != exitFine {
		t.Fatalf("%+v", got)
	}
	testkit.Eventually(t, 10*time.Second, func() error { // what the status says may be a moment old
		if got := command(t, "status", "--data", data); !regexp.MustCompile(`(?m)^repair      plan; .*; stopped: paused by ada .*moving`).MatchString(got.stdout) {
			return fmt.Errorf("the pause is not shown: %+v", got)
		}
		return nil
	})
	refused(t, command(t, "status", "--watch", "--output", "json"), exitUsage, "--watch is for people")
	refused(t, command(t, "status", "--data", t.TempDir()), exitFailure, "start questwatch run")
}
