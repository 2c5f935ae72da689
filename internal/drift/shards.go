package drift

import "maps"

// shards are the findings and suspicions of all quests, by quest and in the order in
// which they began. A shard that a snapshot shares is copied, entries and all,
// before anything in it changes: taking one costs nothing, however much is open.
type shards struct {
	maps   [shardCount]map[int64][]*entry
	shared [shardCount]bool
}

// shardCount makes a shard of a hundred thousand findings about four hundred.
const shardCount = 256

// shardOf spreads ids that are multiples of something too.
func shardOf(id int64) int { return int(uint64(id) * 0x9e3779b97f4a7c15 >> 56) }

// of is what is known of a quest, to be looked at.
func (s *shards) of(id int64) []*entry { return s.maps[shardOf(id)][id] }

// own is what is known of a quest, to be changed.
func (s *shards) own(id int64) []*entry { return s.ours(shardOf(id))[id] }

// put replaces what is known of a quest.
func (s *shards) put(id int64, entries []*entry) {
	m := s.ours(shardOf(id))
	if len(entries) == 0 {
		delete(m, id)
		return
	}
	m[id] = entries
}

// ours is a shard that nobody else reads.
func (s *shards) ours(i int) map[int64][]*entry {
	switch {
	case s.maps[i] == nil:
		s.maps[i] = map[int64][]*entry{}
	case s.shared[i]:
		s.maps[i] = maps.Clone(s.maps[i])
		for id, entries := range s.maps[i] {
			copies := make([]*entry, len(entries))
			for j, e := range entries {
				one := *e
				copies[j] = &one
			}
			s.maps[i][id] = copies
		}
	}
	s.shared[i] = false
	return s.maps[i]
}

// share is a view of all of it as it is now.
func (s *shards) share() [shardCount]map[int64][]*entry {
	for i := range s.shared {
		s.shared[i] = s.maps[i] != nil
	}
	return s.maps
}

// all gives every entry, in no order.
func (s *shards) all(yield func(*entry) bool) {
	for _, m := range s.maps {
		for _, entries := range m {
			for _, e := range entries {
				if !yield(e) {
					return
				}
			}
		}
	}
}
