package app

import (
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/watch"
)

// status is the answer to /api/v1/status.
type status struct {
	State     string         `json:"state"`
	Since     string         `json:"since"`
	Error     string         `json:"error,omitempty"`
	Ready     bool           `json:"ready"`
	Reasons   []string       `json:"reasons"`
	Database  string         `json:"database"`
	Slot      string         `json:"slot"`
	Marked    string         `json:"marked,omitempty"`
	Read      uint64         `json:"read_sequence"`
	CaughtUp  bool           `json:"caught_up"`
	Open      map[string]int `json:"open_findings"`
	Refused   uint64         `json:"refused_reports"`
	Namespace string         `json:"namespace"`
	Behind    float64        `json:"behind_seconds"`
	Kept      *int64         `json:"wal_kept_bytes,omitempty"`
	Safe      *int64         `json:"safe_wal_bytes,omitempty"`
	Alarms    []event.Alarm  `json:"alarms"`
	// Verified is how the last comparison of state and database ended.
	Verified *verification `json:"verified,omitempty"`
	// Checkpoint is the newest one, if there is one.
	Checkpoint *checkpointStatus `json:"checkpoint,omitempty"`
}

type checkpointStatus struct {
	Sequence uint64 `json:"sequence"`
	Bytes    int64  `json:"bytes"`
	Stored   string `json:"message_stored"`
	// Took and Paused are 0 where an earlier process took it.
	Took   float64 `json:"took_seconds"`
	Paused float64 `json:"paused_seconds"`
}

type verification struct {
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
func (a *App) verification() *verification {
	if a.verifier == nil {
		return nil
	}
	s := a.verifier.Status()
	if s.At.IsZero() {
		return nil
	}
	out := &verification{At: event.Stamp(change.MillisOf(s.At)), Mismatched: s.Mismatched}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	if r := s.Result; r != nil {
		out.Equal, out.Undecided, out.Quests, out.Took = r.Equal(), r.Undecided, r.Quests, r.Took
	}
	return out
}

// Status is what the program is doing now.
func (a *App) Status() any {
	s, reasons := a.stream.Status(), a.Reasons()
	var w watch.Status
	if a.watch != nil {
		w = a.watch.Status()
	}
	if reasons == nil {
		reasons = []string{}
	}
	out := status{
		State: s.State, Since: event.Stamp(change.MillisOf(s.Since)), Error: s.Err, Ready: len(reasons) == 0, Reasons: reasons,
		Database: a.source.Database(), Slot: a.config.Postgres.Slot, Namespace: a.config.Namespace,
		Read: uint64(w.Read), CaughtUp: w.CaughtUp, Refused: w.Refused.Reports, Open: map[string]int{},
	}
	out.Behind, out.Alarms = s.Behind.Seconds(), append([]event.Alarm{}, a.guard.Alarms()...)
	if u, known := a.guard.Usage(); known {
		out.Kept = &u.Kept
		if u.Safe >= 0 {
			out.Safe = &u.Safe
		}
	}
	out.Verified = a.verification()
	if s.Marked != 0 {
		out.Marked = event.Stamp(s.Marked)
	}
	if c := w.Checkpoint; c.Seq != 0 {
		out.Checkpoint = &checkpointStatus{
			Sequence: uint64(c.Seq), Bytes: c.Bytes, Stored: event.Stamp(change.MillisOf(c.Stored)),
			Took: c.Took.Seconds(), Paused: c.Paused.Seconds(),
		}
	}
	for r, n := range w.Open {
		out.Open[r.String()] = n
	}
	return out
}
