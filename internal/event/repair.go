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

// Planned is the data of repair.planned.
type Planned struct {
	Remedy
	// Transaction is the one that began the violation.
	Transaction Transaction `json:"transaction"`
	Position    Position    `json:"position"`
}

// Repaired is the data of repair.applied and repair.undone.
type Repaired struct {
	Remedy
	// Entry is the journal's entry; Undoes, of repair.undone, the one that it took back.
	Entry  int64  `json:"entry"`
	Undoes int64  `json:"undoes,omitempty"`
	Actor  string `json:"actor"`
	// Transaction is the repair's own. AfterCommitMS is the time to its commit from the
	// one that began the violation, by the database's clock; absent where the stream did
	// not see that one.
	Transaction   Transaction `json:"transaction"`
	AfterCommitMS *int64      `json:"after_commit_ms,omitempty"`
	Position      Position    `json:"position"`
}

// NotRepaired is the data of repair.skipped and repair.failed.
type NotRepaired struct {
	Remedy
	// Severity is info for what was skipped, warning for what failed.
	Severity rule.Severity `json:"severity"`
	// Reason is a word, see the package's comment; Error says more, where there is more
	// to say.
	Reason string `json:"reason"`
	Error  string `json:"error,omitempty"`
	Actor  string `json:"actor"`
	// Time is when, by our own clock.
	Time change.Millis `json:"ts_ms"`
}

// Halt is the data of repair.halted and repair.resumed.
type Halt struct {
	Reason   string `json:"reason"` // a word, see the package's comment
	Severity string `json:"severity"`
	// Since is when automatic repairs stopped, Until when they went on; 0 while they
	// have not. Actor is who let them go on.
	Since change.Millis `json:"since_ms"`
	Until change.Millis `json:"until_ms,omitempty"`
	Actor string        `json:"actor,omitempty"`
	// Opened findings were more than LimitOpened, or than LimitPercent of Quests.
	Opened       int `json:"opened"`
	LimitOpened  int `json:"limit_opened"`
	Quests       int `json:"quests"`
	LimitPercent int `json:"limit_percent"`
}

// OfPlan is the event of a finding that was opened and has a plan. Automatic says that
// nobody has to ask for the repair.
func OfPlan(t *drift.Transition, action string, automatic bool, at Position) Event {
	f := &t.Finding
	p := Planned{
		Remedy: Remedy{
			Finding: f.ID, Rule: f.Violation.Rule, Cause: f.Violation.Cause, Action: action,
			QuestID: f.Quest, UserID: optional(f.User), Automatic: automatic,
		},
		Transaction: transactionOf(f.Where), Position: at,
	}
	return ofRepair("planned", f.ID+".planned", t.At, &p.Remedy, p)
}

// OfRepaired is the event of a repair, or of the undoing of one, as the transaction
// that made it tells in the stream.
func OfRepaired(r *change.Repaired, which rule.Rule, told Told) Event {
	tx := transactionOf(told.Where)
	data := Repaired{
		Remedy: Remedy{
			Finding: r.Finding, Rule: which, Cause: rule.Cause(r.Cause), Action: r.Action,
			QuestID: r.QuestID, UserID: optional(r.UserID), Automatic: r.Automatic,
		},
		Entry: r.Entry, Undoes: r.Undoes, Actor: r.Actor, Transaction: tx, Position: told.Position,
	}
	what := "applied"
	if r.Undoes != 0 {
		what = "undone"
	} else if r.Violated != 0 {
		after := int64(tx.Time - r.Violated)
		data.AfterCommitMS = &after
	}
	id := idOf("repair."+what, r.Namespace, r.Entry, tx.Epoch, tx.CommitLSN, told.Where.Transaction.Message)
	return ofRepair(what, id, told.At, &data.Remedy, data)
}

// OfSkipped is the event of an order that there was nothing to be done about any more,
// OfFailed of one that could not be carried out. Their ids are made of the namespace,
// the finding and the time, so that publishing one again is harmless.
func OfSkipped(namespace string, n *NotRepaired) Event {
	return notRepaired("skipped", rule.Info, namespace, n)
}

// OfFailed is described at OfSkipped.
func OfFailed(namespace string, n *NotRepaired) Event {
	return notRepaired("failed", rule.Warning, namespace, n)
}

func notRepaired(what string, severity rule.Severity, namespace string, n *NotRepaired) Event {
	data := *n
	data.Severity = severity
	return ofRepair(what, idOf("repair."+what, namespace, n.Finding, n.Time), n.Time, &n.Remedy, data)
}

// OfHalt is the event of automatic repairs that have stopped by themselves, or of their
// going on where it has an Until. Its id is made of the namespace and of when they
// stopped, so that publishing it again is harmless.
func OfHalt(namespace string, h *Halt) Event {
	what, at := "halted", h.Since
	if h.Until != 0 {
		what, at = "resumed", h.Until
	}
	return Event{ID: idOf("repair."+what, namespace, h.Since), Group: "repair", What: what, Detail: h.Reason, Time: at, Data: *h}
}

func ofRepair(what, id string, at change.Millis, r *Remedy, data any) Event {
	return Event{ID: id, Group: "repair", What: what, Detail: r.Rule.String(), Quest: r.QuestID, Time: at, Data: data}
}
