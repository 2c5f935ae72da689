package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/terminal"
)

// Result is what a comparison found.
type Result struct {
	// Quests counts the quests that the state held.
	Quests int `json:"quests"`
	// Ranges counts the ranges that were summed up, Differing those whose rows had to
	// be read.
	Ranges    int `json:"ranges"`
	Differing int `json:"differing_ranges"`
	// Rounds counts the snapshots, Beyond how often a quest was left to the next one.
	Rounds int `json:"rounds"`
	Beyond int `json:"beyond"`
	// Undecided counts the quests of which nothing can be said, because transactions
	// were in the way all the time; UndecidedIDs are the first of them.
	Undecided    int     `json:"undecided"`
	UndecidedIDs []int64 `json:"undecided_ids,omitempty"`
	// Mismatched counts the quests that differ; Mismatches are the first of them.
	Mismatched int        `json:"mismatched"`
	Mismatches []Mismatch `json:"mismatches"`
	// Truncated says that so many differ that the comparison was ended early.
	Truncated bool `json:"truncated,omitempty"`
	// Position is that of the last snapshot.
	Position Position `json:"position"`
	Took     int64    `json:"took_ms"`
}

// Position is where state and database were compared.
type Position struct {
	Sequence change.Seq `json:"seq"`
	LSN      change.LSN `json:"lsn"`
	epoch    uint64
}

// Mismatch is a quest that is not in the state what it is in the database.
type Mismatch struct {
	QuestID     int64              `json:"quest_id"`
	Differences []quest.Difference `json:"differences"`
	// More counts the differences that are not listed.
	More int `json:"more,omitempty"`
}

func (m Mismatch) String() string { return fmt.Sprintf("quest %d: %s", m.QuestID, m.text()) }

func (m Mismatch) text() string {
	texts := make([]string, len(m.Differences))
	for i, d := range m.Differences {
		texts[i] = terminal.Clean(d.String())
	}
	text := strings.Join(texts, "; ")
	if m.More > 0 {
		text += fmt.Sprintf("; and %d more", m.More)
	}
	return text
}

// Equal reports whether every quest was compared and is equal.
func (r *Result) Equal() bool { return r.Mismatched == 0 && r.Undecided == 0 }

// How much of what differs is listed.
const (
	mismatchesListed  = 100
	differencesListed = 20
	undecidedListed   = 20
)

func (r *Result) mismatch(id int64, found []quest.Difference) {
	if r.Mismatched++; r.Mismatched > mismatchesListed {
		return
	}
	m := Mismatch{QuestID: id, Differences: found}
	if len(found) > differencesListed {
		m.Differences, m.More = slices.Clone(found[:differencesListed]), len(found)-differencesListed
	}
	r.Mismatches = append(r.Mismatches, m)
}

func (r *Result) undecided(id int64) {
	if r.Undecided++; r.Undecided <= undecidedListed {
		r.UndecidedIDs = append(r.UndecidedIDs, id)
	}
}

// String is the result as a person reads it, one sentence a line.
func (r *Result) String() string {
	var b strings.Builder
	switch {
	case r.Mismatched > 0 && r.Truncated:
		fmt.Fprintf(&b, "The state differs from the database in %d quests and more; the rest was not compared.\n", r.Mismatched)
	case r.Mismatched > 0:
		fmt.Fprintf(&b, "The state differs from the database in %s.\n", quests(r.Mismatched))
	case r.Undecided > 0:
		fmt.Fprintf(&b, "No difference was found, but %s could not be compared: transactions were in the way all the time.\n", quests(r.Undecided))
	default:
		fmt.Fprintf(&b, "The state equals the database: %s.\n", quests(r.Quests))
	}
	for _, m := range r.Mismatches {
		fmt.Fprintf(&b, "  %s\n", m)
	}
	if n := r.Mismatched - len(r.Mismatches); n > 0 {
		fmt.Fprintf(&b, "  and %s more\n", quests(n))
	}
	if r.Mismatched > 0 && r.Undecided > 0 {
		fmt.Fprintf(&b, "%s could not be compared.\n", quests(r.Undecided))
	}
	if len(r.UndecidedIDs) > 0 {
		fmt.Fprintf(&b, "  not compared: %v\n", r.UndecidedIDs)
	}
	fmt.Fprintf(&b, "Compared at %s, message %d: %d ranges (%d of them row by row), snapshots: %d, took %s.\n",
		r.Position.LSN, r.Position.Sequence, r.Ranges, r.Differing, r.Rounds, (time.Duration(r.Took) * time.Millisecond).String())
	return b.String()
}

func quests(n int) string {
	if n == 1 {
		return "1 quest"
	}
	return fmt.Sprintf("%d quests", n)
}
