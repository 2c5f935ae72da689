package replay

import (
	"errors"
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/rule"
)

// Selection says what of a stream is played; what is zero does not matter. All of it has to
// hold; of the changes of a message, for one and the same change.
type Selection struct {
	Quests      []int64 `json:"quests,omitempty"`
	User        string  `json:"user,omitempty"` // an id
	Entity      string  `json:"entity,omitempty"`
	Rule        string  `json:"rule,omitempty"`
	Transaction uint64  `json:"xid,omitempty"`
}

// MostQuests is how many quests can be asked for.
const MostQuests = 256

// Check refuses what a stream cannot be asked for.
func (s *Selection) Check(k Kind) error {
	switch {
	case k != KindCDC && k != KindEvents:
		return fmt.Errorf("--stream is %q: want cdc or events", k)
	case len(s.Quests) > MostQuests:
		return fmt.Errorf("--quest: %d quests are asked for, want at most %d", len(s.Quests), MostQuests)
	case k == KindCDC && s.Rule != "":
		return errors.New("--rule: changes have none; --stream events shows what rules found")
	case k == KindEvents && (s.Entity != "" || s.Transaction != 0):
		return errors.New("--entity and --xid: events have none; they are of --stream cdc")
	case s.Entity != "" && !slices.Contains(entities(), s.Entity):
		return fmt.Errorf("--entity is %q: want quest, application or participant", s.Entity)
	}
	if i := slices.IndexFunc(s.Quests, func(id int64) bool { return id < 1 }); i >= 0 {
		return fmt.Errorf("--quest is %d: want a quest's id", s.Quests[i])
	}
	if s.Rule != "" {
		if _, err := rule.Parse(s.Rule); err != nil {
			return fmt.Errorf("--rule: %w", err)
		}
	}
	return nil
}

func entities() []string {
	return []string{change.Quest.String(), change.Application.String(), change.Participant.String()}
}

// rows reports whether changes matter one by one.
func (s *Selection) rows() bool { return s.User != "" || s.Entity != "" }

// matches reports whether an item is played, and notes which of its changes are.
func (s *Selection) matches(i *Item) (bool, error) {
	switch {
	case i.Event != nil:
		e := i.Event
		return (len(s.Quests) == 0 || slices.Contains(s.Quests, e.Quest)) && (s.User == "" || e.UserID() == s.User) &&
			(s.Rule == "" || e.Rule() == s.Rule), nil
	case s.Transaction != 0 && i.Transaction != s.Transaction:
		return false, nil
	case i.Control != nil:
		return len(s.Quests) == 0 && !s.rows(), nil
	case len(s.Quests) > 0 && !slices.Contains(s.Quests, i.Step.QuestID):
		return false, nil
	}
	if !s.rows() {
		return true, nil
	}
	matching, err := i.choose(func(c *seen) bool {
		return (s.Entity == "" || c.Entity.String() == s.Entity) && (s.User == "" || c.of(s.User))
	})
	return len(matching) > 0, err
}
