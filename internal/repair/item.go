package repair

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/terminal"
)

// Item is an open finding with what is to be done about it. Its JSON form is part of
// the program's interface.
type Item struct {
	event.Finding
	// Plan is nil where there is none, and LeftAlone then says why. Suggestion is what a
	// person may do.
	Plan       *remedy.Explanation `json:"plan"`
	LeftAlone  string              `json:"left_alone,omitempty"`
	Suggestion string              `json:"suggestion,omitempty"`
	// Automatic says that nobody has to ask; Waits why somebody has to.
	Automatic bool   `json:"automatic"`
	Waits     string `json:"waits,omitempty"`
	// State is how far an automatic repair has come: waiting, repaired (and the stream
	// has not shown it yet), skipped or failed, with why.
	State string `json:"state,omitempty"`
	// SQL does what the plan does, by hand. It is asked for.
	SQL string `json:"sql,omitempty"`
	// UserName is the person's, where it could be had.
	UserName string `json:"user_name,omitempty"`
}

// sketch is an item as long as nobody's name was looked up.
type sketch struct {
	finding  drift.Finding
	proposal remedy.Proposal
	// quest is what a plan's words need of it; people are those of the plan.
	quest  quest.Quest
	people map[quest.User]string
}

// sketch copies what an item needs of the checker's state.
func (r *Repairer) sketch(v *View, f *drift.Finding) sketch {
	s := sketch{finding: *f}
	q := v.State.Quest(f.Quest)
	s.proposal = r.config.Modes.Propose(q, f)
	if len(s.proposal.Writes) == 0 {
		return s
	}
	s.quest, s.people = quest.Quest{ID: q.ID, Status: q.Status, Assigned: q.Assigned}, map[quest.User]string{}
	for _, w := range s.proposal.Writes {
		for _, u := range []quest.User{w.User, w.Assign, w.WasAssigned} {
			s.people[u] = v.State.Users().Text(u)
		}
	}
	return s
}

// items completes sketches, with people's names where they can be had.
func (r *Repairer) items(ctx context.Context, sketches []sketch) []Item {
	var ids []string
	for i := range sketches {
		ids = append(ids, sketches[i].finding.User)
		for _, id := range sketches[i].people {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
	names, _ := r.lookup.Usernames(ctx, ids) // without them there are the ids
	items := make([]Item, len(sketches))
	for i := range sketches {
		items[i] = r.item(&sketches[i], names)
	}
	return items
}

func (r *Repairer) item(s *sketch, names map[string]string) Item {
	f, p := &s.finding, &s.proposal
	it := Item{
		Finding: event.FindingOf(f), LeftAlone: p.LeftAlone, Automatic: p.Automatic, Waits: p.Waits,
		Suggestion: remedy.Suggest(f.Violation.Rule, f.Violation.Cause), UserName: names[f.User],
	}
	if len(p.Writes) > 0 {
		e := remedy.Explain(&s.quest, &f.Violation, &p.Plan, func(u quest.User) remedy.Person {
			return remedy.Person{ID: s.people[u], Name: names[s.people[u]]}
		})
		it.Plan = &e
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.notes[f.ID]; ok {
		it.State = n.What + ": " + n.Reason
	} else if in := r.queue.items[f.ID]; in != nil {
		it.State = "waiting"
		if in.carried {
			it.State = "repaired"
		}
	}
	return it
}

// Line is the item on one line.
func (it *Item) Line() string {
	who, what := "", "no repair: "+it.LeftAlone
	if it.UserID != nil {
		who = " " + it.user()
	}
	if it.Plan != nil {
		what = string(it.Plan.Action)
		switch {
		case it.State != "":
			what += ", " + it.State
		case it.Waits != "":
			what += ", on request: " + it.Waits
		}
	}
	return terminal.Clean(fmt.Sprintf("%s  %-8s %s %s  quest %d%s  %s", it.Finding.Finding, it.Severity, it.Rule, it.Cause, it.QuestID, who, what))
}

func (it *Item) user() string {
	return remedy.Person{ID: *it.UserID, Name: it.UserName}.String()
}

// Text is all there is to say about the item, in lines.
func (it *Item) Text() string {
	var b strings.Builder
	line := func(head, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-12s %s\n", head, terminal.Clean(text))
		}
	}
	line("finding", it.Finding.Finding)
	line("rule", fmt.Sprintf("%s, %s (%s)", it.Rule, it.Cause, it.Severity))
	line("quest", fmt.Sprintf("%d %s", it.QuestID, it.QuestTitle))
	if it.UserID != nil {
		line("user", it.user())
	}
	line("open since", it.OpenedAt)
	line("expected", it.Expected)
	line("actual", it.Actual)
	if it.Plan == nil {
		line("no repair", it.LeftAlone)
		line("suggestion", it.Suggestion)
		return b.String()
	}
	line("repair", string(it.Plan.Action))
	for text := range strings.Lines(it.Plan.Text(strings.Repeat(" ", 13))) {
		b.WriteString(terminal.Clean(strings.TrimSuffix(text, "\n")) + "\n")
	}
	if it.Automatic {
		line("automatic", "yes")
	} else {
		line("on request", it.Waits)
	}
	line("state", it.State)
	if it.SQL != "" {
		b.WriteString("by hand\n")
		for text := range strings.Lines(it.SQL) {
			b.WriteString("    " + terminal.Clean(strings.TrimSuffix(text, "\n")) + "\n")
		}
	}
	return b.String()
}
