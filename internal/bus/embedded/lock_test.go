package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/peerquest/questwatch/internal/hint"
)

// Whoever looks whether a directory is in use does not keep a server from starting there,
// nor takes one that is about to be locked for a dead one's.
func TestLookingIsNoLock(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	var looking sync.WaitGroup
	dir := t.TempDir()
	looking.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_, _ = lastLocked(dir) // in use or not
			}
		}
	})
	failed := 0
	for range 100 {
		lock, err := lockDir(dir)
		if err != nil {
			failed++
			continue
		}
		lock.release()
	}
	close(done)
	looking.Wait()
	if failed > 0 {
		t.Errorf("%d of 100 servers did not start", failed)
	}
	made := t.TempDir()
	if err := os.WriteFile(filepath.Join(made, lockFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if at, err := lastLocked(made); err != nil || !at.IsZero() {
		t.Errorf("a lock that nobody has held yet: %v, %v", at, err)
	}
}

// What a server wrote while it was copied is no copy of anything.
func TestCopyWhileAServerStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "jetstream"), 0o700); err != nil {
		t.Fatal(err)
	}
	before, err := lastLocked(dir)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Dir: dir}.withDefaults()
	for _, name := range []string{"it runs", "it ended"} {
		if err := c.copyTo(t.Context(), t.TempDir(), before); !errors.Is(err, errStarted) || hint.Of(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		lock.release()
	}
}
