package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/testkit"
)

// alarmRecord is a stalled or recovered event as a subscriber gets it.
type alarmRecord struct {
	ID, Type, Time string
	subject        string
	Data           struct {
		Reason       string `json:"reason"`
		Severity     string `json:"severity"`
		Since        int64  `json:"since_ms"`
		Until        int64  `json:"until_ms"`
		Bytes        int64  `json:"bytes"`
		LimitBytes   int64  `json:"limit_bytes"`
		Seconds      int64  `json:"seconds"`
		LimitSeconds int64  `json:"limit_seconds"`
		LSN          uint64 `json:"lsn"`
		Sequence     uint64 `json:"sequence"`
		What         string `json:"what"`
		Holder       *struct {
			PID     int64 `json:"pid"`
			Seconds int64 `json:"seconds"`
		} `json:"holder"`
	}
}

func (a *alarmRecord) recovered() bool { return strings.HasSuffix(a.Type, ".stream.recovered.v1") }

// alarmEvents are those of a reason so far.
func alarmEvents(t *testing.T, b *bus.Conn, reason string) (list []alarmRecord) {
	t.Helper()
	filters := []string{b.EventSubject("stream.stalled." + reason + "._"), b.EventSubject("stream.recovered." + reason + "._")}
	err := b.ConsumeEvents(t.Context(), filters, 0, func(m bus.Message) error {
		var a alarmRecord
		decode(t, m.Data, &a)
		a.subject = m.Subject
		list = append(list, a)
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return list
}

// toldOnce waits until an alarm was told once and is over, and returns its
// beginning. It is nothing else than what began between the two times.
func (r *running) toldOnce(t *testing.T, reason string, from, to time.Time) alarmRecord {
	t.Helper()
	var list []alarmRecord
	testkit.Eventually(t, 30*time.Second, func() error {
		if list = alarmEvents(t, r.Bus(), reason); len(list) < 2 {
			return fmt.Errorf("events of %s: %+v", reason, list)
		}
		return nil
	})
	if len(list) != 2 || list[0].recovered() || !list[1].recovered() || list[0].Data.Since != list[1].Data.Since {
		t.Fatalf("events of %s: %+v", reason, list)
	}
	if since := list[0].Data.Since; since < from.UnixMilli() || since > to.UnixMilli() {
		t.Errorf("%s began at %s, want a time from %s to %s", reason, time.UnixMilli(since), from, to)
	}
	if until := list[1].Data.Until; until < to.UnixMilli() {
		t.Errorf("%s was over at %s, before %s", reason, time.UnixMilli(until), to)
	}
	return list[0]
}

// alarm waits until an alarm is raised, and says so in the status too.
func (r *running) alarm(t *testing.T, reason string) {
	t.Helper()
	testkit.Eventually(t, 40*time.Second, func() error {
		for _, a := range r.Status().(*Status).Alarms {
			if a.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("no alarm %s; alarms %+v, reasons %q", reason, r.Status().(*Status).Alarms, r.Reasons())
	})
}

// unreadyFor waits until a reason is among those for not being ready.
func (r *running) unreadyFor(t *testing.T, reason string) {
	t.Helper()
	testkit.Eventually(t, 40*time.Second, func() error {
		if all := r.Reasons(); !strings.Contains(strings.Join(all, "\n"), reason) {
			return fmt.Errorf("reasons %q, want %q", all, reason)
		}
		return nil
	})
}

// walsender is the server process that streams to us, and how long ago it heard
// from us.
func walsender(t *testing.T, r *running) (pid int, silent time.Duration) {
	t.Helper()
	var seconds float64
	query(t, r.dsn, fmt.Sprintf(`SELECT pid, extract(epoch FROM clock_timestamp() - reply_time)::float8 FROM pg_stat_replication
		JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = '%s'`, r.config.Postgres.Slot), &pid, &seconds)
	return pid, time.Duration(seconds * float64(time.Second))
}

// keptAlive checks, for longer than the server would wait, that the walsender stays
// and hears from us.
func (r *running) keptAlive(t *testing.T, pid int, during time.Duration) {
	t.Helper()
	end := time.Now().Add(during)
	testkit.Eventually(t, during+10*time.Second, func() error {
		now, silent := walsender(t, r)
		if now != pid || silent > r.config.Postgres.SenderTimeout {
			t.Fatalf("walsender %d has heard nothing for %s; before it was %d", now, silent, pid)
		}
		if time.Now().Before(end) {
			return errors.New("not long enough yet")
		}
		return nil
	})
}
