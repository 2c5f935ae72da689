package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/testkit"
)

// owner connects in the process and makes a stream.
func owner(t *testing.T, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	options := append(s.InProcess(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	nc, err := nats.Connect("", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func publish(js jetstream.JetStream, data []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := js.Publish(ctx, "s", data)
	return err
}

// kept runs Keep until the test's end.
func kept(t *testing.T, s *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Keep(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("keep: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

func TestRestartKeepsAddressClientsAndData(t *testing.T) {
	s := start(t, embedded.Config{})
	js := owner(t, s)
	if err := publish(js, []byte("before")); err != nil {
		t.Fatal(err)
	}
	url := s.ClientURL()
	for range 3 {
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.ClientURL() != url {
			t.Errorf("now at %s, before at %s", s.ClientURL(), url)
		}
		testkit.Eventually(t, 10*time.Second, func() error { return publish(js, []byte("after")) })
	}
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.GetMsg(t.Context(), 1); err != nil || string(m.Data) != "before" {
		t.Errorf("first message is %v, %v", m, err)
	}
	if err := s.Healthy(); err != nil {
		t.Error(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err == nil {
		t.Error("a stopped server was started again")
	}
}

// TestStorageFails: writes fail for a while, for want of space where we may mount
// a disk, for want of rights elsewhere. The server says so, keeps what it has
// acknowledged, and takes messages again without anybody's help.
func TestStorageFails(t *testing.T) {
	dir, ok := testkit.SmallDisk(t, "32m")
	fail := func() func() { return testkit.FillDisk(t, dir) }
	if !ok {
		dir = t.TempDir()
		fail = func() func() { return lock(t, filepath.Join(dir, "jetstream")) }
	}
	s := start(t, embedded.Config{Dir: dir, Room: 4 << 20})
	kept(t, s)
	js := owner(t, s)
	stored := 0
	for range 2 {
		for range 10 {
			if err := publish(js, make([]byte, 4000)); err != nil {
				t.Fatal(err)
			}
			stored++
		}
		mend := fail()
		testkit.Eventually(t, 30*time.Second, func() error {
			if err := publish(js, make([]byte, 200_000)); err == nil {
				stored++
			}
			if s.Healthy() == nil {
				return errors.New("the server calls itself healthy")
			}
			return nil
		})
		if err := s.Healthy(); ok && !errors.Is(err, embedded.ErrFull) {
			t.Errorf("a full disk is reported as %v", err)
		}
		mend()
		testkit.Eventually(t, 30*time.Second, func() error {
			if err := publish(js, []byte("again")); err != nil {
				return err
			}
			stored++
			return s.Healthy()
		})
	}
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs < uint64(stored) {
		t.Errorf("%d messages, %d were acknowledged (%v)", info.State.Msgs, stored, err)
	}
}

// lock takes the right to write from all folders and files below dir.
func lock(t *testing.T, dir string) (unlock func()) {
	t.Helper()
	change := func(folder, file fs.FileMode) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			mode := file
			if d != nil && d.IsDir() {
				mode = folder
			}
			return errors.Join(err, os.Chmod(path, mode))
		})
		if err != nil {
			t.Fatal(fmt.Errorf("change rights below %s: %w", dir, err))
		}
	}
	change(0o500, 0o400)
	return func() { change(0o700, 0o600) }
}
