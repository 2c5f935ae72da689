package event

import (
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// Mismatch is the data of audit.mismatch: the checker's state of a quest is not what
// the database holds.
type Mismatch struct {
	QuestID int64 `json:"quest_id"`
	// Differences are at most the first few; More counts the others.
	Differences []quest.Difference `json:"differences"`
	More        int                `json:"more,omitempty"`
	Compared
}

// Mismatches is the data of the summary of a comparison that found differences.
type Mismatches struct {
	// Mismatched counts the quests that differ; QuestIDs are the first of them.
	Mismatched int     `json:"mismatched"`
	QuestIDs   []int64 `json:"quest_ids"`
	// Truncated says that the comparison ended early: there may be more.
	Truncated bool `json:"truncated,omitempty"`
	Compared
}

// Compared says when and where state and database were compared.
type Compared struct {
	Epoch    uint64 `json:"epoch"`
	Sequence uint64 `json:"sequence"`
	// LSN is the position of the database's log at which both were looked at.
	LSN  change.LSN    `json:"lsn"`
	Time change.Millis `json:"ts_ms"`
}

// OfMismatch is the event of one quest that differs.
func OfMismatch(namespace string, m *Mismatch) Event {
	return mismatch(namespace, "state", m.QuestID, &m.Compared, *m)
}

// OfMismatches is the event of all of them.
func OfMismatches(namespace string, m *Mismatches) Event {
	return mismatch(namespace, "summary", 0, &m.Compared, *m)
}

// mismatch makes the id of what was compared where, so that publishing an event
// again is harmless.
func mismatch(namespace, detail string, id int64, at *Compared, data any) Event {
	const kind = "audit.mismatch"
	return Event{
		ID: hashed(kind, "%s %s %d %d %d %d", namespace, detail, id, at.Epoch, at.Sequence, at.LSN), Group: "audit", What: "mismatch", Detail: detail, Quest: id, Time: at.Time, Data: data,
	}
}
