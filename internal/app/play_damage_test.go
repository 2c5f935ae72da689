package app

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestReplayOfDamagedFiles has a byte of a stopped instance's stream changed, and another
// time its end cut off: what is shown is less than there was, and whoever reads is told.
func TestReplayOfDamagedFiles(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	written(t, &c, server.URL(), 200)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	c.NATS.URL = ""
	for name, test := range map[string]struct {
		damage func(block []byte) []byte
		hint   string
		warned bool
	}{
		"a byte":  {func(b []byte) []byte { b[len(b)/2]++; return b }, "--from ", false},
		"the end": {func(b []byte) []byte { return b[:len(b)/2] }, "--to", true},
	} {
		c.Data = filepath.Join(t.TempDir(), "data")
		if err := os.CopyFS(c.Data, os.DirFS(server.StoreDir())); err != nil {
			t.Fatal(err)
		}
		block := filepath.Join(c.Data, "jetstream", "$G", "streams", strings.ToUpper(c.Namespace)+"_CDC", "msgs", "1.blk")
		data, err := os.ReadFile(block)
		if err == nil {
			err = os.WriteFile(block, test.damage(data), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = play(t, c, Play{DryRun: true})
		var damage replay.DamageError
		if !errors.As(err, &damage) || !strings.Contains(hint.Of(err), test.hint) {
			t.Errorf("%s: %v, %q", name, err, hint.Of(err))
		}
		if _, _, err := recheck(t, c, "", ""); !errors.As(err, &damage) || hint.Of(err) == "" {
			t.Errorf("%s: judged anew: %v", name, err)
		}
		var log bytes.Buffer
		_, done, err := openPast(t.Context(), &c, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		done()
		if strings.Contains(log.String(), "is damaged") != test.warned {
			t.Errorf("%s: logged %s", name, log.String())
		}
	}
}

// TestCopyWhereNobodyMayWrite has a place for the copy in which nobody may write, not even
// root: it is not the instance that is missing.
func TestCopyWhereNobodyMayWrite(t *testing.T) {
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	t.Setenv("TMPDIR", "/sys")
	if err := os.MkdirAll(filepath.Join(c.Data, "jetstream"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err := openPast(t.Context(), &c, testLogger(t))
	if err == nil || !strings.Contains(hint.Of(err), "TMPDIR") || strings.Contains(err.Error(), "no instance runs") {
		t.Errorf("%v, %q", err, hint.Of(err))
	}
}
