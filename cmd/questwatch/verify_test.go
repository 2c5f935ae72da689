package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/testkit"
)

// runBeside runs an instance until the test's end and returns its data directory.
func runBeside(t *testing.T, dsn string) (data string) {
	t.Helper()
	args, data := runArgs(t, dsn, "--log-level", "error")
	ctx, cancel := context.WithCancel(t.Context())
	cmd := root()
	cmd.SetArgs(args)
	var out, errs strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v\n%s", err, errs.String())
		}
	})
	return data
}

// verifying runs questwatch verify until an instance is there and ready.
func verifying(t *testing.T, args ...string) (got outcome) {
	t.Helper()
	testkit.Eventually(t, 60*time.Second, func() error {
		got = command(t, append([]string{"verify"}, args...)...)
		if got.status == exitFailure {
			return errors.New(got.stderr)
		}
		return nil
	})
	return got
}

func TestVerify(t *testing.T) {
	// A transaction that is open elsewhere in the cluster would leave it undecided.
	dsn := testkit.NewCluster(t, testkit.PostgresOptions{}).DSN("postgres")
	if err := errors.Join(testkit.LoadSchema(t.Context(), dsn), testkit.LoadAudit001(t.Context(), dsn)); err != nil {
		t.Fatal(err)
	}
	data := runBeside(t, dsn)
	got := verifying(t, "--data", data)
	if got.status != exitFine || !strings.HasPrefix(got.stdout, "The state equals the database: 11 quests.\n") || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	got = verifying(t, "--data", data, "--output", "json")
	var r verify.Result
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || strings.Count(got.stdout, "\n") != 1 {
		t.Fatalf("%v in %q", err, got.stdout)
	}
	if got.status != exitFine || r.Quests != 11 || r.Ranges != 1 || r.Rounds != 1 || r.Position.LSN == 0 || r.Position.Sequence == 0 || !strings.Contains(got.stdout, `"mismatches":[]`) {
		t.Errorf("status %d: %s", got.status, got.stdout)
	}
	// The database loses a row and does not say so.
	execute(t, dsn, `CREATE EXTENSION pg_surgery`)
	execute(t, dsn, `SELECT heap_force_kill('quests_questparticipant', ARRAY(SELECT ctid FROM quests_questparticipant WHERE id = 3))`)
	got = verifying(t, "--data", data)
	if got.status != exitFindings || !strings.Contains(got.stdout, "quest 6: participant 3 row: absent in the database, present in the state") {
		t.Errorf("%+v", got)
	}
	// A new baseline comes by itself.
	testkit.Eventually(t, 60*time.Second, func() error {
		if got := command(t, "verify", "--data", data); got.status != exitFine {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}

// With nobody to ask it says what to do.
func TestVerifyWithoutInstance(t *testing.T) {
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	nobody := filepath.Join(t.TempDir(), "none")
	for name, test := range map[string]struct {
		args   []string
		status int
		says   []string
	}{
		"no data":       {[]string{"--data", nobody}, exitFailure, []string{nobody, "no instance runs", "questwatch run"}},
		"no server":     {[]string{"--nats", "nats://me:" + secret + "@127.0.0.1:1"}, exitFailure, []string{"no nats server is reachable"}},
		"no instance":   {[]string{"--nats", server.URL()}, exitFailure, []string{"no running instance answers", "questwatch run", "--namespace"}},
		"bad output":    {[]string{"--output", "xml"}, exitUsage, []string{"want text or json", "questwatch verify --help"}},
		"bad namespace": {[]string{"--namespace", "A B"}, exitUsage, []string{"namespace"}},
		"argument":      {[]string{"now"}, exitUsage, []string{"unknown command", "questwatch verify --help"}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, command(t, append([]string{"verify"}, test.args...)...), test.status, test.says...)
		})
	}
}
