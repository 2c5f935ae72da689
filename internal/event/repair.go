package event

import (
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/rule"
)

// Remedy is what the data of all events about one repair has.
type Remedy struct {
	Finding   string     `json:"finding"`
	Rule      rule.Rule  `json:"rule"`
	Cause     rule.Cause `json:"cause"`
	Action    string     `json:"action"`
	QuestID   int64      `json:"quest_id"`
	UserID    *string    `json:"user_id"`
	Automatic bool       `json:"automatic"`
}

// Planned is the data of repair.planned. Automatic says that nobody has to ask for the
// repair.
type Planned struct {
	Remedy
	// Transaction is the one that began the violation.
	Transaction Transaction `json:"transaction"`
	Position    Position    `json:"position"`
}

// Repaired is the data of repair.applied and repair.undone.
type Repaired struct {
	Remedy
	// Entry is the journal's entry; Undoes, of repair.undone, the one it took back.
	Entry  int64  `json:"entry"`
	Undoes int64  `json:"undoes,omitempty"`
	Actor  string `json:"actor"`
	// Transaction is the repair's own; AfterCommitMS is the time from the commit that
	// began the violation to its commit, absent where the stream did not see the first.
	Transaction   Transaction `json:"transaction"`
	AfterCommitMS *int64      `json:"after_commit_ms,omitempty"`
	Position      Position    `json:"position"`
}

// NotRepaired is the data of repair.skipped and repair.failed.
type NotRepaired struct {
	Remedy
	// Reason is a word: see the package's comment. Error says more, where there is more.
	Reason string `json:"reason"`
	Error  string `json:"error,omitempty"`
	Actor  string `json:"actor"`
	// Time is when, by our own clock.
	Time change.Millis `json:"ts_ms"`
}

// Halt is the data of repair.halted and repair.resumed.
type Halt struct {
	// Reason is a word, see the package's comment.
	Reason   string `json:"reason"`
	Severity string `json:"severity"`
	// Since is when automatic repairs stopped, Until when they went on; 0 while they
	// do not. Actor is who let them go on.
	Since change.Millis `json:"since_ms"`
	Until change.Millis `json:"until_ms,omitempty"`
	Actor string        `json:"actor,omitempty"`
	// Opened findings were too many for the limits, of Quests quests in all.
	Opened       int   `json:"opened"`
	LimitOpened  int   `json:"limit_opened"`
	Quests       int   `json:"quests"`
	LimitPercent int64 `json:"limit_percent"`
}

// OfPlan is the event of a finding that was opened and has a plan.
func OfPlan(f *drift.Finding, at change.Millis, action string, automatic bool, position Position) Event {
	panic("coming")
}

// OfRepaired is the event of a repair, or of its undoing, as its own transaction tells
// it in the stream.
func OfRepaired(r *change.Repaired, which rule.Rule, told Told) Event {
	panic("coming")
}

// OfSkipped is the event of a finding that needed no repair any more, OfFailed that of
// a repair that could not be made. Their ids are made of the namespace, the finding and
// the time, so that publishing one again is harmless.
func OfSkipped(namespace string, n *NotRepaired) Event { panic("coming") }

// OfFailed is described at OfSkipped.
func OfFailed(namespace string, n *NotRepaired) Event { panic("coming") }

// OfHalt is the event of automatic repairs that stopped by themselves, or that of their
// going on when it has an Until.
func OfHalt(namespace string, h *Halt) Event { panic("coming") }
