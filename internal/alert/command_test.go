package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// command runs a script of the shell, whose $1 is a directory, and logs into log.
func command(t *testing.T, script string, log *bytes.Buffer) (*Command, string) {
	t.Helper()
	dir := t.TempDir()
	c, err := NewCommand([]string{"sh", "-c", script, "sh", dir}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// TestCommand: it gets the notice and what it is about, and none of our secrets.
func TestCommand(t *testing.T) {
	t.Setenv("QUESTWATCH_POSTGRES_DSN", "geheim")
	t.Setenv("PGPASSWORD", "geheim")
	t.Setenv("PAGER_KEY", "theirs")
	var log bytes.Buffer
	c, dir := command(t, `cat >"$1/in"; env >"$1/env"; echo done`, &log)
	one, many := some(t, 1, titled), some(t, 12, titled)
	for _, n := range []*Notice{one, many} {
		if err := send(t, c, n); err != nil {
			t.Fatal(err)
		}
		in, err1 := os.ReadFile(filepath.Join(dir, "in"))
		env, err2 := os.ReadFile(filepath.Join(dir, "env"))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		var got paper
		if err := json.Unmarshal(in, &got); err != nil || got.ID != n.ID || got.New != n.New || len(got.Lines) != len(n.Lines) || got.Lines[0].Text != n.Lines[0].Text || got.More != n.More {
			t.Errorf("%s: %v", in, err)
		}
		if string(got.Event) != string(n.Data) {
			t.Errorf("event %s", got.Event)
		}
		for _, want := range []string{"QUESTWATCH_ID=" + n.ID, "QUESTWATCH_SEVERITY=critical", "QUESTWATCH_TITLE=" + n.Title(), "PAGER_KEY=theirs"} {
			if !strings.Contains(string(env), want+"\n") {
				t.Errorf("no %s in %s", want, env)
			}
		}
		if strings.Contains(string(env), "geheim") {
			t.Errorf("a secret in %s", env)
		}
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
}

// TestCommandFails: other exits are tried again; what it says is in the log, once, and
// in no error.
func TestCommandFails(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"later":      {"echo geheim; exit 75", "exit status 75: not now"},
		"fails":      {"printf 'geheim\\033[2J' >&2; exit 1", "exit status 1"},
		"killed":     {"kill -9 $$", "signal: killed"},
		"much":       {"head -c 3000000 /dev/zero | tr '\\0' x; exit 3", "exit status 3"},
		"reads none": {"exit 0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			cmd, _ := command(t, c.script, &log)
			for range 2 {
				err := send(t, cmd, some(t, 1))
				var r *Refusal
				if (err == nil) != (c.want == "") || errors.As(err, &r) || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim")) {
					t.Errorf("%v", err)
				}
			}
			if strings.Contains(c.script, "geheim") && strings.Count(log.String(), "geheim") != 1 || log.Len() > 1500 || strings.Contains(log.String(), "\x1b") {
				t.Errorf("logged %d: %.300s", log.Len(), log.String())
			}
		})
	}
	if _, err := NewCommand([]string{"/no/such/program"}, nil); err == nil {
		t.Error("a program that is not there")
	}
}

// TestCommandHangs: at the end of its time it is killed, with what it has started.
func TestCommandHangs(t *testing.T) {
	var log bytes.Buffer
	c, dir := command(t, `sleep 300 & echo $! >"$1/child.new"; mv "$1/child.new" "$1/child"; wait`, &log)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := c.Send(ctx, some(t, 1))
		done <- err
	}()
	child := 0
	testkit.Eventually(t, 30*time.Second, func() error {
		text, err := os.ReadFile(filepath.Join(dir, "child"))
		if err != nil {
			return err
		}
		child, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat")
		if os.IsNotExist(err) || strings.Contains(string(stat), ") Z ") || syscall.Kill(child, 0) != nil {
			return nil
		}
		return errors.New("the child lives")
	})
}

// TestCommandLeavesAChild: one that goes on in the background does not hold up alerts.
func TestCommandLeavesAChild(t *testing.T) {
	var log bytes.Buffer
	c, dir := command(t, `sleep 300 & echo $! >"$1/child"`, &log)
	if err := send(t, c, some(t, 1)); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || syscall.Kill(child, syscall.SIGKILL) != nil {
		t.Errorf("the child is gone: %v", err)
	}
}
