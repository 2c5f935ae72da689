package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/peerquest/questwatch/internal/hint"
)

// copyPrefix begins the names of the folders that copies are made in.
const copyPrefix = "questwatch-copy-"

// longCopy is how many bytes may take long enough for somebody to wonder.
const longCopy = 256 << 20

// errStarted says that the copied directory did not stay as it was meanwhile.
var errStarted = errors.New("a server started there meanwhile")

// StartCopy is Start on a copy of what a server that has ended left in cfg.Dir. That is
// only read; the copy ends with Stop, or with the next StartCopy after a crash. Nothing in
// it is discarded for its age, as a server at its start would do with what has become too
// old by now. The copy lies in TMPDIR or /var/tmp, and needs room there unless the file
// system lets files share it. Nobody but this process reaches the server.
func StartCopy(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	op := fmt.Sprintf("copy data directory %q", cfg.Dir)
	before, err := lastLocked(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	parent := copyParent()
	removeCopies(parent)
	dir, err := os.MkdirTemp(parent, copyPrefix)
	if err != nil {
		return nil, hint.Failed(op, err, "set TMPDIR to a directory that this user may write to")
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, errors.Join(err, removeCopy(dir))
	}
	if err := cfg.copyTo(ctx, dir, before); err != nil {
		lock.release()
		return nil, errors.Join(fmt.Errorf("%s: %w", op, err), removeCopy(dir))
	}
	cfg.Dir, cfg.Listen, cfg.copied = dir, "127.0.0.1:0", true
	s, err := start(ctx, cfg, lock)
	if err != nil {
		return nil, errors.Join(err, removeCopy(dir))
	}
	return s, nil
}

// copyTo copies what no server has taken since a time.
func (c *Config) copyTo(ctx context.Context, dir string, since time.Time) error {
	err := c.copyStore(ctx, dir)
	if now, changed := lastLocked(c.Dir); changed != nil || !now.Equal(since) {
		return hint.Wrap(errors.Join(errStarted, err), "do the same again: where it still runs it is asked")
	}
	if err != nil {
		return err
	}
	return keepAll(filepath.Join(dir, server.JetStreamStoreDir))
}

// lastLocked is when a server last took a directory, zero where none has, or ErrLocked
// while one has it. It does not keep a server from starting.
func lastLocked(dir string) (at time.Time, err error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return at, hint.Wrap(ErrLocked, "%s", lockedHint(f))
	}
	info, err := f.Stat()
	if err != nil || info.Size() == 0 { // about to be taken
		return at, err
	}
	return info.ModTime(), nil
}

// copyParent is where copies are made: /tmp may be in memory.
func copyParent() string {
	const lasting = "/var/tmp"
	if info, err := os.Stat(lasting); err == nil && info.IsDir() && os.Getenv("TMPDIR") == "" {
		return lasting
	}
	return os.TempDir()
}

// removeCopies removes what this user's killed processes left.
func removeCopies(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, copyPrefix+"*")) // the only error is that of a bad pattern
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		owner, ok := info.Sys().(*syscall.Stat_t)
		if !ok || int(owner.Uid) != os.Getuid() {
			continue
		}
		if at, err := lastLocked(dir); err == nil && !at.IsZero() {
			_ = removeCopy(dir) // tried again the next time
		}
	}
}

// removeCopy removes the lock last: without one, who is killed in the middle would leave what
// nobody takes for a copy.
func removeCopy(dir string) error {
	if err := os.RemoveAll(filepath.Join(dir, server.JetStreamStoreDir)); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// copyStore copies what the streams are in, if there is room for it.
func (c *Config) copyStore(ctx context.Context, to string) error {
	from, err := filepath.EvalSymlinks(filepath.Join(c.Dir, server.JetStreamStoreDir)) // it may be on another disk
	if err != nil {
		return err
	}
	size, err := sizeOf(from)
	if err != nil {
		return err
	}
	if free, _, err := space(to); err == nil && free < size {
		return hint.Wrap(fmt.Errorf("%w: %d bytes are needed in %q, and %d are free", ErrFull, size, filepath.Dir(to), free),
			"set TMPDIR to a directory on a larger disk")
	}
	level := slog.LevelDebug
	if size >= longCopy {
		level = slog.LevelInfo
	}
	c.Logger.Log(ctx, level, "copying what a stopped instance left, to read it", "from", c.Dir, "to", to, "bytes", size)
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, server.JetStreamStoreDir, relative)
		switch {
		case entry.IsDir():
			return os.Mkdir(target, 0o700)
		case entry.Type().IsRegular():
			return copyFile(target, path)
		}
		return hint.Wrap(fmt.Errorf("%s is neither a file nor a directory", path), "read a copy of the data directory without links: cp -rL")
	})
}

func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in) // in the kernel, which shares the blocks where it can
	return errors.Join(err, out.Close())
}

// keepAll takes from all streams of a store the limits of age. The server reads a stream's
// settings from meta.inf if meta.sum is their HighwayHash-64 keyed with the stream's name
// (recovery of streams in nats-server's jetstream.go).
func keepAll(store string) error {
	metas, _ := filepath.Glob(filepath.Join(store, "*", "streams", "*", server.JetStreamMetaFile)) // as above
	for _, path := range metas {
		if err := keepStream(path); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	return nil
}

func keepStream(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var settings map[string]json.RawMessage
	if err := json.Unmarshal(data, &settings); err != nil {
		return err
	}
	settings["max_age"] = json.RawMessage("0")
	if data, err = json.Marshal(settings); err != nil {
		return err
	}
	key := sha256.Sum256([]byte(filepath.Base(filepath.Dir(path))))
	digest, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return err
	}
	_, _ = digest.Write(data) // never fails
	sum := hex.EncodeToString(digest.Sum(nil))
	sumPath := filepath.Join(filepath.Dir(path), server.JetStreamMetaFileSum)
	return errors.Join(os.WriteFile(path, data, 0o600), os.WriteFile(sumPath, []byte(sum), 0o600))
}
