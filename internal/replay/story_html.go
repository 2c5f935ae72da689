package replay

import (
	"bufio"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/terminal"
)

//go:embed story.html
var storySource string

var storyPage = template.Must(template.New("story").Parse(storySource))

// entry is something of the story's timeline.
type entry struct {
	at                     change.Seq
	When, What, Mark, Kind string
	Good                   bool // the mark is
	Lines                  []string
}

// WriteHTML writes the story as a page that stands alone: it loads nothing and runs nothing.
func (s *Story) WriteHTML(w io.Writer) error {
	f := &s.Finding
	person := ""
	if f.UserID != nil {
		person = s.person(*f.UserID)
	}
	err := storyPage.Execute(w, map[string]any{
		"F": f, "State": s.State, "Why": terminal.Clean(s.Why), "Title": terminal.Clean(f.QuestTitle), "Person": terminal.Clean(person),
		"Entries": s.entries(), "LeftOut": s.LeftOut, "EventsLeftOut": s.EventsLeftOut,
		"History": s.lines((*printer).history), "Life": s.lines((*printer).life), "Replay": s.Replay,
		"Then": fmt.Sprintf("questwatch show quest %d --at %d", f.QuestID, max(f.Position.Sequence, 1)),
	})
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// lines are what a printer prints.
func (s *Story) lines(print func(*printer)) []string {
	var text strings.Builder
	p := &printer{Writer: bufio.NewWriter(&text), e: s.Evidence}
	print(p)
	_ = p.Flush() // to memory
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
}

// entries are transactions, what befell the stream, and events, in their order.
func (s *Story) entries() []entry {
	var all []entry
	for _, t := range s.Transactions {
		e := entry{at: t.Sequence, When: utc(t.Time), Kind: "transaction", What: called(t.ID, t.Epoch) + ", " + lsn(t.Commit)}
		switch {
		case t.Began:
			e.Mark = strings.TrimPrefix(began(t.Baseline), "<- ")
		case t.Ended:
			e.Mark, e.Good = strings.TrimPrefix(ended, "<- "), true
		}
		for _, line := range s.lines(func(p *printer) { p.transaction(t) })[1:] {
			e.Lines = append(e.Lines, strings.TrimPrefix(line, "    "))
		}
		all = append(all, e)
	}
	for _, i := range s.Incidents {
		all = append(all, entry{at: i.Sequence, When: utc(i.Time), Kind: "incident", What: s.lines(func(p *printer) { p.incident(i) })[0]})
	}
	for i := range s.events {
		e := &s.events[i]
		kind := "event"
		if e.Severity() >= rule.Warning {
			kind = "event " + e.Severity().String()
		}
		all = append(all, entry{
			at: positionIn(e.Data), When: utc(e.Time), Kind: kind, What: e.Group + " " + e.What, Lines: []string{terminal.Clean(e.Sentence(s.person))},
		})
	}
	// Events that have no place in the stream stand by their time.
	slices.SortStableFunc(all, func(a, b entry) int {
		if a.at == 0 || b.at == 0 || a.at == b.at {
			return cmp.Compare(a.When, b.When)
		}
		return cmp.Compare(a.at, b.at)
	})
	return all
}

// positionIn is the message that an event was due at, 0 for one that has none.
func positionIn(data any) change.Seq {
	switch d := data.(type) {
	case event.Finding:
		return change.Seq(d.Position.Sequence)
	case event.Approval:
		return change.Seq(d.Position.Sequence)
	case event.Planned:
		return change.Seq(d.Position.Sequence)
	case event.Repaired:
		return change.Seq(d.Position.Sequence)
	}
	return 0
}
