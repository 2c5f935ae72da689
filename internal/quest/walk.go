package quest

// Walk calls fn for the id of each quest known, in no order, until it returns
// false. Other calls may come between two calls of fn: a quest that is there from
// the beginning to the end is visited, once.
func (s *State) Walk(fn func(id int64) bool) {
	for id := range s.quests {
		if !fn(id) {
			return
		}
	}
}
