package quest

import (
	"maps"
	"slices"
)

// shards are the records of all quests by id. A shard that a snapshot shares is
// copied before it is written to, so that taking one costs nothing, and what it
// costs later comes in small pieces.
type shards struct {
	maps   [shardCount]map[int64]record
	shared [shardCount]bool
	len    int
	open   open
}

// shardCount makes a shard of a million quests about four thousand: a copy takes
// a tenth of a millisecond.
const shardCount = 256

// shardOf spreads ids that are multiples of something too.
func shardOf(id int64) int { return int(uint64(id) * 0x9e3779b97f4a7c15 >> 56) }

// fresh are no quests, with the same limits.
func (s *shards) fresh() shards { return shards{open: open{limits: s.open.limits}} }

func (s *shards) get(id int64) (record, bool) {
	r, found := s.maps[shardOf(id)][id]
	return r, found
}

func (s *shards) put(id int64, r record) {
	m := s.own(shardOf(id))
	before := len(m)
	m[id] = r
	s.len += len(m) - before
}

func (s *shards) remove(id int64) {
	s.open.forget(id)
	if _, found := s.get(id); found {
		delete(s.own(shardOf(id)), id)
		s.len--
	}
}

// own is a shard that nobody else reads.
func (s *shards) own(i int) map[int64]record {
	switch {
	case s.maps[i] == nil:
		s.maps[i] = map[int64]record{}
	case s.shared[i]:
		s.maps[i] = maps.Clone(s.maps[i])
	}
	s.shared[i] = false
	return s.maps[i]
}

// share is a view of the records as they are now.
func (s *shards) share() [shardCount]map[int64]record {
	for i := range s.shared {
		s.shared[i] = s.maps[i] != nil
	}
	return s.maps
}

// ids lists the quests in ascending order.
func (s *shards) ids() []int64 {
	ids := make([]int64, 0, s.len)
	for _, m := range s.maps {
		for id := range m {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
