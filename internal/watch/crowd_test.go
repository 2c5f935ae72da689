package watch_test

import (
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
)

// crowd writes the stream of many quests: a baseline in which each has three
// applications and one participant, and a day on which some of them are left,
// given to somebody else, and taken back. The ids of rows follow from the quests'.
type crowd struct {
	*story
	quests int
}

func newCrowd(quests int) *crowd { return &crowd{newStory(), quests} }

// baseline hands out its records one by one: all at once would take gigabytes.
func (c *crowd) baseline(take func(change.Record)) {
	c.epoch++
	c.lsn += 100
	flush := func() {
		for _, r := range c.records {
			take(r)
		}
		c.records = c.records[:0]
	}
	c.control(change.Control{Kind: change.Epoch, Time: c.clock, Reason: "start", Instance: "us"})
	c.control(change.Control{Kind: change.BaselineBegin, LSN: c.lsn, Time: c.clock})
	tx := change.Transaction{CommitLSN: c.lsn - 1, Time: c.clock}
	for i := 1; i <= c.quests; i++ {
		m := c.member(i)
		tx.Message++
		c.step(tx, true, m.id, []change.Change{
			m.quest(change.Read, m.us, "in-progress"),
			m.application(change.Read, 0, "approved"), m.application(change.Read, 1, "rejected"), m.application(change.Read, 2, "rejected"),
			m.participant(change.Read, 0, m.us),
		})
		flush()
	}
	c.control(change.Control{Kind: change.BaselineEnd, LSN: c.lsn, Time: c.clock})
	flush()
}

// day is what happens to busy of the quests, which are as before at its end.
func (c *crowd) day(busy int) (records []change.Record, changes int) {
	commit := func(id int64, all ...change.Change) {
		tx := c.transaction()
		tx.Message, tx.Messages = 1, 1
		c.step(tx, false, id, all)
		changes += len(all)
	}
	for i := range busy {
		m := c.member(1 + i*(c.quests/busy))
		c.clock += 40
		commit(m.id, m.participant(change.Delete, 0, m.us), m.quest(change.Update, "", "open"))
		commit(m.id, m.application(change.Update, 1, "pending"))
		commit(m.id, m.application(change.Update, 1, "approved"), m.participant(change.Create, 1, m.other),
			m.quest(change.Update, m.other, "in-progress"), m.application(change.Update, 0, "rejected"))
		commit(m.id, m.participant(change.Delete, 1, m.other), m.application(change.Update, 1, "kicked"), m.quest(change.Update, "", "open"))
		commit(m.id, m.application(change.Update, 0, "approved"), m.participant(change.Create, 0, m.us), m.quest(change.Update, m.us, "in-progress"))
		if i%10 == 0 {
			c.mark(0)
		}
	}
	return c.records, changes
}

// member is one of the crowd's quests, and who matters to it.
type member struct {
	id                int64
	us, other, nobody string
}

func (c *crowd) member(i int) member {
	person := func(i int) string { return fmt.Sprintf("8f14e45f-ceea-467f-9b5c-%012d", i%(c.quests/4)) }
	return member{int64(i), person(i), person(i + 1), person(i + 2)}
}

// of is a change whose row is now as given. An update's old row differs by its
// last few letters.
func of(op change.Op, e change.Entity, row change.Row) change.Change {
	c := change.Change{Op: op, Entity: e, Table: "public." + e.String(), After: row}
	switch op {
	case change.Delete:
		c.Before, c.After = row, nil
	case change.Update:
		c.Before = row
	case change.Create, change.Read:
	}
	return c
}

func (m member) quest(op change.Op, assigned, status string) change.Change {
	q := tables{exists: true, status: status, assigned: assigned}
	return of(op, change.Quest, q.row(m.id))
}

// application is the row of us, the other, or nobody.
func (m member) application(op change.Op, which int, status string) change.Change {
	user := [...]string{m.us, m.other, m.nobody}[which]
	return of(op, change.Application, pair{user, status}.row(change.Application, 4*m.id+int64(which)))
}

func (m member) participant(op change.Op, which int, user string) change.Change {
	return of(op, change.Participant, pair{user, "joined"}.row(change.Participant, 4*m.id+int64(which)))
}
