package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Origin says where a finding comes from.
type Origin string

// A finding comes from a step that the stream saw, or was there before it.
const (
	FromStream   Origin = "stream"
	FromBaseline Origin = "baseline"
)

// Where is the transaction, or the baseline, after which a quest was judged.
type Where struct {
	Epoch       uint64
	Transaction change.Transaction
	Origin      Origin
}

// Finding is a violation with its history.
type Finding struct {
	// ID is the same whenever the same stream is read. A suspicion has none yet:
	// most are gone before anybody could ask for it.
	ID        string
	Quest     int64
	Title     string
	User      string // "" for a rule about the whole quest
	Violation rule.Violation
	Suggested string // the user id, "" where there is none
	// Where is what began the violation.
	Where Where
	// Since is when the violation began, in stream time; Due is Since and the
	// grace, and the moment of opening.
	Since, Due change.Millis
}

// What says what happened to a finding.
type What string

// The transitions that others hear of.
const (
	Opened   What = "opened"
	Resolved What = "resolved"
)

// Reason says why a finding was resolved.
type Reason string

// The reasons.
const (
	// Healed: the rule holds again.
	Healed Reason = "healed"
	// CauseChanged: it is still violated, but for a graver cause, which is a
	// finding of its own.
	CauseChanged Reason = "cause_changed"
	// Restated: a later baseline does not show it any more, whatever became of it
	// and of its quest.
	Restated Reason = "baseline"
	// QuestGone: the quest was deleted, softly or outright; nothing was mended.
	QuestGone Reason = "quest_gone"
)

// Transition is what happened to a finding, and when.
type Transition struct {
	What    What
	Finding Finding
	At      change.Millis
	// By and Reason belong to Resolved.
	By     Where
	Reason Reason
}

// Summary counts what a baseline was found to violate.
type Summary struct {
	Where  Where
	At     change.Millis
	Quests int
	ByRule map[rule.Rule]int
	// BySeverity counts the same findings by how much they matter.
	BySeverity map[rule.Severity]int
}

// findingID is a hash of what makes a finding one.
func findingID(namespace string, f *Finding) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %s %d %q %d %d",
		namespace, f.Violation.Rule, f.Quest, f.User, f.Where.Epoch, uint64(f.Where.Transaction.CommitLSN)))
	return hex.EncodeToString(sum[:10])
}

func (t *Tracker) newFinding(q *quest.Quest, v rule.Violation, where Where) Finding {
	f := Finding{
		Quest: q.ID, Title: q.ShownTitle(), User: t.users.Text(v.User), Suggested: t.users.Text(v.Suggested),
		Violation: v, Where: where,
		Since: max(where.Transaction.Time, t.now),
	}
	f.Due = f.Since.Add(t.config.Grace(v.Rule))
	return f
}
