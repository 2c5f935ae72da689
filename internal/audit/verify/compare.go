package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

const (
	// batchQuests bounds the quests whose rows are held.
	batchQuests = 128
	// stretchRanges are read at once where they stand side by side.
	stretchRanges = 16
	// idsAtOnce are the quests that are read again by one question.
	idsAtOnce = 1000
	// maxPending bounds the quests that wait for another snapshot.
	maxPending = 5000
	// maxMismatched ends a pass: the state is worth nothing.
	maxMismatched = 1000
	// maxRounds bounds the snapshots for what is pending. The pauses before them grow
	// from the first to the longest.
	maxRounds                = 10
	firstPause, longestPause = 20 * time.Millisecond, 2 * time.Second
	// strikes are the snapshots in a row that a quest must differ in.
	strikes = 2
)

// suspect is a quest that was not found equal.
type suspect struct{ strikes int }

// stretch is the quests from first to last; ids are those of the state among them.
type stretch struct {
	first, last int64
	ids         []int64
}

// stretches puts ranges that stand side by side together.
func (p *pass) stretches(ranges []int) (list []stretch) {
	for len(ranges) > 0 {
		n := 1
		for n < len(ranges) && n < stretchRanges && ranges[n] == ranges[0]+n {
			n++
		}
		from, to := ranges[0], ranges[n-1]
		list = append(list, stretch{first: p.starts[from], last: p.last(to), ids: p.quests(from, to)})
		ranges = ranges[n:]
	}
	return list
}

// errFull interrupts the reading of a stretch: what is pending comes first.
var errFull = errors.New("too many quests are pending")

// compareStretch compares the rows of a stretch, and leaves pending what is not
// equal.
func (p *pass) compareStretch(ctx context.Context, s stretch) error {
	for {
		var c *comparer
		err := p.moment(ctx, func(at *sight, rows Rows) error {
			c = p.comparer(at, s.ids)
			c.limit, c.end = maxPending, s.last
			if err := rows.Range(ctx, s.first, s.last, c.row); err != nil {
				return err
			}
			return c.flush(s.last)
		})
		if !errors.Is(err, errFull) {
			return err
		}
		if err := p.resolve(ctx); err != nil {
			return err
		}
		s.first, s.ids = c.done+1, c.ids
	}
}

// resolve compares what is pending with newer snapshots, until nothing is or the
// rounds are used up.
func (p *pass) resolve(ctx context.Context) error {
	pause := firstPause
	for range maxRounds {
		if len(p.pending) == 0 {
			return nil
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
		err := p.moment(ctx, func(at *sight, rows Rows) error {
			for ids := range slices.Chunk(p.pendingIDs(), idsAtOnce) {
				c := p.comparer(at, ids)
				if err := rows.Quests(ctx, ids, c.row); err != nil {
					return err
				}
				if err := c.flush(math.MaxInt64); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range p.pendingIDs() {
		p.result.undecided(id)
	}
	clear(p.pending)
	return nil
}

func (p *pass) pendingIDs() []int64 {
	ids := make([]int64, 0, len(p.pending))
	for id := range p.pending {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// errTruncated ends a pass that has found enough.
var errTruncated = errors.New("too many quests differ")

// comparer compares quests of the state with the rows of a snapshot.
type comparer struct {
	*pass
	at   *sight
	ids  []int64 // to compare though there may be no row of them, ascending
	done int64   // up to here all are compared
	// limit is how many quests may be pending before errFull, unless all up to end are
	// compared.
	limit int
	end   int64

	rows  *quest.State // what the rows make that have been read
	batch []int64      // the quests in it, ascending
}

func (p *pass) comparer(at *sight, ids []int64) *comparer {
	c := &comparer{pass: p, at: at, ids: ids, limit: math.MaxInt}
	c.reset()
	return c
}

func (c *comparer) reset() {
	c.rows, c.batch = quest.NewState(c.config.Schema, c.config.Statuses), c.batch[:0]
}

// row takes rows of a quest in.
func (c *comparer) row(id int64, rows []change.Change) error {
	n := len(c.batch)
	if n == 0 || c.batch[n-1] != id {
		if n == batchQuests {
			if err := c.flush(c.batch[n-1]); err != nil {
				return err
			}
		}
		c.batch = append(c.batch, id)
	}
	_, err := c.rows.Apply(&change.Step{QuestID: id, Source: change.Source{Snapshot: true}, Changes: rows})
	if err != nil {
		return fmt.Errorf("read quest %d: %w", id, err)
	}
	return nil
}

// flush compares the quests up to an id, of which all rows have been read.
func (c *comparer) flush(last int64) error {
	n := upTo(c.ids, last)
	all := slices.Concat(c.ids[:n], c.batch)
	c.ids = c.ids[n:]
	slices.Sort(all)
	for _, id := range slices.Compact(all) {
		c.compare(id)
		if c.result.Mismatched >= maxMismatched {
			return errTruncated
		}
	}
	c.reset()
	if c.done = last; len(c.pending) >= c.limit && c.done < c.end {
		return errFull
	}
	return nil
}

// upTo counts the ids that are not above last.
func upTo(ids []int64, last int64) int {
	n, found := slices.BinarySearch(ids, last)
	if found {
		n++
	}
	return n
}

// compare compares a quest.
func (c *comparer) compare(id int64) {
	if _, beyond := c.at.beyond[id]; beyond {
		c.putOff(id)
		return
	}
	var state *quest.Quest
	if c.at.state.Quest(id, &c.quest) {
		state = &c.quest
	}
	c.found(id, quest.Compare(id, c.rows.Quest(id), c.rows.Users(), state, c.at.users))
}

// putOff leaves a quest to the next snapshot.
func (c *comparer) putOff(id int64) {
	c.result.Beyond++
	c.pending[id] = &suspect{}
}

// found takes in what a comparison says.
func (c *comparer) found(id int64, found []quest.Difference) {
	switch {
	case len(found) == 0:
		delete(c.pending, id)
		return
	case !c.at.certain:
		c.putOff(id)
		return
	}
	s := c.pending[id]
	if s == nil {
		s = &suspect{}
		c.pending[id] = s
	}
	if s.strikes++; s.strikes == strikes {
		delete(c.pending, id)
		c.result.mismatch(id, found)
	}
}
