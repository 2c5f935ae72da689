package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestReplayCheckCommand(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, data := instance(t, dsn)
	openFindings(t, a, 5)
	dir := t.TempDir()
	file := func(name, yaml string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	live := file("live.yaml", "rules:\n  missing_participant:\n    grace: 0s\n")
	got := command(t, "replay", "--check", "--data", data, "--config", live, "--output", "json")
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	var sums struct{ Changes, Events, Differences *int }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sums); err != nil {
		t.Fatal(err)
	}
	if got.status != 0 || len(lines) != 1 || *sums.Changes < 20 || *sums.Events < 6 || *sums.Differences != 0 {
		t.Errorf("%+v", got)
	}
	got = command(t, "replay", "--check", "--data", data, "--config", live)
	if got.status != 0 || !strings.HasPrefix(got.stdout, "What is found is what was found live: messages 1 to ") {
		t.Errorf("%+v", got)
	}
	off := file("off.yaml", "rules:\n  missing_participant:\n    grace: 0s\n  unassigned:\n    enabled: false\n")
	got = command(t, "replay", "--check", "--data", data, "--config", off)
	if got.status != 1 || !strings.Contains(got.stdout, "only live") || !strings.Contains(got.stdout, "drift.opened.unassigned.8") ||
		!strings.Contains(got.stdout, "changed") || !strings.Contains(got.stdout, "3 differences from what was found live") {
		t.Errorf("%+v", got)
	}
}

func TestReplayUsage(t *testing.T) {
	t.Parallel()
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for want, args := range map[string][]string{
		"give --check":          {},
		"--output is":           {"--check", "--output", "html"},
		"is in the future":      {"--check", "--from", future},
		"--to: \"1/2/3\" is no": {"--check", "--to", "1/2/3"},
		"the range is reversed": {"--check", "--from", "9", "--to", "8"},
		"does not end with":     {"--check", "--to", "baseline"},
		"is no time":            {"--check", "--from", "last week"},
	} {
		got := command(t, append([]string{"replay"}, args...)...)
		if got.status != exitUsage || !strings.Contains(got.stderr, want) || !strings.Contains(got.stderr, "questwatch replay --help") {
			t.Errorf("%q: %+v", args, got)
		}
	}
	empty := t.TempDir()
	if got := command(t, "replay", "--check", "--data", empty); got.status != exitFailure || !strings.Contains(got.stderr, "no instance runs") {
		t.Errorf("without an instance: %+v", got)
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) > 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

func TestShowQuestUsage(t *testing.T) {
	t.Parallel()
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for want, args := range map[string][]string{
		"is no quest's id":    {"x"},
		"\"0\" is no quest's": {"0"},
		"is in the future":    {"1", "--at", future},
		"is no position":      {"1", "--at", "0/x"},
		"is no moment":        {"1", "--at", "baseline"},
		"--limit is 0":        {"1", "--limit", "0"},
		"--output is":         {"1", "--output", "xml"},
		"accepts 1 arg":       {},
	} {
		got := command(t, append([]string{"show", "quest"}, args...)...)
		if got.status != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestShowQuestCommand(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, data := instance(t, dsn)
	openFindings(t, a, 5)
	got := command(t, "show", "quest", "8", "--data", data, "--dsn", dsn)
	if got.status != 0 || !strings.HasPrefix(got.stdout, "quest 8 ") || !strings.Contains(got.stdout, "open: unassigned") || !strings.Contains(got.stdout, "student2") {
		t.Errorf("%+v", got)
	}
	got = command(t, "show", "quest", "8", "--data", data, "--output", "json")
	var m struct {
		ID           int64 `json:"quest_id"`
		Open         []any
		Participants []any
	}
	if err := json.Unmarshal([]byte(got.stdout), &m); err != nil || m.ID != 8 || len(m.Open) != 1 || len(m.Participants) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got := command(t, "show", "quest", "4711", "--data", data); got.status != exitFailure || !strings.Contains(got.stderr, "no such quest") {
		t.Errorf("%+v", got)
	}
}
