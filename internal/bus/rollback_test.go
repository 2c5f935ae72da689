package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

// A server that loses what it has acknowledged, and is written to again before
// the reader is back, has other messages at sequences that the reader knows.
func TestConsumeNoticesRolledBackAndRefilledStream(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, embedded.Config{Dir: dir})
	addr := s.Addr().String()
	c := connect(t, bus.Config{URL: s.ClientURL(), Options: s.Owner()})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	store, old := filepath.Join(dir, "jetstream"), filepath.Join(t.TempDir(), "old")
	restart := func(between func() error) {
		t.Helper()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := between(); err != nil {
			t.Fatal(err)
		}
		s = startServer(t, embedded.Config{Dir: dir, Listen: addr})
	}
	publish(t, c, newWriter(t, c, 0), 0, 5)
	restart(func() error { return os.CopyFS(old, os.DirFS(store)) })
	write(t, s, 5, 5)

	arrived, refilled := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- c.ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
			switch {
			case m.Seq == 10:
				close(arrived)
				<-refilled
			case m.Seq > 10:
				return errors.New("read on in another stream")
			}
			return nil
		})
	}()
	<-arrived
	restart(func() error { return errors.Join(os.RemoveAll(store), os.CopyFS(store, os.DirFS(old))) })
	write(t, s, 5, 8)
	close(refilled)
	if err := <-done; !errors.Is(err, bus.ErrStreamReset) {
		t.Errorf("consume: %v, want ErrStreamReset", err)
	}
}

// write goes on behind the first last messages, on a connection of its own.
func write(t *testing.T, s *embedded.Server, last, n int) {
	t.Helper()
	c := connect(t, bus.Config{Options: s.InProcess()})
	publish(t, c, newWriter(t, c, bus.Seq(last)), last, n)
}
