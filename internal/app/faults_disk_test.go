package app

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// smallDisk mounts a file system of a few megabytes until the test's end.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Fatalf("mount a small disk: %v\nTo see what a full disk does, the tests must be allowed to mount a tmpfs: run them as root, "+
			"in a container with --cap-add SYS_ADMIN", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// diskFull fills the disk of an external server, and when there is space again
// restarts it: it does not come round by itself.
func diskFull(r *rig) {
	noticed := logged(r, "no space left on device")
	empty := testkit.FillDisk(r.t, r.disk)
	testkit.Eventually(r.t, 30*time.Second, func() error {
		if logged(r, "no space left on device") == noticed {
			return errors.New("the server has not noticed that its disk is full")
		}
		return nil
	})
	r.load.more(r.t, r.between(0, 100))
	empty()
	r.load.more(r.t, r.between(0, 50))
	if r.between(0, 1) == 0 {
		r.must(r.nats.Kill())
	} else {
		r.must(r.nats.Stop())
	}
	r.must(r.nats.Start())
}

// logged counts what the server has logged.
func logged(r *rig, what string) int {
	text, err := os.ReadFile(r.nats.LogFile())
	r.must(err)
	return strings.Count(string(text), what)
}
