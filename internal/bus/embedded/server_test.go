package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/hint"
)

const childDir = "QUESTWATCH_TEST_LOCK_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		holdLock(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// holdLock is the child process of TestLockOfAnotherProcess: it runs a server
// until its standard input ends.
func holdLock(dir string) {
	_, err := embedded.Start(context.Background(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	fmt.Println("started", err)
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func start(t *testing.T, cfg embedded.Config) *embedded.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func advice(t *testing.T, err error) string {
	t.Helper()
	text := hint.Of(err)
	if text == "" {
		t.Fatalf("error has no hint: %v", err)
	}
	return text
}

func TestOneServerPerDirectory(t *testing.T) {
	dir := t.TempDir()
	s := start(t, embedded.Config{Dir: dir})
	_, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if !errors.Is(err, embedded.ErrLocked) {
		t.Fatalf("second start: %v", err)
	}
	if h := advice(t, err); !strings.Contains(h, strconv.Itoa(os.Getpid())) {
		t.Errorf("hint does not name the owner: %s", h)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	start(t, embedded.Config{Dir: dir})
}

func TestLockOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	if n, _ := stdout.Read(line); !strings.HasPrefix(string(line[:n]), "started <nil>") {
		t.Fatalf("child says %q", line[:n])
	}
	_, err = embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if !errors.Is(err, embedded.ErrLocked) || !strings.Contains(advice(t, err), strconv.Itoa(child.Process.Pid)) {
		t.Errorf("start beside another process: %v", err)
	}
	if _, _, url, err := embedded.Owner(dir); err != nil || url == "" {
		t.Errorf("owner of a running server: %q, %v", url, err)
	}
	_ = child.Process.Kill() // no clean end: the kernel has to release the lock
	_ = child.Wait()
	_ = stdin.Close()
	start(t, embedded.Config{Dir: dir})
}

func TestPortInUseChangesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := filepath.Join(t.TempDir(), "data")
	_, err = embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: l.Addr().String()})
	if err == nil || !strings.Contains(advice(t, err), "another program uses this port") {
		t.Fatalf("start on a used port: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data directory was made: %v", err)
	}
	start(t, embedded.Config{Dir: dir})
}

func TestListenAddressIsExplicit(t *testing.T) {
	for _, listen := range []string{":4222", "4222", "127.0.0.1:x", "192.0.2.1:4222"} {
		_, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: listen})
		if err == nil {
			t.Fatalf("listening on %q was accepted", listen)
		}
		advice(t, err)
	}
}

func TestCancelledStartLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := embedded.Start(ctx, embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	start(t, embedded.Config{Dir: dir})
}

func TestOwnerFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, _, _, err := embedded.Owner(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("owner of nothing: %v", err)
	} else {
		advice(t, err)
	}
	s := start(t, embedded.Config{Dir: dir})
	user, password, url, err := embedded.Owner(dir)
	if err != nil || url != s.ClientURL() {
		t.Fatalf("owner: url %q, %v", url, err)
	}
	for path, want := range map[string]fs.FileMode{".": 0o700, "nats-owner.json": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = start(t, embedded.Config{Dir: dir})
	user2, password2, url2, err := embedded.Owner(dir)
	if err != nil || user2 != user || password2 != password || url2 != s.ClientURL() {
		t.Errorf("credentials changed with a restart, or url did not: %v", err)
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func TestPasswordIsNotLogged(t *testing.T) {
	dir, log := t.TempDir(), &buffer{}
	s := start(t, embedded.Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if _, err := nats.Connect(s.ClientURL(), nats.UserInfo("questwatch", "wrong")); !errors.Is(err, nats.ErrAuthorization) {
		t.Fatalf("wrong password: %v", err)
	}
	_, password, _, err := embedded.Owner(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if text := log.b.String(); text == "" || strings.Contains(text, password) {
		t.Errorf("log: %s", text)
	}
}

// TestClientsMistakeIsAWarning: what a client may not do is no error of ours.
func TestClientsMistakeIsAWarning(t *testing.T) {
	log := &buffer{}
	s := start(t, embedded.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	reader := connect(t, s.ClientURL())
	if err := reader.nc.Publish("somebody.elses", nil); err != nil {
		t.Fatal(err)
	}
	wantDenied(t, reader, "somebody.elses")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if text := log.b.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "somebody.elses") || strings.Contains(text, "level=ERROR") {
		t.Errorf("log: %s", text)
	}
}

func TestUnusableStoreIsAnErrorNotAnExit(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), []byte("not a directory"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err == nil {
		t.Fatal("server started on a broken store")
	}
	advice(t, err)
	if err := os.Remove(filepath.Join(dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	start(t, embedded.Config{Dir: dir})
}

func TestHealthySaysWhenStorageIsFull(t *testing.T) {
	s := start(t, embedded.Config{MaxStore: 1 << 20})
	if err := s.Healthy(); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", s.InProcess()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err = js.Publish(t.Context(), "s", make([]byte, 100<<10)); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("storage limit was not applied")
	}
	if err := s.Healthy(); err == nil {
		t.Error("a full storage is called healthy")
	} else {
		advice(t, err)
	}
}

func TestUnhealthyAfterStop(t *testing.T) {
	s := start(t, embedded.Config{})
	if s.Addr() == nil {
		t.Error("no address")
	}
	if err := errors.Join(s.Stop(), s.Stop()); err != nil {
		t.Fatal(err)
	}
	if s.Healthy() == nil {
		t.Error("a stopped server is called healthy")
	}
}
