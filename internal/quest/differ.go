package quest

import (
	"fmt"
	"slices"
)

// Differ compares the rows of two states, quest by quest in ascending order, and
// says of each that differs how; history is not compared. It stops after limit
// differences.
func Differ(a, b *State, limit int) (differences []string) {
	ids := append(a.IDs(), b.IDs()...)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		x, y := a.describe(id), b.describe(id)
		if x != y {
			differences = append(differences, fmt.Sprintf("quest %d: %s, and %s", id, x, y))
		}
		if len(differences) == limit {
			break
		}
	}
	return differences
}

// describe is everything that rows say of a quest, as text.
func (s *State) describe(id int64) string {
	q := s.Quest(id)
	if q == nil {
		return "nothing"
	}
	text := fmt.Sprintf("%v %q status %d assigned %q deleted %v", q.Exists, q.Title, q.Status, s.users.Text(q.Assigned), q.Deleted)
	for _, a := range q.Applications {
		text += fmt.Sprintf("; application %d of %s status %d", a.ID, s.users.Text(a.User), a.Status)
	}
	for _, p := range q.Participants {
		text += fmt.Sprintf("; participant %d of %s status %d joined %d", p.ID, s.users.Text(p.User), p.Status, p.Joined)
	}
	return text
}
