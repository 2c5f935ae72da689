package quest

import "slices"

// Quest reads the quest with an id into q, whose slices it uses again, and reports
// whether there is one. Several readers may read at once, each with its own q.
func (p *Snapshot) Quest(id int64, q *Quest) bool {
	r, found := p.maps[shardOf(id)][id]
	if !found {
		return false
	}
	if err := q.load(id, r); err != nil {
		panic(err) // as in State.load
	}
	return true
}

// IDs lists the quests in ascending order.
func (p *Snapshot) IDs() []int64 {
	ids := make([]int64, 0, p.len)
	for _, m := range p.maps {
		for id := range m {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Users is the table of interned ids, for Text only.
func (p *Snapshot) Users() *Users { return &Users{texts: p.users} }
