package app

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// The walsender lives and does nothing: the heartbeat does not come back.
func TestWalsenderFrozen(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.Alarm.Heartbeat = 3 * time.Second
	r := start(t, c, dsn)
	r.ready(t)
	load := startTraffic(t, dsn, 1)
	load.more(t, 20)
	load.stop()
	r.settle(t)
	pid, _ := walsender(t, r)
	from := time.Now()
	send(t, pid, syscall.SIGSTOP)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // a frozen process would hold up the server's end
	r.unreadyFor(t, "heartbeat since")
	if now, _ := walsender(t, r); now != pid {
		t.Errorf("walsender is %d, not %d", now, pid)
	}
	frozen := time.Now()
	send(t, pid, syscall.SIGCONT)
	r.ready(t)
	r.verify(t)
	if a := r.toldOnce(t, "heartbeat", from, frozen); a.Data.Seconds < 3 || a.Data.LimitSeconds != 3 {
		t.Errorf("event %+v", a)
	}
}

func send(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("send %s to process %d: %v", s, pid, err)
	}
}

// The stream runs, but behind: more is written than the network carries.
func TestLagging(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	by, proxy := through(t, dsn)
	c := settings(t, by)
	c.Alarm.Lag = time.Second
	c.Alarm.Heartbeat = time.Minute
	r := start(t, c, dsn)
	r.ready(t)
	from := time.Now()
	proxy.Delay(100 * time.Millisecond)
	exec1(t, dsn, manyQuests)
	r.unreadyFor(t, "lagging since")
	late := time.Now()
	proxy.Delay(0)
	r.verify(t)
	r.toldOnce(t, "lagging", from, late)
}

// What the status says of all this.
func TestStatusOfSpace(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	testkit.Eventually(t, 20*time.Second, func() error {
		data, err := json.Marshal(r.Status())
		if err != nil {
			return err
		}
		var s struct {
			Kept   *int64           `json:"wal_kept_bytes"`
			Behind *float64         `json:"behind_seconds"`
			Alarms *json.RawMessage `json:"alarms"`
		}
		decode(t, data, &s)
		if s.Kept == nil || s.Behind == nil || s.Alarms == nil || string(*s.Alarms) != "[]" {
			return fmt.Errorf("status %s", data)
		}
		return nil
	})
}
