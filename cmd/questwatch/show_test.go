package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/testkit"
)

// instance runs the program on a database until the test ends.
func instance(t *testing.T, dsn string) (a *app.App, data string) {
	t.Helper()
	a, data, _ = startInstance(t, dsn)
	return a, data
}

func startInstance(t *testing.T, dsn string) (a *app.App, data string, stop func()) {
	t.Helper()
	c := config.Default()
	c.Data, c.HTTP.Listen, c.NATS.Listen, c.Postgres.DSN = filepath.Join(t.TempDir(), "data"), "", "127.0.0.1:0", dsn
	c.Postgres.Slot = fmt.Sprintf("show_%d", time.Now().UnixNano())
	c.Rules.MissingParticipant.Grace = 0
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	a, err := app.New(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, true) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	return a, c.Data, stop
}

// TestWhatIsAskedAbout: commands take the same beginnings of ids, and people's names where
// the database can be read.
func TestWhatIsAskedAbout(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, data := instance(t, dsn)
	ids := openFindings(t, a, 5)
	for _, line := range []string{"show finding", "incident", "repair show", "repair apply"} {
		got := command(t, append(strings.Fields(line), "--data", data, ids[1][:5])...)
		refused(t, got, exitUsage, fmt.Sprintf("%q is no finding's id: want 20 hexadecimal digits, or at least the first 6 of them", ids[1][:5]))
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		got := command(t, "repair", "show", "--data", data, strings.ToUpper(ids[1][:6])+" ")
		if got.status != exitFine || !strings.Contains(got.stdout, ids[1]) {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	if got := command(t, "repair", "list", "--data", data, "--rule", "idle_in_progress"); got.status != exitFine || got.stdout != "No such finding is open.\n" {
		t.Errorf("%+v", got)
	}
	tail := []string{"tail", "--data", data, "--since", "1d", "--no-follow", "--rule", "missing_participant", "--user"}
	for who, lines := range map[string]int{"student2": 2, "22222222-2222-4222-8222-222222222222": 2, "student3": 1} {
		if got := command(t, append(tail, who, "--dsn", dsn)...); got.status != exitFine || strings.Count(got.stdout, "\n") != lines {
			t.Errorf("%s: want %d lines: %+v", who, lines, got)
		}
	}
	refused(t, command(t, append(tail, "student2")...), exitUsage, `look up who is called "student2": no database is named`, "--dsn URL", "give the user's id", "see questwatch tail --help")
	refused(t, command(t, append(tail, "nobody", "--dsn", dsn)...), exitUsage, `no user has the name or the id "nobody"`)
	refused(t, command(t, append(tail, "")...), exitUsage, "--user is empty")
}

// openFindings waits for so many, and returns their ids by quest.
func openFindings(t *testing.T, a *app.App, want int) map[int64]string {
	t.Helper()
	ids := map[int64]string{}
	testkit.Eventually(t, 20*time.Second, func() error {
		keys, err := a.Bus().Findings().Keys(t.Context())
		if err != nil || len(keys) < want {
			return fmt.Errorf("open findings: %q, %w", keys, err)
		}
		for _, key := range keys {
			entry, err := a.Bus().Findings().Get(t.Context(), key)
			if err != nil {
				return err
			}
			var f struct {
				Quest int64 `json:"quest_id"`
			}
			if err := json.Unmarshal(entry.Value, &f); err != nil {
				return err
			}
			ids[f.Quest] = key
		}
		return nil
	})
	return ids
}

func TestShowFinding(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadAudit001)
	execute(t, dsn, `UPDATE users_user SET username = E'\x1b[31mstudent3' WHERE username = 'student3';
		UPDATE quests_quest SET title = E'a\u202eb\nc' WHERE id = 3`)
	a, data := instance(t, dsn)
	ids := openFindings(t, a, 5)
	one := ids[1]

	got := command(t, with(dsn, "show", "finding", one, "--data", data)...)
	if got.status != exitFine || !strings.Contains(got.stdout, "Approved application 1 of student2 has no participant") || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	byPrefix := command(t, with(dsn, "show", "finding", one[:8], "--data", data)...)
	if byPrefix != got {
		t.Errorf("by its first digits: %+v", byPrefix)
	}
	hostile := command(t, with(dsn, "show", "finding", ids[3]+".opened", "--data", data)...)
	if strings.ContainsAny(hostile.stdout, "\x1b\u202e") || !strings.Contains(hostile.stdout, `user \x1b[31mstudent3, 33333333`) {
		t.Errorf("hostile texts: %q", hostile.stdout)
	}
	asJSON := command(t, with(dsn, "show", "finding", ids[3], "--data", data, "--output", "json")...)
	var e struct {
		Finding struct {
			Title string `json:"quest_title"`
		}
		Transactions []any
	}
	if err := json.Unmarshal([]byte(asJSON.stdout), &e); err != nil || e.Finding.Title != "a\u202eb\nc" || len(e.Transactions) != 1 {
		t.Errorf("JSON: %v, %+v", err, asJSON)
	}
	if strings.ContainsAny(asJSON.stdout, "\x1b\u202e") || strings.Count(asJSON.stdout, "\n") != 1 {
		t.Errorf("JSON: %q", asJSON.stdout)
	}
	nameless := command(t, "show", "finding", one, "--data", data)
	if nameless.status != exitFine || !strings.Contains(nameless.stdout, "user 22222222-2222-4222-8222-222222222222\n") {
		t.Errorf("without a database: %+v", nameless)
	}

	refused(t, command(t, "show", "finding", "ffffff", "--data", data), exitFailure, "no such finding", "nats kv ls questwatch-findings")
	refused(t, command(t, "show", "finding", one, "--data", data, "--namespace", "other"), exitFailure, "questwatch run")
	refused(t, command(t, "show", "finding", one, "--data", t.TempDir()), exitFailure, "no instance runs", "--data DIR")
	refused(t, command(t, "show", "finding", one, "--nats", "nats://u:"+secret+"@127.0.0.1:1"), exitFailure, "no nats server is reachable")
}

func TestShowUsage(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"nothing":        {[]string{"finding"}, "say which finding"},
		"two":            {[]string{"finding", "abcdef", "abcdef"}, "and nothing else"},
		"unknown thing":  {[]string{"everything"}, "unknown command"},
		"short id":       {[]string{"finding", "abc"}, "at least the first 6"},
		"no id":          {[]string{"finding", "../../etc"}, "no finding's id"},
		"format":         {[]string{"finding", "abcdef", "--output", "html"}, "--output"},
		"no limit":       {[]string{"finding", "abcdef", "--limit", "0"}, "--limit"},
		"too much":       {[]string{"finding", "abcdef", "--limit", "1000000"}, "--limit"},
		"finding's help": {[]string{"finding", "abc"}, "see questwatch show finding --help"},
		"show's help":    {[]string{"everything"}, "see questwatch show --help"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, command(t, append([]string{"show"}, test.args...)...), exitUsage, test.says)
		})
	}
	if got := command(t, "show"); got.status != exitFine || !strings.Contains(got.stdout, "show finding") {
		t.Errorf("show alone: %+v", got)
	}
}
