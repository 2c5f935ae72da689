package replay

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
)

// restated takes in a row of a baseline. It is shown if nobody knew it so: a later
// baseline restates everything.
func (g *gatherer) restated(c *seen) error {
	if !g.scope.follows(c.Entity, c.after) {
		g.group.Others++
		return nil
	}
	key := rowKey{c.Entity, c.after.id}
	g.group.rows[key] = *c.after
	was, known := g.known[key]
	if known && was == *c.after && !g.group.Began && !g.group.Ended {
		return nil
	}
	g.group.leads = g.group.leads || g.scope.user == "" || c.of(g.scope.user)
	return g.group.show(c)
}

// completed reports whether a baseline was read to its end. One that was broken off
// is begun anew, and counts for nothing.
func (g *gatherer) completed(ctx context.Context, t *group) (bool, error) {
	r, err := g.stream.Control(ctx, t.last+1)
	if errors.Is(err, ErrNone) || err == nil && r.Seq > g.to {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c, err := g.decoder.Control(r.Data)
	return err == nil && c.Kind == change.BaselineEnd, err
}

// compare finds what a baseline did not show any more, and goes on from what it
// showed.
func (g *gatherer) compare(t *group) {
	var gone []rowKey
	for key := range g.known {
		if _, still := t.rows[key]; !still {
			gone = append(gone, key)
		}
	}
	slices.SortFunc(gone, func(a, b rowKey) int {
		return cmp.Or(cmp.Compare(a.entity, b.entity), cmp.Compare(a.id, b.id))
	})
	for _, key := range gone {
		t.leads = true
		t.add(key.entity, &Change{
			Entity: key.entity.String(), ID: key.id, Op: change.Delete.String(), Gone: true, Columns: []Column{},
		})
	}
	g.known = t.rows
}

// recordsSearched is how many control records may stand between the last message of
// a transaction about a quest and its end.
const recordsSearched = 20

// fillEnd finds where a transaction ended whose messages did not know yet, and what it
// said of itself before.
func (g *gatherer) fillEnd(ctx context.Context, t *Transaction) error {
	if t.End != nil || t.Baseline {
		return nil
	}
	from := t.last + 1
	for range recordsSearched {
		r, err := g.stream.Control(ctx, from)
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		c, err := g.decoder.Control(r.Data)
		if err != nil {
			return err
		}
		from = r.Seq + 1
		if c.Transaction == nil || c.Transaction.ID != t.ID || c.Transaction.CommitLSN != t.Commit.LSN {
			continue
		}
		switch c.Kind {
		case change.TxEnd:
			t.End = positionOf(c.Transaction.EndLSN)
			return nil
		case change.Message:
			t.repairs(c, g.finding.QuestID)
		}
	}
	return nil
}

// repairs takes what a transaction says of itself, behind what it did to the quest.
// Another quest's repair, or what is none, says nothing here.
func (t *Transaction) repairs(c *change.Control, quest int64) {
	if r, of := repairOf(c); r != nil && of == quest {
		t.Repair = r
	}
}

// repairOf is the repair that a message of the application speaks of, and the quest's id;
// nil where it does not.
func repairOf(c *change.Control) (*Repair, int64) {
	if c.Prefix != change.RepairPrefix {
		return nil, 0
	}
	r, err := change.ParseRepaired(c.Content)
	if err != nil {
		return nil, 0
	}
	return &Repair{Entry: r.Entry, Undoes: r.Undoes, Finding: r.Finding, Action: r.Action, Actor: r.Actor, Automatic: r.Automatic}, r.QuestID
}
