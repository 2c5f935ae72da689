package alert

import (
	"encoding/json"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/terminal"
)

// paper is a notice as programs get it, in JSON, and as templates see it. What is in its
// texts is printable, and not escaped.
type paper struct {
	ID       string          `json:"id"`
	Title    string          `json:"title"`
	Severity string          `json:"severity"`
	New      int             `json:"new"`
	Over     int             `json:"over"`
	Open     int             `json:"open"`
	Lines    []paperLine     `json:"lines"`
	More     int             `json:"more"`
	Event    json.RawMessage `json:"event,omitempty"`
}

// paperLine is about one event. What does not apply is empty.
type paperLine struct {
	Time       time.Time `json:"time"`
	Severity   string    `json:"severity"`
	Over       bool      `json:"over"`
	Text       string    `json:"text"`
	Kind       string    `json:"kind"` // such as drift.opened
	Rule       string    `json:"rule"`
	Cause      string    `json:"cause"`
	Quest      int64     `json:"quest"`
	QuestTitle string    `json:"quest_title"`
	User       string    `json:"user"` // the name, or the id where it is not known
	Finding    string    `json:"finding"`
}

func paperOf(n *Notice) *paper {
	p := &paper{
		ID: n.ID, Title: n.Title(), Severity: n.Severity.String(), New: n.New, Over: n.Over, Open: n.Open,
		Lines: make([]paperLine, len(n.Lines)), More: n.More, Event: n.Data,
	}
	for i := range n.Lines {
		l := &n.Lines[i]
		p.Lines[i] = paperLine{Time: l.Time, Severity: l.Severity.String(), Over: l.Over, Text: l.Text}
		p.Lines[i].about(l.item, n.name)
	}
	return p
}

func (l *paperLine) about(it *item, name func(id string) string) {
	e := &it.event
	l.Kind, l.Rule, l.Quest, l.Finding = e.Group+"."+e.What, e.Rule(), e.Quest, e.FindingID()
	switch d := e.Data.(type) {
	case event.Finding:
		l.Cause, l.QuestTitle = string(d.Cause), d.QuestTitle
	case event.Approval:
		l.QuestTitle = d.QuestTitle
	case event.Regression:
		l.QuestTitle = d.QuestTitle
	case event.Planned:
		l.Cause = string(d.Cause)
	case event.Repaired:
		l.Cause = string(d.Cause)
	case event.NotRepaired:
		l.Cause = string(d.Cause)
	}
	if id := e.UserID(); id != "" {
		l.User = name(id)
	}
	for _, text := range []*string{&l.QuestTitle, &l.User, &l.Cause, &l.Finding} {
		*text = clip(terminal.Clean(*text))
	}
}
