package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/stream"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	c, dsn, _ := onServer(t)
	first := spawn(t, c)
	first.says(t, "msg=streaming")
	load := startTraffic(t, dsn, 2)
	load.more(t, 50)

	c.Data = t.TempDir()
	second := start(t, c, dsn)
	testkit.Eventually(t, 10*time.Second, func() error {
		if reasons := strings.Join(second.Reasons(), "; "); !strings.Contains(reasons, "standby since") {
			return fmt.Errorf("reasons: %q", reasons)
		}
		return nil
	})
	load.more(t, 100)
	if second.stream.Status().Streaming() {
		t.Error("two instances stream")
	}

	killed := time.Now()
	first.kill()
	testkit.Eventually(t, 15*time.Second, func() error {
		if !second.stream.Status().Streaming() {
			return errors.New("no takeover")
		}
		return nil
	})
	t.Logf("took over after %v", time.Since(killed))
	load.more(t, 100)
	load.stop()
	s := second.verify(t)
	if b, e := s.count("baseline_end"), s.count("epoch"); b != 1 || e != 2 {
		t.Errorf("%d baselines and %d epochs, want 1 and 2", b, e)
	}
}

func TestBusySlotWithoutWaiting(t *testing.T) {
	t.Parallel()
	c, dsn, _ := onServer(t)
	start(t, c, dsn).ready(t)

	c.Data = t.TempDir()
	second, err := New(t.Context(), c, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context(), false); !errors.Is(err, stream.ErrBusy) {
		t.Errorf("run: %v, want ErrBusy", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// Two instances that begin on a fresh database at once must not undo each other's
// baseline.
func TestTwoInstancesStartAtOnce(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	exec1(t, dsn, manyQuests)
	c := settings(t, dsn)
	c.NATS.URL = server.URL()
	instances := [2]*running{}
	for i := range instances {
		c.Data = t.TempDir()
		instances[i] = start(t, c, dsn)
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		one, two := instances[0].stream.Status(), instances[1].stream.Status()
		if one.Streaming() == two.Streaming() || one.State != "standby" && two.State != "standby" {
			return fmt.Errorf("%q (%s) and %q (%s)", one.State, one.Err, two.State, two.Err)
		}
		return nil
	})
	active, other := instances[0], instances[1]
	if other.stream.Status().Streaming() {
		active, other = other, active
	}
	other.stop(t)
	s := active.verify(t)
	if b, e := s.count("baseline_begin"), s.count("epoch"); b != 1 || e != 1 {
		t.Errorf("%d baselines and %d epochs, want 1 and 1", b, e)
	}
}
