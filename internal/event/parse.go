package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// Parse reads an encoded event back. Its Data is of the type that an event of its group
// and what has, or a json.RawMessage for a kind that this version does not know. Fields
// that it does not know are passed over: within a version they may be added.
func Parse(data []byte) (Event, error) {
	var env struct {
		ID      string          `json:"id"`
		Type    string          `json:"type"`
		Subject string          `json:"subject"`
		Time    time.Time       `json:"time"`
		Data    json.RawMessage `json:"data"`
	}
	err := json.Unmarshal(data, &env)
	if err == nil && (env.ID == "" || env.Data == nil) {
		err = errors.New("it has no id or no data")
	}
	if err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	e := Event{ID: env.ID, Time: change.MillisOf(env.Time)}
	if e.Group, e.What, err = kindOf(env.Type); err == nil && env.Subject != "" {
		e.Quest, err = strconv.ParseInt(strings.TrimPrefix(env.Subject, "quest/"), 10, 64)
	}
	if err == nil {
		e.Data, err = e.decode(env.Data)
	}
	if err != nil {
		return Event{}, fmt.Errorf("read event %q of type %q: %w", env.ID, env.Type, err)
	}
	e.Detail = detailOf(e.Data)
	return e, nil
}

// kindOf takes a type apart.
func kindOf(text string) (group, what string, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 5 || parts[0] != "dev" || parts[1] != "questwatch" || parts[4] != "v1" {
		return "", "", errors.New("it is of another kind or version")
	}
	return parts[2], parts[3], nil
}

func (e *Event) decode(data json.RawMessage) (any, error) {
	switch e.Group + "." + e.What {
	case "drift.opened", "drift.resolved":
		return decodeAs[Finding](data)
	case "drift.baseline":
		return decodeAs[Baseline](data)
	case "approval.failed", "approval.reset":
		return decodeAs[Approval](data)
	case "status.regressed":
		return decodeAs[Regression](data)
	case "stream.gap", "stream.epoch", "stream.truncated", "stream.schema_changed":
		return decodeAs[Continuity](data)
	case "stream.stalled", "stream.recovered":
		return decodeAs[Alarm](data)
	case "audit.completed":
		return decodeAs[Audited](data)
	case "audit.failed":
		return decodeAs[AuditFailure](data)
	case "audit.mismatch":
		return e.decodeMismatch(data)
	case "repair.planned":
		return decodeAs[Planned](data)
	case "repair.applied", "repair.undone":
		return decodeAs[Repaired](data)
	case "repair.skipped", "repair.failed":
		return decodeAs[NotRepaired](data)
	case "repair.halted", "repair.resumed":
		return decodeAs[Halt](data)
	case "alert.test":
		return decodeAs[Trial](data)
	case "alert.undelivered":
		return decodeAs[Undelivered](data)
	}
	return data, nil
}

// decodeMismatch: those that audits tell of say which kind they are.
func (e *Event) decodeMismatch(data json.RawMessage) (any, error) {
	var of struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(data, &of); err != nil {
		return nil, err
	}
	switch {
	case of.Kind == mismatchFinding:
		return decodeAs[Disagreement](data)
	case of.Kind == mismatchFindings:
		return decodeAs[Disagreements](data)
	case e.Quest != 0:
		return decodeAs[Mismatch](data)
	}
	return decodeAs[Mismatches](data)
}

func decodeAs[T any](data json.RawMessage) (any, error) {
	var v T
	err := json.Unmarshal(data, &v)
	return v, err
}

// detailOf is the third token of the subject: the rule, the reason or the kind.
func detailOf(data any) string {
	switch d := data.(type) {
	case Finding:
		return d.Rule.String()
	case Baseline, Mismatches:
		return "summary"
	case Approval:
		return string(d.Reason)
	case Regression:
		return strings.ReplaceAll(d.From+"_to_"+d.To, "-", "_")
	case Continuity:
		switch {
		case d.Reason != "":
			return d.Reason
		case d.Columns != nil:
			return "columns"
		}
		return "truncate"
	case Alarm:
		return d.Reason
	case Mismatch:
		return "state"
	case Audited:
		return d.Kind
	case AuditFailure:
		return d.Kind
	case Disagreement:
		return d.Kind
	case Disagreements:
		return d.Kind
	case Planned:
		return d.Rule.String()
	case Repaired:
		return d.Rule.String()
	case NotRepaired:
		return d.Rule.String()
	case Halt:
		return d.Reason
	case Trial:
		return d.Channel
	case Undelivered:
		return d.Channel
	}
	return ""
}
