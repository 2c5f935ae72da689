package audit

import (
	"encoding/json"
	"fmt"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// affected is that a finding touches a person.
type affected struct {
	Rank  int64     `json:"-"`
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Rule  rule.Rule `json:"rule"`
	Quest int64     `json:"quest"`
	Title string    `json:"title"`
	Fixed bool      `json:"fixed"`
}

// affectedBy lists the people of a finding: the person of the pair, or all in the
// quest whom it is about.
func affectedBy(c *remedy.Case, v *rule.Violation) []affected {
	one := func(u quest.User) affected {
		return affected{
			Rank: rankOf(c, u), ID: c.People[u].ID, Name: display(c, u),
			Rule: v.Rule, Quest: c.Quest.ID, Title: c.Quest.Title,
		}
	}
	if v.User != 0 {
		return []affected{one(v.User)}
	}
	var out []affected
	seen := map[quest.User]bool{}
	add := func(u quest.User) {
		if !seen[u] {
			seen[u] = true
			out = append(out, one(u))
		}
	}
	for i := range c.Quest.Participants {
		if p := &c.Quest.Participants[i]; concerns(v.Rule, p) {
			add(p.User)
		}
	}
	if v.Rule == rule.DanglingReference {
		for i := range c.Quest.Applications {
			add(c.Quest.Applications[i].User)
		}
	}
	return out
}

// concerns reports whether a finding about a whole quest is about a participant.
func concerns(r rule.Rule, p *quest.Participant) bool {
	switch r {
	case rule.DanglingReference:
		return true
	case rule.ActiveAfterCompletion:
		return p.Status == quest.Joined || p.Status == quest.Working
	}
	return p.Active()
}

// Affected is a person with what was found about them.
type Affected struct {
	ID, Name string
	Findings int64
	ByRule   RuleCounts
	// Quests names the first few, by title; MoreQuests counts the others.
	Quests     []QuestName
	MoreQuests int64
	// Left counts the findings that remain.
	Left int64

	last int64 // quest; a person's findings come quest by quest
}

// QuestName is a quest as people know it.
type QuestName struct {
	ID    int64
	Title string
	// Missing says that there is no such quest.
	Missing bool
}

// questsShown is how many of a person's quests a report names.
const questsShown = 10

// Affected calls fn for each person affected, by name.
func (r *Result) Affected(fn func(*Affected) error) error {
	var current *Affected
	err := r.people.each(func(payload []byte) error {
		var a affected
		if err := json.Unmarshal(payload, &a); err != nil {
			return fmt.Errorf("read affected person back: %w", err)
		}
		if current == nil || current.ID != a.ID {
			if current != nil {
				if err := fn(current); err != nil {
					return err
				}
			}
			current = &Affected{ID: a.ID, Name: a.Name}
		}
		current.add(&a)
		return nil
	})
	if err != nil || current == nil {
		return err
	}
	return fn(current)
}

func (p *Affected) add(a *affected) {
	p.Findings++
	p.ByRule.add(a.Rule)
	if !a.Fixed {
		p.Left++
	}
	if p.Findings > 1 && p.last == a.Quest {
		return
	}
	p.last = a.Quest
	if len(p.Quests) < questsShown {
		p.Quests = append(p.Quests, QuestName{a.Quest, a.Title, a.Rule == rule.DanglingReference})
	} else {
		p.MoreQuests++
	}
}
