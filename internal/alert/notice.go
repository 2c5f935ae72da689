package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/terminal"
)

const (
	shownItems = 10  // of a notice about many
	shownRunes = 400 // of a line
)

// Notice is what a channel sends at a time. It is the same at each try.
type Notice struct {
	// ID is the event's own id where there is one event.
	ID string
	// Severity is the highest of those that are new, or of all where none is.
	Severity rule.Severity
	// New and Over count what began and what ended.
	New, Over int
	// Open counts what is still open, in a notice about that; New and Over are 0 then.
	Open int
	// Within is the time from the first event to the last.
	Within time.Duration
	// Test says that nothing has happened.
	Test bool
	// Lines are about the first few of the worst; More counts the others.
	Lines []Line
	More  int
	// Data is the event itself, in CloudEvents form, where there is one.
	Data []byte
	// Text is what to say in place of Lines and More, in somebody's own words; "" for
	// none. It is not escaped.
	Text string

	items []item                 // all of them
	name  func(id string) string // what to call a person
}

// Line is about one event. Its text is in one line and printable, and not escaped.
type Line struct {
	Severity rule.Severity
	Over     bool
	Text     string
	// Time is when it happened.
	Time time.Time

	item *item
}

// Title says what a notice is about, in a few words that are all our own.
func (n *Notice) Title() string {
	switch {
	case n.Open > 0:
		return fmt.Sprintf("%s: still open: %d", n.Severity, n.Open)
	case n.Test:
		return "test"
	case n.New == 0 && n.Over == 1:
		return "over"
	case n.New == 1 && n.Over == 0:
		return n.Severity.String()
	}
	var parts []string
	if n.New > 0 {
		parts = append(parts, fmt.Sprintf("%d new", n.New))
	}
	if n.Over > 0 {
		parts = append(parts, fmt.Sprintf("%d over", n.Over))
	}
	title := strings.Join(parts, ", ") + " in " + max(n.Within.Round(time.Second), time.Second).String()
	if n.New > 0 {
		title = n.Severity.String() + ": " + title
	}
	return title
}

// noticeOf makes a notice; name is what to call a person.
func noticeOf(items []item, name func(id string) string) *Notice {
	n := &Notice{ID: items[0].event.ID, Data: items[0].data, items: items, name: name}
	if len(items) > 1 {
		first, last := items[0].at.Sequence, items[len(items)-1].at.Sequence
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", items[0].event.ID, first, last))
		n.ID, n.Data = "notice."+hex.EncodeToString(sum[:10]), nil
	}
	_, n.Test = items[0].event.Data.(event.Trial)
	from, to := items[0].event.Time, items[0].event.Time
	var highest rule.Severity
	for i := range items {
		it := &items[i]
		from, to, highest = min(from, it.event.Time), max(to, it.event.Time), max(highest, it.severity)
		if it.over {
			n.Over++
			continue
		}
		n.New++
		n.Severity = max(n.Severity, it.severity)
	}
	if n.New == 0 {
		n.Severity = highest
	}
	n.Within = time.Duration(to-from) * time.Millisecond
	shown := items
	if len(items) > shownItems {
		shown = slices.Clone(items)
		slices.SortStableFunc(shown, func(a, b item) int { return b.weight() - a.weight() })
		n.More, shown = len(items)-shownItems, shown[:shownItems]
	}
	for i := range shown {
		it := &shown[i]
		n.Lines = append(n.Lines, Line{it.severity, it.over, clip(terminal.Clean(it.event.Sentence(name))), it.event.Time.Time().UTC(), it})
	}
	return n
}

// weight puts what is new before what is over.
func (it *item) weight() int {
	if it.over {
		return 0
	}
	return int(it.severity)
}

// clip cuts a text that somebody made too long.
func clip(text string) string { return clipTo(text, shownRunes) }

func clipTo(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}
