package event

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
)

// Severities of an alarm.
const (
	// Critical: changes do not arrive now, or some are about to be lost.
	Critical = "critical"
	// Warning: changes arrive, and will not for long unless somebody does something.
	Warning = "warning"
)

// Alarm is the data of stream.stalled and stream.recovered. Of its numbers those are
// set that the reason is about; the list of reasons says which.
type Alarm struct {
	Reason   string `json:"reason"`
	Severity string `json:"severity"`
	// Since is when it began, Until when it was over; 0 while it is not.
	Since change.Millis `json:"since_ms"`
	Until change.Millis `json:"until_ms,omitempty"`
	// Bytes and Seconds were measured when the event was made, the limits are what
	// they were measured against.
	Bytes        int64 `json:"bytes,omitempty"`
	LimitBytes   int64 `json:"limit_bytes,omitempty"`
	Seconds      int64 `json:"seconds,omitempty"`
	LimitSeconds int64 `json:"limit_seconds,omitempty"`
	// LSN and Sequence say where, What what kind of thing is there.
	LSN      change.LSN `json:"lsn,omitempty"`
	Sequence uint64     `json:"sequence,omitempty"`
	What     string     `json:"what,omitempty"`
	// Holder is who keeps the server from letting go of its log.
	Holder *Holder `json:"holder,omitempty"`
}

// Holder is a transaction that has been open for long.
type Holder struct {
	// PID is its server process; 0 for a prepared transaction, which has none.
	PID int64 `json:"pid"`
	// Seconds is its age; -1 where we may not know.
	Seconds int64 `json:"seconds"`
	// Database is where it runs.
	Database string `json:"database,omitempty"`
}

// OfAlarm is the event of an alarm's beginning, or of its end when it has one. Its
// id is made of the namespace, the reason and the beginning, so that publishing it
// again is harmless. It has no position: the CDC stream does not speak of it.
func OfAlarm(namespace string, a *Alarm) Event {
	what, at := "stalled", a.Since
	if a.Until != 0 {
		what, at = "recovered", a.Until
	}
	kind := "stream." + what
	return Event{
		ID: hashed(kind, "%s %s %d", namespace, a.Reason, a.Since), Group: "stream", What: what, Detail: a.Reason, Time: at, Data: *a,
	}
}

// AlarmOf reads an alarm out of an encoded event.
func AlarmOf(data []byte) (Alarm, error) {
	var env struct {
		Data Alarm `json:"data"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return Alarm{}, fmt.Errorf("read alarm: %w", err)
	}
	if env.Data.Reason == "" {
		return Alarm{}, errors.New("read alarm: it has no reason")
	}
	return env.Data, nil
}

// Positioned are the subjects, behind "<namespace>.events.", of the events that
// carry a Position.
func Positioned() []string {
	return []string{
		"drift.>", "approval.>", "status.>", "repair.planned.>", "repair.applied.>", "repair.undone.>",
		"stream.gap.>", "stream.epoch.>", "stream.truncated.>", "stream.schema_changed.>",
	}
}
