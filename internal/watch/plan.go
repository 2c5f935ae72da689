package watch

import (
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
)

// plan tells of the findings that a message opened and that have a plan. It comes
// after everything else that the message has: where that stands does not depend on
// which repairs are wanted. What a baseline showed is told in its summary alone.
func (c *Checker) plan(seq change.Seq) {
	for i := range c.transitions {
		t := &c.transitions[i]
		f := &t.Finding
		if t.What != drift.Opened || f.Where.Origin != drift.FromStream {
			continue
		}
		p := c.rules.Repair.Propose(c.state.Quest(f.Quest), f)
		if p.LeftAlone != "" {
			continue
		}
		at := c.next(seq)
		c.found = append(c.found, Found{Event: event.OfPlan(t, string(p.Action), p.Automatic, at), Position: at})
	}
}
