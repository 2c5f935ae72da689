package quest

import (
	"slices"
	"strings"
)

// open are the quests of very many rows that steps came to lately, as they are
// worked with: to read and write such a record anew for every step would make a
// table load of n rows for one quest cost n². Until they are closed, the records of
// such quests in the shards are old.
type open struct {
	limits
	quests []*Quest // the last one used is the last
}

// limits say which quests are kept open: those whose record has above bytes or more,
// and of them the most that were used last, or fewer where they have so many rows
// in all. The last one stays.
type limits struct{ above, most, rows int }

// A record of 2 KiB has about 200 rows.
var usual = limits{above: 2 << 10, most: 16, rows: 256 << 10}

// use is the open quest with an id, or nil.
func (o *open) use(id int64) *Quest {
	for i := len(o.quests) - 1; i >= 0; i-- {
		if q := o.quests[i]; q.ID == id {
			o.quests = append(slices.Delete(o.quests, i, i+1), q)
			return q
		}
	}
	return nil
}

// keep opens a quest and lets go of what becomes too much, which is to be stored.
// The title is copied: it would keep the record.
func (o *open) keep(q *Quest) (closed []*Quest) {
	q.Title = strings.Clone(q.Title)
	o.quests = append(o.quests, q)
	n, rows := 0, 0
	for _, q := range o.quests {
		rows += q.rows()
	}
	for len(o.quests)-n > o.most || rows > o.rows && len(o.quests)-n > 1 {
		rows -= o.quests[n].rows()
		n++
	}
	closed = slices.Clone(o.quests[:n])
	o.quests = slices.Delete(o.quests, 0, n)
	return closed
}

func (o *open) forget(id int64) {
	o.quests = slices.DeleteFunc(o.quests, func(q *Quest) bool { return q.ID == id })
}

func (q *Quest) rows() int { return len(q.Applications) + len(q.Participants) + len(q.Departures) }
