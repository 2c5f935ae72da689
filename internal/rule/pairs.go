package rule

import (
	"slices"

	"github.com/peerquest/questwatch/internal/quest"
)

// pairs answers questions about a person's rows in one quest. A usual quest has
// a handful of rows and is searched; one with very many gets sets, because every
// row asks about the other table.
type pairs struct {
	quest                                      *quest.Quest
	participates, active, applied, approvedFor map[quest.User]struct{}
	// revoked are those of whom an approval was taken back, rows everybody's.
	revoked map[quest.User]struct{}
	rows    map[quest.User][]int64
}

// searchable is how many comparisons a search through a quest may take.
const searchable = 4096

func pairsOf(q *quest.Quest) pairs {
	p := pairs{quest: q}
	if len(q.Applications)*len(q.Participants) <= searchable {
		return p
	}
	p.participates = make(map[quest.User]struct{}, len(q.Participants))
	p.active = make(map[quest.User]struct{}, len(q.Participants))
	p.applied = make(map[quest.User]struct{}, len(q.Applications))
	p.approvedFor = make(map[quest.User]struct{}, len(q.Applications))
	p.revoked = map[quest.User]struct{}{}
	for i := range q.Participants {
		row := &q.Participants[i]
		p.participates[row.User] = struct{}{}
		if row.Active() {
			p.active[row.User] = struct{}{}
		}
	}
	for i := range q.Applications {
		a := &q.Applications[i]
		p.applied[a.User] = struct{}{}
		if a.Status == quest.Approved {
			p.approvedFor[a.User] = struct{}{}
		}
		if a.Revoked {
			p.revoked[a.User] = struct{}{}
		}
	}
	return p
}

func (p *pairs) hasParticipant(u quest.User) bool {
	if p.participates == nil {
		return p.quest.HasParticipant(u)
	}
	_, ok := p.participates[u]
	return ok
}

func (p *pairs) takesPart(u quest.User) bool {
	if p.active == nil {
		return p.quest.TakesPart(u)
	}
	_, ok := p.active[u]
	return ok
}

func (p *pairs) hasApplication(u quest.User) bool {
	if p.applied == nil {
		return p.quest.HasApplication(u)
	}
	_, ok := p.applied[u]
	return ok
}

func (p *pairs) hasApproved(u quest.User) bool {
	if p.approvedFor == nil {
		return p.quest.HasApproved(u)
	}
	_, ok := p.approvedFor[u]
	return ok
}

func (p *pairs) wasRevoked(u quest.User) bool {
	if p.revoked == nil {
		return slices.ContainsFunc(p.quest.Applications, func(a quest.Application) bool { return a.User == u && a.Revoked })
	}
	_, ok := p.revoked[u]
	return ok
}

// participants lists the person's rows.
func (p *pairs) participants(u quest.User) []int64 {
	if p.participates == nil {
		return participantIDs(p.quest, 1, func(row *quest.Participant) bool { return row.User == u })
	}
	if p.rows == nil {
		p.rows = make(map[quest.User][]int64, len(p.participates))
		for i := range p.quest.Participants {
			row := &p.quest.Participants[i]
			p.rows[row.User] = append(p.rows[row.User], row.ID)
		}
	}
	return p.rows[u]
}

// firstOf finds the violation of a person among those appended since start.
type firstOf struct {
	start int
	at    map[quest.User]int
}

// find returns the person's violation, or nil. The caller appends one for the
// person when there is none.
func (f *firstOf) find(all []Violation, u quest.User) *Violation {
	found := all[f.start:]
	if len(found) <= 64 && f.at == nil {
		for i := range found {
			if found[i].User == u {
				return &found[i]
			}
		}
		return nil
	}
	if f.at == nil {
		f.at = make(map[quest.User]int, 2*len(found))
		for i := range found {
			f.at[found[i].User] = i
		}
	}
	if i, ok := f.at[u]; ok {
		return &found[i]
	}
	f.at[u] = len(found)
	return nil
}
