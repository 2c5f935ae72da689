package embedded_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus/embedded"
)

const keep = 500 * time.Millisecond

// ended is what a server left that has ended: a stream of three messages that keeps them
// for so long.
func ended(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := start(t, embedded.Config{Dir: dir})
	js := jetStream(t, s)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "AGED", Subjects: []string{"aged.>"}, MaxAge: keep})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := js.Publish(t.Context(), "aged.x", []byte("data")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func jetStream(t *testing.T, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect("", s.InProcess()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// contents says what is in a directory and when it was changed.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files[path] = info.ModTime().String()
		if entry.Type().IsRegular() {
			data, err := os.ReadFile(path)
			sum := sha256.Sum256(data)
			files[path] += string(sum[:])
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func startCopy(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	s, err := embedded.StartCopy(t.Context(), embedded.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCopyKeepsWhatIsTooOld(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	dir := ended(t)
	<-time.After(2 * keep)
	before := contents(t, dir)
	s := startCopy(t, dir)
	js := jetStream(t, s)
	stream, err := js.Stream(t.Context(), "AGED")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State; got.Msgs != 3 || got.FirstSeq != 1 {
		t.Errorf("the copy holds %d messages from %d on", got.Msgs, got.FirstSeq)
	}
	if addr := s.Addr(); addr != nil {
		t.Errorf("the copy's server listens on %s", addr)
	}
	if _, err := js.Publish(t.Context(), "aged.x", []byte("later")); err != nil {
		t.Error(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Errorf("the directory was touched: %s", diff)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("the copy is left behind: %v, %v", left, err)
	}
}

// A server cuts off a damaged block when it has to read the blocks again.
func TestCopyLeavesDamageAlone(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := ended(t)
	msgs := filepath.Join(dir, "jetstream", "$G", "streams", "AGED", "msgs")
	if err := os.Remove(filepath.Join(msgs, "index.db")); err != nil {
		t.Fatal(err)
	}
	block := filepath.Join(msgs, "1.blk")
	data, err := os.ReadFile(block)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1]++
	if err := os.WriteFile(block, data, 0o600); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	s := startCopy(t, dir)
	stream, err := jetStream(t, s).Stream(t.Context(), "AGED")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 2 {
		t.Errorf("%d messages are whole", got)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Errorf("the directory was touched: %s", diff)
	}
}

func TestCopyOfWhatIsInUse(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	dir := t.TempDir()
	start(t, embedded.Config{Dir: dir})
	_, err := embedded.StartCopy(t.Context(), embedded.Config{Dir: dir})
	if !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("copy of a directory in use: %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("something is left behind: %v, %v", left, err)
	}
}

// Copies of processes that were killed go, those that are in use and what only has the
// name stay.
func TestCopyRemovesOldCopies(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	dir := ended(t)
	killed, other := filepath.Join(parent, "questwatch-copy-1"), filepath.Join(parent, "questwatch-copy-2")
	for _, path := range []string{killed, other} {
		if err := os.MkdirAll(filepath.Join(path, "jetstream"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(killed, "lock"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := startCopy(t, dir)
	second := startCopy(t, dir)
	if _, err := jetStream(t, first).Stream(t.Context(), "AGED"); err != nil {
		t.Errorf("a copy in use was removed: %v", err)
	}
	if err := errors.Join(first.Stop(), second.Stop()); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) != 1 || left[0].Name() != filepath.Base(other) {
		t.Errorf("left are %v, %v", left, err)
	}
}

// The streams may lie on another disk. Other links would leave out what is behind them.
func TestCopyOfLinks(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := ended(t)
	streams, elsewhere := filepath.Join(dir, "jetstream"), filepath.Join(t.TempDir(), "elsewhere")
	link := func(path, to string) {
		t.Helper()
		if err := errors.Join(os.Rename(path, to), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
	}
	link(streams, elsewhere)
	s := startCopy(t, dir)
	if _, err := jetStream(t, s).Stream(t.Context(), "AGED"); err != nil {
		t.Error(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	link(filepath.Join(elsewhere, "$G", "streams", "AGED", "msgs"), filepath.Join(t.TempDir(), "msgs"))
	if _, err := embedded.StartCopy(t.Context(), embedded.Config{Dir: dir}); err == nil || advice(t, err) == "" {
		t.Errorf("copy of a directory with a link in it: %v", err)
	}
}

func TestCopyThatCannotBe(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	dir := ended(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := embedded.StartCopy(ctx, embedded.Config{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := embedded.StartCopy(t.Context(), embedded.Config{Dir: t.TempDir()}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing to copy: %v", err)
	}
	t.Setenv("TMPDIR", filepath.Join(parent, "none"))
	_, err := embedded.StartCopy(t.Context(), embedded.Config{Dir: dir})
	if err == nil || !strings.Contains(advice(t, err), "TMPDIR") {
		t.Errorf("nowhere to copy to: %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("something is left behind: %v, %v", left, err)
	}
}
