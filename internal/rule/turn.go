package rule

import (
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// TurnKind says what was turned back.
type TurnKind uint8

// The kinds of turn.
const (
	// ApprovalReverted: an approval became pending again soon, and no participant had
	// come of it. It failed, and the application noticed.
	ApprovalReverted TurnKind = iota + 1
	// ApprovalReset: it became pending again later, or after its participant had come.
	ApprovalReset
	// StatusRegressed: the quest's status went back.
	StatusRegressed
)

// RevertWithin is how soon an approval must be pending again to have failed.
const RevertWithin = time.Minute

// Turn is something that one transaction turned back. Unlike a violation it is
// over when it is seen.
type Turn struct {
	Kind     TurnKind
	Severity Severity
	// Reversal is what an approval was.
	Reversal quest.Reversal
	// From and To are a quest's status before and after.
	From, To quest.Status
}

// Ways says which ways back a quest's status may take without a word.
type Ways struct {
	// Reopen is from in progress to open, Resume from completed to in progress,
	// Restart from completed to open.
	Reopen, Resume, Restart Way
}

// Way says when a way back is in order.
type Way string

// The ways. WhenReleased is the way of leaving, kicking and unassigning: the quest is
// left assigned to nobody.
const (
	NoWay        Way = "never"
	WhenReleased Way = "released"
	AnyWay       Way = "always"
)

// ParseWay reads a way's name.
func ParseWay(name string) (Way, error) {
	switch w := Way(name); w {
	case NoWay, WhenReleased, AnyWay:
		return w, nil
	}
	return "", fmt.Errorf("unknown %q: want never, released or always", name)
}

// DefaultWays are the application's.
func DefaultWays() Ways { return Ways{Reopen: WhenReleased, Resume: NoWay, Restart: NoWay} }

func (w *Ways) allow(q *quest.Quest, from, to quest.Status) bool {
	way := w.Resume
	switch {
	case from == quest.InProgress:
		way = w.Reopen
	case to == quest.Open:
		way = w.Restart
	}
	return way == AnyWay || way == WhenReleased && q.Assigned == 0
}

// Turned appends what a transaction turned back in a quest. at is when it
// committed. q is nil when nothing of the quest is left. Soft-deleted quests are
// left out as in Judge.
func (p *Policy) Turned(dst []Turn, q *quest.Quest, t *quest.Turns, at change.Millis, ways Ways) []Turn {
	if q == nil || q.Deleted && !p.Deleted {
		return dst
	}
	for _, r := range t.Reversals {
		turn := Turn{Kind: ApprovalReset, Severity: Info, Reversal: r}
		if r.Approved != 0 && !r.Met && at <= r.At.Add(RevertWithin) {
			turn.Kind, turn.Severity = ApprovalReverted, Warning
		}
		dst = append(dst, turn)
	}
	if t.From > t.To && t.To != quest.Other && !ways.allow(q, t.From, t.To) {
		dst = append(dst, Turn{Kind: StatusRegressed, Severity: severityOfRegress(t.From), From: t.From, To: t.To})
	}
	return dst
}

// severityOfRegress is low for a quest that was in progress: two approvals at once,
// each statement a transaction, write the status back and forward again, and where it
// stays back, OpenWithParticipants says so after its grace.
func severityOfRegress(from quest.Status) Severity {
	if from == quest.InProgress {
		return Info
	}
	return Warning
}
