package watch

import (
	"context"
	"io"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
)

// Resuming is which checkpoints Resume takes.
type Resuming struct {
	Rules  Rules
	Store  Checkpoints
	Stream Messages
	// First is where the stream begins.
	First change.Seq
	// OtherRules takes those too that were taken under other rules: the quests are then what
	// they were, and what is violated is found as behind a baseline.
	OtherRules bool
}

// Resume makes a checker of a checkpoint, for who publishes nothing. Same says that it goes
// on as the one did that the checkpoint was taken of. The error is ErrUnusable where the
// checkpoint is none of the stream, or of another configuration.
func (r *Resuming) Resume(ctx context.Context, s Saved) (c *Checker, same bool, err error) {
	err = r.Store.Load(ctx, s, func(in io.Reader) error {
		p, err := OpenCheckpoint(in)
		if err != nil {
			return err
		}
		h := &p.Header
		if h.Anchor.Seq != s.Seq {
			return refuse("%w: it stands behind message %d", ErrDamaged, h.Anchor.Seq)
		}
		if err := h.under(&r.Rules, "tables", "statuses"); err != nil {
			return err
		}
		other := h.under(&r.Rules, "rules")
		if same = other == nil; !same && !r.OtherRules {
			return other
		}
		if err := h.belongs(ctx, r.Stream, r.First); err != nil {
			return err
		}
		c, err = p.Checker(r.Rules)
		return err
	})
	if err != nil {
		return nil, false, unusable(err)
	}
	if !same {
		c.anew()
	}
	return c, same, nil
}

// anew judges all quests by the rules as they are now. What they violate began before, and
// nobody is told of it.
func (c *Checker) anew() {
	now := c.tracker.Now()
	before := now.Add(-c.rules.Drift.LongestGrace())
	c.tracker = drift.NewTracker(c.rules.Drift, c.state.Users())
	where := drift.Where{
		Epoch: c.writer.Epoch, Origin: drift.FromBaseline,
		Transaction: change.Transaction{CommitLSN: c.passed, EndLSN: c.passed, Time: before},
	}
	for _, id := range c.state.IDs() {
		c.judge(id, c.state.Quest(id), where)
	}
	c.tracker.Mark(nil, now)
	c.transitions = c.transitions[:0]
}
