package event

import (
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/rule"
)

// Finding is a finding's public form: the data of drift.opened and
// drift.resolved, and the value in the findings bucket.
type Finding struct {
	Finding        string        `json:"finding"`
	Rule           rule.Rule     `json:"rule"`
	Cause          rule.Cause    `json:"cause"`
	Severity       rule.Severity `json:"severity"`
	Action         rule.Action   `json:"action"`
	Origin         drift.Origin  `json:"origin"`
	QuestID        int64         `json:"quest_id"`
	QuestTitle     string        `json:"quest_title"`
	UserID         *string       `json:"user_id"`
	ApplicationID  *int64        `json:"application_id"`
	ParticipantIDs []int64       `json:"participant_ids"`
	// ApplicationIDs are those of a quest that does not exist.
	ApplicationIDs []int64 `json:"application_ids,omitempty"`
	SuggestedUser  *string `json:"suggested_user_id"`
	Expected       string  `json:"expected"`
	Actual         string  `json:"actual"`
	// Transaction is the one that began the violation.
	Transaction Transaction `json:"transaction"`
	SuspectedAt string      `json:"suspected_at"`
	OpenedAt    string      `json:"opened_at"`
	GraceMS     int64       `json:"grace_ms"`
	// ResolvedAt, ResolvedBy, Reason and OpenMS belong to drift.resolved.
	ResolvedAt string       `json:"resolved_at,omitempty"`
	ResolvedBy *Transaction `json:"resolved_by,omitempty"`
	Reason     drift.Reason `json:"reason,omitempty"`
	OpenMS     *int64       `json:"open_ms,omitempty"`
	Position   Position     `json:"position"`
}

// Transaction names a transaction; ID 0 is a baseline.
type Transaction struct {
	ID        uint64        `json:"id"`
	CommitLSN change.LSN    `json:"commit_lsn"`
	EndLSN    change.LSN    `json:"end_lsn,omitempty"`
	Time      change.Millis `json:"ts_ms"`
	Epoch     uint64        `json:"epoch"`
}

func transactionOf(w drift.Where) Transaction {
	t := w.Transaction
	return Transaction{ID: t.ID, CommitLSN: t.CommitLSN, EndLSN: t.EndLSN, Time: t.Time, Epoch: w.Epoch}
}

// OfTransition is the event of a finding's opening or resolution.
func OfTransition(t *drift.Transition, at Position) Event {
	f := FindingOf(&t.Finding)
	f.Position = at
	if t.What == drift.Resolved {
		by, open := transactionOf(t.By), int64(t.At-t.Finding.Due)
		f.ResolvedAt, f.ResolvedBy, f.Reason, f.OpenMS = Stamp(t.At), &by, t.Reason, &open
	}
	return Event{
		ID: t.Finding.ID + "." + string(t.What), Group: "drift", What: string(t.What),
		Detail: t.Finding.Violation.Rule.String(), Quest: t.Finding.Quest, Time: t.At, Data: f,
	}
}

// FindingOf is a finding's public form.
func FindingOf(f *drift.Finding) Finding {
	v := &f.Violation
	ids := v.Participants
	if ids == nil {
		ids = []int64{}
	}
	return Finding{
		Finding: f.ID, Rule: v.Rule, Cause: v.Cause, Severity: v.Severity, Action: rule.ActionFor(v.Rule, v.Cause), Origin: f.Where.Origin,
		QuestID: f.Quest, QuestTitle: f.Title,
		UserID: optional(f.User), ApplicationID: optional(v.Application), ParticipantIDs: ids, ApplicationIDs: v.Applications,
		SuggestedUser: optional(f.Suggested),
		Expected:      rule.Expected(v.Rule), Actual: rule.Actual(v),
		Transaction: transactionOf(f.Where),
		SuspectedAt: Stamp(f.Since), OpenedAt: Stamp(f.Due),
		GraceMS: ms(time.Duration(f.Due-f.Since) * time.Millisecond),
	}
}

// OfOpen is the event that told of an open finding, but for its position.
func OfOpen(f *Finding) (Event, error) {
	at, err := time.Parse(time.RFC3339, f.OpenedAt)
	if err != nil {
		return Event{}, fmt.Errorf("read when finding %s was opened: %w", f.Finding, err)
	}
	return Event{
		ID: f.Finding + "." + string(drift.Opened), Group: "drift", What: string(drift.Opened), Detail: f.Rule.String(),
		Quest: f.QuestID, Time: change.MillisOf(at), Data: *f,
	}, nil
}

// optional is nil for the zero value: JSON null.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Baseline is the data of drift.baseline: one summary of what was there before.
type Baseline struct {
	Epoch      uint64                `json:"epoch"`
	LSN        change.LSN            `json:"lsn"`
	Time       change.Millis         `json:"ts_ms"`
	Quests     int                   `json:"quests"`
	Findings   int                   `json:"findings"`
	ByRule     map[rule.Rule]int     `json:"by_rule"`
	BySeverity map[rule.Severity]int `json:"by_severity"`
	Position   Position              `json:"position"`
}

// OfSummary is the event of a baseline's summary.
func OfSummary(s *drift.Summary, at Position) Event {
	b := Baseline{
		Epoch: s.Where.Epoch, LSN: s.Where.Transaction.EndLSN, Time: s.Where.Transaction.Time,
		Quests: s.Quests, ByRule: s.ByRule, BySeverity: s.BySeverity, Position: at,
	}
	for _, n := range s.ByRule {
		b.Findings += n
	}
	return Event{
		ID: hash("baseline", s.Where.Epoch, uint64(b.LSN)), Group: "drift", What: "baseline",
		Detail: "summary", Time: s.At, Data: b,
	}
}
