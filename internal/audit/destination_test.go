package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

func destination(t *testing.T, path string) *audit.Destination {
	t.Helper()
	d, err := audit.OpenDestination(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// healthy is the result of an audit of empty tables.
func healthy(t *testing.T) *audit.Result {
	t.Helper()
	result, err := audit.Run(t.Context(), open(t, testkit.Database(t)), audit.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { result.Close() })
	return result
}

func deliver(t *testing.T, result *audit.Result, path string) string {
	t.Helper()
	var out bytes.Buffer
	if err := result.Deliver(audit.Output{Format: audit.JSON, File: destination(t, path), Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestReportThroughALink(t *testing.T) {
	t.Parallel()
	result, dir := healthy(t), t.TempDir()
	for name, there := range map[string]bool{"there": true, "new": false} {
		target, link := filepath.Join(dir, "kept", name+".json"), filepath.Join(dir, name+".link")
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			t.Fatal(err)
		}
		if there {
			if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for from, to := range map[string]string{link: name + ".second", filepath.Join(dir, name+".second"): filepath.Join("kept", name+".json")} {
			if err := os.Symlink(to, from); err != nil {
				t.Fatal(err)
			}
		}
		deliver(t, result, link)
		if to, err := os.Readlink(link); err != nil || to != name+".second" {
			t.Errorf("%s: the link is %q, %v", name, to, err)
		}
		if text, err := os.ReadFile(target); err != nil || !strings.HasPrefix(string(text), "{") {
			t.Errorf("%s: the target has %q, %v", name, text, err)
		}
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.OpenDestination(loop); err == nil {
		t.Error("a link to itself was taken")
	}
}

// fifo makes a pipe with a name, and opens it for reading. Tests write to no
// device of the machine: a mistake here would replace it.
func fifo(t *testing.T) (path string, reader *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pipe.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return path, reader
}

func TestReportToAPipe(t *testing.T) {
	t.Parallel()
	result := healthy(t)
	pipe, reader := fifo(t)
	d := destination(t, pipe)
	if err := result.Deliver(audit.Output{File: d, Stdout: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Fatalf("the pipe is now %v, %v", info, err)
	}
	if text, err := io.ReadAll(reader); err != nil || !bytes.HasPrefix(text, []byte("{")) {
		t.Errorf("the pipe's reader got %q, %v", text, err)
	}
}

func TestReportToStandardOutput(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "out.json") // as /dev/stdout is one
	if err := os.Symlink("/proc/self/fd/1", link); err != nil {
		t.Fatal(err)
	}
	if out := deliver(t, healthy(t), link); strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "{") {
		t.Errorf("standard output got %q, want the report once", out)
	}
	if _, err := os.Readlink(link); err != nil {
		t.Errorf("the link was replaced: %v", err)
	}
}

func TestUndoOfRepairsWhoseReportIsLost(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn := connect(t, dsn)
	before := tablesHash(t, conn)
	pipe, reader := fifo(t)
	d := destination(t, pipe)
	result, err := audit.Run(t.Context(), open(t, dsn), audit.Config{Compat: true, Fix: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	reader.Close()
	var stdout, stderr bytes.Buffer
	err = result.Deliver(audit.Output{File: d, Stdout: &stdout, Stderr: &stderr})
	if err == nil || !strings.Contains(err.Error(), "write report "+pipe+": broken pipe") || hint.Of(err) == "" || hint.IsSetup(err) {
		t.Errorf("error %v, advice %q", err, hint.Of(err))
	}
	if !strings.HasPrefix(stdout.String(), "{") || !strings.Contains(stderr.String(), "could not be delivered: write report") {
		t.Errorf("standard output %q, error %q", stdout.String(), stderr.String())
	}
	_, undo, ok := strings.Cut(stderr.String(), "\n\n")
	exec(t, conn, undo)
	if !ok || tablesHash(t, conn) != before {
		t.Errorf("the statements do not take the repairs back:\n%s", stderr.String())
	}
}

func TestPersonInManyQuests(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001, func(_ context.Context, dsn string) error {
		conn := connect(t, dsn)
		for id := 101; id <= 113; id++ {
			exec(t, conn, fmt.Sprintf(`INSERT INTO quests_quest SELECT (jsonb_populate_record(q, jsonb_build_object('id', %d, 'slug', 'many-%[1]d', 'status',
				'open', 'assigned_to_id', NULL))).* FROM quests_quest q WHERE id = 1;
				INSERT INTO quests_questparticipant (quest_id,user_id,status,joined_at,progress_notes) VALUES (%[1]d,'%s','joined',now(),'')`, id, student1))
		}
		return nil
	})
	result, err := audit.Run(t.Context(), open(t, dsn), audit.Config{User: "student1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	quests := map[int64]bool{}
	if err := result.Findings(func(f audit.Finding) error { quests[f.QuestID] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, f := range []audit.Format{audit.Text, audit.HTML} {
		var out bytes.Buffer
		if err := result.Write(&out, f, audit.View{Detailed: true}); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("and %d more", len(quests)-10); !strings.Contains(out.String(), want) {
			t.Errorf("the %s report lacks %q", f, want)
		}
	}
}
