package event

import (
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Why says which kind of approval event one is: the third token of its subject.
type Why string

// The reasons of approval.failed, then those of approval.reset.
const (
	// Silent: the approval committed and no participant came. A drift.opened of the
	// same finding goes before it.
	Silent Why = "silent"
	// Reverted: it became pending again within a minute, and no participant had come.
	Reverted Why = "reverted"
	// Reported: the application said so after it had rolled everything back.
	Reported Why = "reported"
	// Late: it became pending again after more than a minute, or after an approval that
	// the stream did not see.
	Late Why = "late"
	// Fulfilled: it became pending again after its participant had come.
	Fulfilled Why = "fulfilled"
)

// Approval is the data of approval.failed and approval.reset.
type Approval struct {
	Reason        Why           `json:"reason"`
	Severity      rule.Severity `json:"severity"`
	QuestID       int64         `json:"quest_id"`
	QuestTitle    string        `json:"quest_title"`
	ApplicationID int64         `json:"application_id"`
	UserID        string        `json:"user_id"`
	// Finding is that of a silent failure.
	Finding string `json:"finding,omitempty"`
	// Error is the class of the error that the application reported. It is the word of
	// whoever may write to the database.
	Error string `json:"error,omitempty"`
	// ApprovedLSN and ApprovedAt are the approval that was taken back; 0 and absent
	// where the stream did not see it.
	ApprovedLSN change.LSN `json:"approved_lsn,omitempty"`
	ApprovedAt  string     `json:"approved_at,omitempty"`
	// Transaction is the one that approved in a silent failure, else the one that took
	// the approval back or carried the report.
	Transaction Transaction `json:"transaction"`
	Position    Position    `json:"position"`
}

// Regression is the data of status.regressed.
type Regression struct {
	Severity    rule.Severity `json:"severity"`
	QuestID     int64         `json:"quest_id"`
	QuestTitle  string        `json:"quest_title"`
	From        string        `json:"from"`
	To          string        `json:"to"`
	Transaction Transaction   `json:"transaction"`
	Position    Position      `json:"position"`
}

// OfSilentFailure is the approval.failed that belongs to an opened finding, and
// false for a transition that is nothing of the kind. What a baseline showed is told in
// its summary alone.
func OfSilentFailure(t *drift.Transition, at Position) (Event, bool) {
	f := &t.Finding
	v := &f.Violation
	if t.What != drift.Opened || f.Where.Origin != drift.FromStream || v.Rule != rule.MissingParticipant || v.Cause != rule.ApprovalFailed {
		return Event{}, false
	}
	return ofApproval("failed", f.ID+".failed", t.At, &Approval{
		Reason: Silent, Severity: v.Severity, QuestID: f.Quest, QuestTitle: f.Title, ApplicationID: v.Application, UserID: f.User,
		Finding: f.ID, Transaction: transactionOf(f.Where), Position: at,
	}), true
}

// Told is where and when a turn or a report was seen.
type Told struct {
	Where drift.Where
	// At is its time: the transaction's, never before stream time.
	At       change.Millis
	Position Position
}

// OfTurn is the event of something that a transaction turned back.
func OfTurn(namespace string, q *quest.Quest, users *quest.Users, t *rule.Turn, told Told) Event {
	tx := transactionOf(told.Where)
	if t.Kind == rule.StatusRegressed {
		return Event{
			ID: idOf("regressed", namespace, q.ID, t.From, t.To, tx.Epoch, tx.CommitLSN), Group: "status", What: "regressed",
			Detail: t.From.String() + "_to_" + t.To.String(), Quest: q.ID, Time: told.At,
			Data: Regression{
				Severity: t.Severity, QuestID: q.ID, QuestTitle: q.ShownTitle(), From: t.From.String(), To: t.To.String(),
				Transaction: tx, Position: told.Position,
			},
		}
	}
	r := &t.Reversal
	a := Approval{
		Reason: Reverted, Severity: t.Severity, QuestID: q.ID, QuestTitle: q.ShownTitle(), ApplicationID: r.Application, UserID: users.Text(r.User),
		ApprovedLSN: r.Approved, Transaction: tx, Position: told.Position,
	}
	if r.Approved != 0 {
		a.ApprovedAt = Stamp(r.At)
	}
	what := "failed"
	if t.Kind == rule.ApprovalReset {
		what, a.Reason = "reset", Late
		if r.Met {
			a.Reason = Fulfilled
		}
	}
	return ofApproval(what, idOf("reversal", namespace, q.ID, r.Application, tx.Epoch, tx.CommitLSN), told.At, &a)
}

// OfReport is the event of the application's word that an approval failed.
func OfReport(namespace string, q *quest.Quest, user string, r *change.Report, told Told) Event {
	tx := transactionOf(told.Where)
	return ofApproval("failed", idOf("reported", namespace, q.ID, r.ApplicationID, tx.Epoch, tx.CommitLSN, told.Where.Transaction.Message), told.At, &Approval{
		Reason: Reported, Severity: rule.Warning, QuestID: q.ID, QuestTitle: q.ShownTitle(), ApplicationID: r.ApplicationID, UserID: user,
		Error: r.Error, Transaction: tx, Position: told.Position,
	})
}

func ofApproval(what, id string, at change.Millis, a *Approval) Event {
	return Event{ID: id, Group: "approval", What: what, Detail: string(a.Reason), Quest: a.QuestID, Time: at, Data: *a}
}

// idOf is an event's id: a hash of what makes it one.
func idOf(kind string, parts ...any) string {
	return hashed(kind, "%v", parts)
}
