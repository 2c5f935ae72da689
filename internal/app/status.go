package app

import (
	"context"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/watch"
)

// Status is the answer to /api/v1/status, and to questwatch status.
type Status struct {
	Instance string         `json:"instance"`
	State    string         `json:"state"`
	Since    string         `json:"since"`
	Error    string         `json:"error,omitempty"`
	Ready    bool           `json:"ready"`
	Reasons  []string       `json:"reasons"`
	Database string         `json:"database"`
	Slot     string         `json:"slot"`
	Marked   string         `json:"marked,omitempty"`
	Read     uint64         `json:"read_sequence"`
	CaughtUp bool           `json:"caught_up"`
	Open     map[string]int `json:"open_findings"`
	// Severe counts the same findings by severity.
	Severe    map[string]int `json:"open_by_severity"`
	Refused   uint64         `json:"refused_reports"`
	Namespace string         `json:"namespace"`
	Behind    float64        `json:"behind_seconds"`
	Kept      *int64         `json:"wal_kept_bytes,omitempty"`
	Safe      *int64         `json:"safe_wal_bytes,omitempty"`
	Alarms    []event.Alarm  `json:"alarms"`
	// Unconfirmed is how much of Postgres's log the slot has not confirmed.
	Unconfirmed *int64 `json:"unconfirmed_wal_bytes,omitempty"`
	// Transactions and Rows were streamed since the program began.
	Transactions uint64 `json:"transactions"`
	Rows         uint64 `json:"rows"`
	// Streams are the JetStream streams, as far as they can be seen now.
	Streams []StreamSize `json:"streams"`
	// Repair is absent where nothing is watched.
	Repair *RepairStatus `json:"repair,omitempty"`
	// Channels are those of alerts.
	Channels []alert.ChannelStatus `json:"alert_channels"`
	// Silences are those of alerts, as far as they can be seen now.
	Silences []alert.Silence `json:"silences"`
	// Verified is how the last comparison of state and database ended.
	Verified *Verification `json:"verified,omitempty"`
	// Audit is how audits by timetable stand, absent where nothing is watched.
	Audit *AuditStatus `json:"audit,omitempty"`
	// Checkpoint is the newest one, if there is one.
	Checkpoint *CheckpointStatus `json:"checkpoint,omitempty"`
}

// StreamSize is how much a stream holds.
type StreamSize struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
}

// RepairStatus is how automatic repairs stand.
type RepairStatus struct {
	Mode string `json:"mode"`
	repair.Status
	// Stopped says who stopped them and why, "" while they go on.
	Stopped string `json:"stopped,omitempty"`
}

// CheckpointStatus is the newest checkpoint.
type CheckpointStatus struct {
	Sequence uint64 `json:"sequence"`
	Bytes    int64  `json:"bytes"`
	Stored   string `json:"message_stored"`
	// Took and Paused are 0 where an earlier process took it.
	Took   float64 `json:"took_seconds"`
	Paused float64 `json:"paused_seconds"`
}

// Verification is how the last comparison of state and database ended.
type Verification struct {
	At    string `json:"at"`
	Equal bool   `json:"equal"`
	// Mismatched counts the quests that differed when last any did; 0 since all were
	// found equal.
	Mismatched int    `json:"mismatched"`
	Undecided  int    `json:"undecided"`
	Quests     int    `json:"quests"`
	Took       int64  `json:"took_ms"`
	Error      string `json:"error,omitempty"`
}

// verification is nil before the first comparison has ended.
func (a *App) verification() *Verification {
	if a.verifier == nil {
		return nil
	}
	s := a.verifier.Status()
	if s.At.IsZero() {
		return nil
	}
	out := &Verification{At: event.Stamp(change.MillisOf(s.At)), Mismatched: s.Mismatched}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	if r := s.Result; r != nil {
		out.Equal, out.Undecided, out.Quests, out.Took = r.Equal(), r.Undecided, r.Quests, r.Took
	}
	return out
}

// Status is what the program is doing now.
func (a *App) Status() any { return a.status(context.Background()) }

func (a *App) status(ctx context.Context) *Status {
	s, reasons := a.stream.Status(), a.Reasons()
	var w watch.Status
	if a.watch != nil {
		w = a.watch.Status()
	}
	if reasons == nil {
		reasons = []string{}
	}
	out := &Status{
		Instance: a.instance, State: s.State, Since: event.Stamp(change.MillisOf(s.Since)), Error: s.Err, Ready: len(reasons) == 0, Reasons: reasons,
		Database: a.source.Database(), Slot: a.config.Postgres.Slot, Namespace: a.config.Namespace,
		Read: uint64(w.Read), CaughtUp: w.CaughtUp, Refused: w.Refused.Reports, Open: map[string]int{}, Severe: map[string]int{},
		Transactions: s.Published.Transactions, Rows: s.Published.Rows,
	}
	out.Behind, out.Alarms = s.Behind.Seconds(), append([]event.Alarm{}, a.guard.Alarms()...)
	if u, known := a.guard.Usage(); known {
		out.Kept, out.Unconfirmed = &u.Kept, &u.Unconfirmed
		if u.Safe >= 0 {
			out.Safe = &u.Safe
		}
	}
	out.Verified, out.Audit = a.verification(), a.auditStatus()
	if s.Marked != 0 {
		out.Marked = event.Stamp(s.Marked)
	}
	if c := w.Checkpoint; c.Seq != 0 {
		out.Checkpoint = &CheckpointStatus{
			Sequence: uint64(c.Seq), Bytes: c.Bytes, Stored: event.Stamp(change.MillisOf(c.Stored)),
			Took: c.Took.Seconds(), Paused: c.Paused.Seconds(),
		}
	}
	for r, n := range w.Open {
		out.Open[r.String()] = n
	}
	for severity, n := range w.Severe {
		out.Severe[severity.String()] = n
	}
	out.Channels = a.alerts.Status()
	streams, silences, brake := a.glance.look(ctx, a)
	out.Streams, out.Silences, out.Repair = streams, silences, a.repairStatus(brake)
	return out
}

func (a *App) repairStatus(brake *remedy.Brake) *RepairStatus {
	if a.repairer == nil {
		return nil
	}
	s := &RepairStatus{Mode: a.config.Repair.Mode, Status: a.repairer.Status()}
	if brake != nil {
		s.Stopped = brake.String()
	}
	return s
}
