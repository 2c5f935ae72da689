package pgstore

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
)

// caseBuilder makes a case of the rows of a quest, in memory that it uses again
// for the next one.
type caseBuilder struct {
	statuses quest.Statuses
	c        remedy.Case
	users    map[string]quest.User
	// status is the quest's status as the database has it.
	status string
}

func newCaseBuilder(s quest.Statuses) *caseBuilder {
	return &caseBuilder{statuses: s, users: map[string]quest.User{}}
}

// peopleKept is how many people a quest may have for its memory to be kept.
const peopleKept = 10_000

func (b *caseBuilder) reset(id int64) {
	if len(b.c.People) > peopleKept {
		b.c, b.users = remedy.Case{}, map[string]quest.User{}
	}
	clear(b.users)
	b.status = ""
	b.c = remedy.Case{
		Quest: quest.Quest{
			ID:           id,
			Applications: b.c.Quest.Applications[:0],
			Participants: b.c.Quest.Participants[:0],
		},
		Times:  b.c.Times[:0],
		People: append(b.c.People[:0], remedy.Person{}),
	}
}

func (b *caseBuilder) person(id []byte) quest.User {
	if u, ok := b.users[string(id)]; ok {
		return u
	}
	u, text := quest.User(len(b.c.People)), string(id)
	b.users[text] = u
	b.c.People = append(b.c.People, remedy.Person{ID: text})
	return u
}

// named is a person whose name may have come along.
func (b *caseBuilder) named(id, name, rank []byte) quest.User {
	u := b.person(id)
	if p := &b.c.People[u]; p.Rank == 0 && rank != nil {
		p.Name, p.Rank = string(name), bigint(rank)
	}
	return u
}

// The columns of the three queries, after the quest's id.
const (
	questTitle = 1 + iota
	questStatus
	questAssigned
	questDeleted
	questCreated
	questName // the assignee's
	questRank
	questUpdated // under a lock only
)

const (
	childID = 1 + iota
	childUser
	childStatus
	childTime // applied_at, joined_at
	childName
	childRank
	childReviewed
)

var (
	questFormats = []int16{1, 0, 0, 0, 1, 1, 0, 1, 0}
	childFormats = []int16{1, 1, 0, 0, 1, 0, 1, 1}
)

func (b *caseBuilder) add(e change.Entity, v [][]byte) error {
	if e == change.Quest {
		b.addQuest(v)
		return nil
	}
	if v[childID] == nil || v[childUser] == nil {
		return fmt.Errorf("read %s rows of quest %d: one has no id or no person", e, b.c.Quest.ID)
	}
	id, user := bigint(v[childID]), b.named(v[childUser], v[childName], v[childRank])
	if e == change.Participant {
		b.c.Quest.Participants = append(b.c.Quest.Participants, quest.Participant{
			ID: id, User: user, Status: b.statuses.Participant[string(v[childStatus])], Joined: int64(micros(v[childTime])),
		})
		return nil
	}
	b.c.Quest.Applications = append(b.c.Quest.Applications, quest.Application{
		ID: id, User: user, Status: b.statuses.Application[string(v[childStatus])],
	})
	b.c.Times = append(b.c.Times, remedy.ApplicationTimes{Applied: micros(v[childTime]), Reviewed: micros(v[childReviewed])})
	return nil
}

func (b *caseBuilder) addQuest(v [][]byte) {
	q := &b.c.Quest
	q.Exists = true
	q.Title = string(v[questTitle])
	b.status = string(v[questStatus])
	q.Status = b.statuses.Quest[b.status]
	if v[questAssigned] != nil {
		q.Assigned = b.named(v[questAssigned], v[questName], v[questRank])
	}
	q.Deleted = len(v[questDeleted]) == 1 && v[questDeleted][0] == 1
	b.c.Created = micros(v[questCreated])
}

func bigint(v []byte) int64 {
	if len(v) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(v))
}

// epoch2000 is where Postgres counts microseconds from.
const epoch2000 = 946_684_800_000_000

// micros reads a binary timestamp; infinities stay the extremes.
func micros(v []byte) remedy.Micros {
	if len(v) != 8 {
		return 0
	}
	switch n := bigint(v); {
	case n == math.MinInt64:
		return math.MinInt64
	case n > math.MaxInt64-epoch2000:
		return math.MaxInt64
	default:
		return remedy.Micros(n + epoch2000)
	}
}
