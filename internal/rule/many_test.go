package rule_test

import (
	"fmt"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// crowd is a quest of very many rows, and how many violations it has.
type crowd struct {
	application, participant string
	replaced                 bool // everybody left, and as many others came
	violations               func(many int) int
}

var crowds = []crowd{
	{"approved", "dropped", false, func(many int) int { return many }},
	{"rejected", "joined", false, func(many int) int { return many + 2 }},
	{"approved", "joined", true, func(many int) int { return 2*many + 2 }},
}

var crowdHeader = change.Change{
	Op: change.Create, Entity: change.Quest, After: change.Row(`{"id":1,"title":"","status":"open","assigned_to_id":null}`),
}

// gather makes the quest, and says what its baseline reads.
func (c *crowd) gather(tb testing.TB, many int) (*quest.State, []change.Change) {
	tb.Helper()
	s := quest.NewState(change.PeerQuest(), quest.PeerQuest())
	var rows, leave []change.Change
	for i := range many {
		part := change.Row(fmt.Appendf(nil, `{"id":%d,"user_id":"u%d","status":%q}`, i, i, c.participant))
		rows = append(rows,
			change.Change{Op: change.Create, Entity: change.Application, After: fmt.Appendf(nil, `{"id":%d,"applicant_id":"u%d","status":%q}`, i, i, c.application)},
			change.Change{Op: change.Create, Entity: change.Participant, After: part})
		leave = append(leave,
			change.Change{Op: change.Delete, Entity: change.Participant, Before: part},
			change.Change{Op: change.Create, Entity: change.Participant, After: fmt.Appendf(nil, `{"id":%d,"user_id":"v%d","status":"joined"}`, many+i, i)})
	}
	steps := [][]change.Change{{crowdHeader}, rows}
	if c.replaced {
		steps = append(steps, leave)
	}
	for i, changes := range steps {
		applyTo(tb, s, change.LSN(i+1), changes)
	}
	read := append([]change.Change(nil), rows...)
	for i := range read {
		read[i].Op = change.Read
	}
	return s, read
}

func applyTo(tb testing.TB, s *quest.State, lsn change.LSN, changes []change.Change) *quest.Quest {
	tb.Helper()
	q, err := s.Apply(&change.Step{
		QuestID: 1, Transaction: change.Transaction{CommitLSN: lsn, Message: 1, Messages: 1}, Changes: changes, Source: change.Source{Snapshot: lsn == 0},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

func TestQuestOfVeryManyRows(t *testing.T) {
	const many = 3000
	for _, c := range crowds {
		s, _ := c.gather(t, many)
		if got := len(rule.Judge(nil, applyTo(t, s, 9, []change.Change{crowdHeader}))); got != c.violations(many) {
			t.Errorf("%s, %s violates %d", c.application, c.participant, got)
		}
	}
}

// BenchmarkQuestOfVeryManyRows judges a step, and takes a baseline: ten times the rows
// must take about ten times as long, not a hundred times.
func BenchmarkQuestOfVeryManyRows(b *testing.B) {
	for _, c := range crowds {
		for _, many := range []int{2000, 20_000} {
			s, read := c.gather(b, many)
			name := fmt.Sprintf("%s/%s/%d", c.application, c.participant, many)
			b.Run("step/"+name, func(b *testing.B) {
				for b.Loop() {
					rule.Judge(nil, applyTo(b, s, 9, []change.Change{crowdHeader}))
				}
			})
			b.Run("baseline/"+name, func(b *testing.B) {
				for b.Loop() {
					s.BeginBaseline()
					applyTo(b, s, 0, read)
					s.EndBaseline(true)
				}
			})
		}
	}
}
