package quest

// Limit sets the limits of open quests, so that small ones are kept open too.
func (s *State) Limit(above, most, rows int) { s.quests.open.limits = limits{above, most, rows} }
