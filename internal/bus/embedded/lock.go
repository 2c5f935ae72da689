package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/peerquest/questwatch/internal/hint"
)

const lockFile = "lock"

// ErrLocked says that another process owns the data directory.
var ErrLocked = errors.New("data directory is in use")

// dirLock is an advisory lock that the kernel drops with the process. The
// file stays behind: removing it would let two processes lock two files of
// the same name.
type dirLock struct{ file *os.File }

func lockDir(dir string) (*dirLock, error) {
	op := fmt.Sprintf("lock data directory %q", dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, hint.Failed(op, err, "choose a directory that this user may write to")
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, hint.Failed(op, err, "choose a directory that this user may write to")
	}
	if err := take(f); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, hint.Failed(op, ErrLocked, lockedHint(f))
		}
		return nil, hint.Failed(op, err, "the file system has to support file locks")
	}
	l := &dirLock{file: f}
	if err := l.writePID(); err != nil {
		l.release()
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return l, nil
}

// Somebody who only looks (lastLocked) has a lock for a moment.
const (
	takeTries = 20
	takePause = 5 * time.Millisecond
)

func take(f *os.File) (err error) {
	for range takeTries {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		time.Sleep(takePause)
	}
	return err
}

func lockedHint(f *os.File) string {
	text, _ := io.ReadAll(io.LimitReader(f, 32))
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		return fmt.Sprintf("process %d owns this directory: stop it, or choose another directory", pid)
	}
	return "another process owns this directory: stop it, or choose another directory"
}

func (l *dirLock) writePID() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func (l *dirLock) release() { _ = l.file.Close() }
