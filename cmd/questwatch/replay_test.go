package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
		!strings.Contains(got.stdout, "changed") || !strings.Contains(got.stdout, "3 differences from what was found live") ||
		!regexp.MustCompile(`(?m)^drift\.opened\.unassigned +2 +0 +0$`).MatchString(got.stdout) {
		t.Errorf("%+v", got)
	}
	milder := file("milder.yaml", "rules:\n  missing_participant:\n    grace: 1s\n    severity: {unknown: info}\n")
	got = command(t, "replay", "--check", "--data", data, "--config", milder)
	if got.status != 1 || !regexp.MustCompile(`(?m)^changed .*\.missing_participant\.1 .*  severity warning -> info  time 20.* UTC -> 20`).MatchString(got.stdout) || strings.Contains(got.stdout, "severity(0)") {
		t.Errorf("%+v", got)
	}
}

func TestReplayUsage(t *testing.T) {
	t.Parallel()
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for want, args := range map[string][]string{
		"--output is":           {"--check", "--output", "html"},
		"is in the future":      {"--check", "--from", future},
		"--to: \"1/2/3\" is no": {"--check", "--to", "1/2/3"},
		"the range is reversed": {"--check", "--from", "9", "--to", "8"},
		"does not end with":     {"--check", "--to", "baseline"},
		"is no time":            {"--check", "--from", "last week"},
		"--check and --speed":   {"--check", "--speed", "1x"},
		"--check and --quest":   {"--check", "--quest", "1"},
		"--stream is \"x\"":     {"--stream", "x"},
		"--rule: changes have":  {"--rule", "unassigned"},
		"--rule: unknown":       {"--stream", "events", "--rule", "x"},
		"events have none":      {"--stream", "events", "--entity", "quest"},
		"--entity is \"x\"":     {"--entity", "x"},
		"--quest is -1":         {"--quest", "-1"},
		"--quest is \"\"":       {"--quest", ""},
		"--user is empty":       {"--user", ""},
		"--speed is \"fast\"":   {"--speed", "fast"},
		"--speed is \"0x\"":     {"--speed", "0x"},
		"--rate is \"5\"":       {"--rate", "5"},
		"--dry-run and --to":    {"--dry-run", "--to-file", "x"},
		"--to-file and --to-s":  {"--to-subject", "x", "--to-file", "y"},
		"give --to-file too":    {"--continue"},
		"leave it out":          {"--continue", "--to-file", "x", "--quest", "1"},
		"no sequence with a":    {"--from", "4@x"},
		"is no sequence":        {"--from", "0"},
		"want whole numbers":    {"--quest", "x"},
		"unknown command":       {"everything"},
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
	// What a stopped instance left is read from a copy, and who publishes there publishes to nobody.
	if err := os.Mkdir(filepath.Join(empty, "jetstream"), 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, command(t, "replay", "--data", empty, "--to-subject", "copies"), exitFailure, "no instance runs", "--to-file", "--from-file")
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
		"say which quest":     {},
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

func TestReplayCommand(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, data := instance(t, dsn)
	openFindings(t, a, 5)
	got := command(t, "replay", "--data", data, "--quest", "8", "--dsn", dsn)
	if got.status != 0 || !strings.Contains(got.stdout, "  quest 8  (baseline)\n") || !strings.Contains(got.stdout, "user_id student2") || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	got = command(t, "replay", "--data", data, "--from", "baseline", "--dry-run", "--output", "json")
	var sums struct {
		Messages, Changes uint64
		First             struct{ Sequence int }
	}
	if err := json.Unmarshal([]byte(got.stdout), &sums); err != nil || got.status != 0 || sums.Messages < 10 || sums.Changes < 20 || sums.First.Sequence < 1 {
		t.Errorf("%+v, %v", got, err)
	}
	got = command(t, "replay", "--data", data, "--stream", "events", "--rule", "unassigned")
	if got.status != 0 || strings.Count(got.stdout, "drift.opened") != strings.Count(got.stdout, "unassigned (") || !strings.Contains(got.stdout, "in quest 8 ") {
		t.Errorf("%+v", got)
	}
	byName := command(t, "replay", "--data", data, "--user", "student2", "--dsn", dsn)
	byID := command(t, "replay", "--data", data, "--user", "22222222-2222-4222-8222-222222222222", "--dsn", dsn)
	if byName.status != 0 || byName != byID || !strings.Contains(byName.stdout, "user_id student2") {
		t.Errorf("by name %+v, by id %+v", byName, byID)
	}
	refused(t, command(t, "replay", "--data", data, "--user", "nobody", "--dsn", dsn), exitUsage, "no user has the name")
	got = command(t, "replay", "--data", data, "--xid", "4711")
	if got.status != 0 || got.stdout != "" || !strings.Contains(got.stderr, "nothing is shown") {
		t.Errorf("%+v", got)
	}
	path := filepath.Join(t.TempDir(), "a.replay")
	got = command(t, "replay", "--data", data, "--to-file", path)
	if got.status != 0 || !strings.Contains(got.stdout, " messages with ") {
		t.Errorf("%+v", got)
	}
	refused(t, command(t, "replay", "--data", data, "--to-file", path), exitUsage, "file already exists", "--continue")
	refused(t, command(t, "replay", "--data", data, "--to-file", path, "--continue"), exitUsage, "the file is finished")
	all := command(t, "replay", "--from-file", path, "--quest", "8")
	if all.status != 0 || !strings.Contains(all.stdout, "  quest 8  (baseline)\n") {
		t.Errorf("%+v", all)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := path + ".broken"
	if err := os.WriteFile(broken, []byte(strings.Replace(string(text), `"quest_id":8`, `"quest_id":9`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	got = command(t, "replay", "--from-file", broken, "--dry-run")
	refused(t, got, exitFailure, "a.replay.broken, line ", "its checksum is not right", "write it anew")
	_, advice, found := strings.Cut(got.stderr, "--to ")
	before, _, _ := strings.Cut(advice, " ")
	if strings.Contains(got.stderr, "go on with") || !found {
		t.Errorf("%+v", got)
	}
	if got := command(t, "replay", "--from-file", broken, "--dry-run", "--to", before); got.status != 0 || !strings.Contains(got.stdout, "to message "+before) {
		t.Errorf("what is before the damage: %+v", got)
	}
	refused(t, command(t, "replay", "--from-file", broken+"x"), exitFailure, "no such file")
	refused(t, command(t, "replay", "--from-file", os.Args[0]), exitFailure, "line 1: ")
	refused(t, command(t, "replay", "--data", data, "--quest", "4711"), exitFailure, "no such quest: the stream has nothing of quest 4711")
	refused(t, command(t, "replay", "--data", data, "--from", "999999"), exitUsage, "behind the end of the stream")
	refused(t, command(t, "replay", "--data", data, "--to", "2001-01-01T00:00:00Z"), exitUsage, "before the beginning of the stream")
	refused(t, command(t, "replay", "--data", data, "--to-subject", "questwatch"), exitUsage, "in the namespace of the instance")
	refused(t, command(t, "replay", "--data", data, "--to-subject", "copies"), exitFailure, "no stream takes it", "nats stream add", "nats-owner.json")
}

// A reader that has seen enough leaves no copy of the data behind.
func TestReplayIntoClosedPipe(t *testing.T) {
	t.Parallel()
	a, data, stop := startInstance(t, testkit.Database(t, testkit.LoadAudit001))
	openFindings(t, a, 5)
	stop()
	parent := t.TempDir()
	for _, args := range [][]string{{"--rate", "50/s"}, {"--check", "--config", "/dev/stdin"}} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], append([]string{"replay", "--data", data}, args...)...)
		cmd.Env = append(os.Environ(), asMain+"=1", "TMPDIR="+parent)
		var errs strings.Builder
		cmd.Stdin = strings.NewReader("rules: {unassigned: {enabled: false}}")
		cmd.Stdout, cmd.Stderr = write, &errs
		if err := errors.Join(read.Close(), cmd.Start(), write.Close()); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // how it ended is in ProcessState
		if cmd.ProcessState.ExitCode() != exitFailure || errs.String() != "" {
			t.Errorf("%q: %v, %s", args, cmd.ProcessState, errs.String())
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Errorf("%q: left behind: %v, %v", args, left, err)
		}
	}
}

// TestReplayInterrupted ends the program by Ctrl-C in the middle, and goes on as it says.
func TestReplayInterrupted(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, data := instance(t, dsn)
	openFindings(t, a, 5)
	whole := command(t, "replay", "--data", data, "--entity", "quest", "--output", "json", "--to", "12")
	cmd := exec.Command(os.Args[0], "replay", "--data", data, "--entity", "quest", "--output", "json", "--to", "12", "--rate", "2/s")
	cmd.Env = append(os.Environ(), asMain+"=1")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	if err == nil {
		err = cmd.Process.Signal(os.Interrupt)
	}
	if err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	_ = cmd.Wait() // how it ended is in ProcessState
	if err != nil || cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(errs.String(), "interrupted after ") {
		t.Fatalf("%v, %v, %s", err, cmd.ProcessState, errs.String())
	}
	_, line, _ := strings.Cut(errs.String(), "go on with: questwatch ")
	more := command(t, strings.Fields(line)...)
	if more.status != 0 || first+string(rest)+more.stdout != whole.stdout {
		t.Errorf("%q, then %q: %+v, want %+v", first, line, more, whole)
	}
}
