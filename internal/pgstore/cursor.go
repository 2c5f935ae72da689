package pgstore

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/change"
)

// Batches: how many rows are fetched at once, so that a batch is about as large
// as it should be whatever the rows are like.
const (
	firstBatch  = 200
	largestRows = 5000
	batchBytes  = 512 << 10
)

// cursor reads one entity's rows in the order of their quests. The first column
// is the quest's id as a binary bigint.
type cursor struct {
	entity  change.Entity
	conn    *pgconn.PgConn
	name    string
	formats []int16

	size   int // rows of the next fetch
	width  int // columns of a row
	rows   int // rows of the batch
	next   int // the row after the current one
	bytes  []byte
	spans  []span
	quest  int64
	ended  bool
	last   bool // the batch at hand is the last
	values [][]byte
}

// span is where a value lies in the batch; size -1 is null.
type span struct{ at, size int }

// advance goes to the next row; ended says that there is none.
func (c *cursor) advance(ctx context.Context) error {
	if c.next == c.rows {
		if c.last {
			c.ended = true
			return nil
		}
		if err := c.fetch(ctx); err != nil {
			return err
		}
		if c.rows == 0 {
			c.ended = true
			return nil
		}
	}
	c.values = c.values[:0]
	for _, s := range c.spans[c.next*c.width : (c.next+1)*c.width] {
		if s.size < 0 {
			c.values = append(c.values, nil)
			continue
		}
		c.values = append(c.values, c.bytes[s.at:s.at+s.size:s.at+s.size])
	}
	c.next++
	if len(c.values[0]) != 8 {
		return fmt.Errorf("read %s rows: one has no quest id", c.entity)
	}
	c.quest = int64(binary.BigEndian.Uint64(c.values[0]))
	return nil
}

// fetch replaces the batch. The rows are copied: the connection's buffer is
// used again as soon as another cursor fetches.
func (c *cursor) fetch(ctx context.Context) error {
	c.rows, c.next, c.bytes, c.spans = 0, 0, c.bytes[:0], c.spans[:0]
	result := c.conn.ExecParams(ctx, fmt.Sprintf("FETCH FORWARD %d FROM %s", c.size, c.name), nil, nil, nil, c.formats)
	for result.NextRow() {
		values := result.Values()
		c.width = len(values)
		for _, v := range values {
			if v == nil {
				c.spans = append(c.spans, span{size: -1})
				continue
			}
			c.spans = append(c.spans, span{at: len(c.bytes), size: len(v)})
			c.bytes = append(c.bytes, v...)
		}
		c.rows++
	}
	if _, err := result.Close(); err != nil {
		return readError(fmt.Sprintf("read %s rows", c.entity), err)
	}
	c.last = c.rows < c.size
	c.resize()
	return nil
}

// resize sets the size of the next fetch by what this one took. A stretch of
// large rows may have grown the buffer far: it is let go then.
func (c *cursor) resize() {
	if c.rows > 0 {
		each := max(len(c.bytes)/c.rows, 1)
		c.size = min(max(batchBytes/each, 1), largestRows, c.size*4)
	}
	if cap(c.bytes) > 16*batchBytes && len(c.bytes) < batchBytes {
		c.bytes = append([]byte(nil), c.bytes...)
	}
}

// grouped walks three cursors side by side, quest by quest.
type grouped struct {
	cursors [3]*cursor
}

func (g *grouped) start(ctx context.Context) error {
	for _, c := range g.cursors {
		if err := c.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// quest is the next quest of which any cursor has a row.
func (g *grouped) quest() (id int64, ok bool) {
	for _, c := range g.cursors {
		if !c.ended && (!ok || c.quest < id) {
			id, ok = c.quest, true
		}
	}
	return id, ok
}

// rows calls fn for each row of a quest: its own, applications, participants.
// values are valid during the call.
func (g *grouped) rows(ctx context.Context, quest int64, fn func(e change.Entity, values [][]byte) error) error {
	for _, c := range g.cursors {
		for !c.ended && c.quest == quest {
			if err := fn(c.entity, c.values); err != nil {
				return err
			}
			if err := c.advance(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
