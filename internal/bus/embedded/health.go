package embedded

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/peerquest/questwatch/internal/hint"
)

// ErrFull says that the storage limit is reached, or that the disk is full.
var ErrFull = errors.New("storage is full")

// current is the server that runs now.
func (s *Server) current() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nats
}

func (s *Server) currentLog() *logger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

// Healthy says what keeps the server from storing messages: a fatal error, a
// storage that failed, or a storage that is full, which the server's own health
// check does not look at.
func (s *Server) Healthy() error {
	if err := s.broken(); err != nil {
		if free, _, spaceErr := s.Space(); spaceErr == nil && free < s.cfg.Room {
			err = hint.Wrap(fmt.Errorf("%w: %d bytes are free: %w", ErrFull, free, err), "free disk space; the server starts again by itself then")
		}
		return err
	}
	js, err := s.current().Jsz(nil)
	if err != nil {
		return fmt.Errorf("check nats storage: %w", err)
	}
	if limit := js.Config.MaxStore; limit > 0 && js.Store >= uint64(limit) {
		return hint.Failed("check nats storage", fmt.Errorf("%w: %d of %d bytes are used", ErrFull, js.Store, limit), "raise the storage limit, or lower the streams' size limits")
	}
	return nil
}

// broken says what the server cannot recover from by itself. After a failed write
// a stream refuses all others, also when the disk has room again.
func (s *Server) broken() error {
	if err := s.currentLog().fatalError(); err != nil {
		return fmt.Errorf("check nats server: %w", err)
	}
	if h := s.current().Healthz(nil); h.StatusCode != 200 {
		return fmt.Errorf("check nats server: %s: %s", h.Status, h.Error)
	}
	return nil
}

// Space is how much of the data directory's disk is free for us, and its size, in
// bytes.
func (s *Server) Space() (free, total int64, err error) {
	free, total, err = space(s.cfg.Dir)
	if err != nil {
		return 0, 0, fmt.Errorf("look at the disk of %q: %w", s.cfg.Dir, err)
	}
	return free, total, nil
}

func space(dir string) (free, total int64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, 0, err
	}
	size := int64(fs.Bsize)
	return int64(fs.Bavail) * size, int64(fs.Blocks) * size, nil
}

// fitDisk sets what depends on the disk's size. The storage limit is all of it where
// none is set: the server's own choice, three quarters of what it finds free and
// used at its start, can be less than it has stored already, and it would then take
// nothing more on a disk with room.
func (c *Config) fitDisk() {
	_, total, err := space(c.Dir)
	if err != nil {
		return // the server makes its own choice
	}
	if c.MaxStore == 0 {
		c.MaxStore = total
	}
	if c.Room == 0 {
		c.Room = min(defaultRoom, total/16)
	}
}
