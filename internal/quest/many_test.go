package quest_test

import (
	"strconv"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

// BenchmarkRowsOfOneQuest is a table load in which the applications for one quest
// come one by one. What one costs must hardly depend on how many there are.
func BenchmarkRowsOfOneQuest(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for range b.N {
				s := newState()
				s.BeginBaseline()
				for id := range n {
					row := `{"id":` + strconv.Itoa(id) + `,"quest_id":1,"applicant_id":7,"status":"pending"}`
					step := change.Step{QuestID: 1, Source: change.Source{Snapshot: true}, Changes: []change.Change{{Entity: change.Application, Op: change.Read, After: change.Row(row)}}}
					if _, err := s.Apply(&step); err != nil {
						b.Fatal(err)
					}
				}
				s.EndBaseline(false)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
		})
	}
}
