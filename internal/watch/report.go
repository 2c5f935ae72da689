package watch

import (
	"errors"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
)

// Refused counts the reports of failed approvals that were not believed. Any role
// of the database can send one, so nothing of their content is kept.
type Refused struct {
	Reports uint64
	// LSN and Why are the last one's.
	LSN change.LSN
	Why string
}

// Refused is what was refused since the checker was made.
func (c *Checker) Refused() Refused { return c.refused }

// reported takes the application's word that an approval failed, if it speaks of
// an application that is there.
func (c *Checker) reported(seq change.Seq, r *change.Control) {
	if r.Prefix != change.ReportPrefix {
		return
	}
	e, err := c.believe(seq, r)
	if err != nil {
		c.refused = Refused{Reports: c.refused.Reports + 1, LSN: r.Transaction.CommitLSN, Why: err.Error()}
		return
	}
	c.found = append(c.found, Found{Event: e, Position: c.next(seq)})
}

func (c *Checker) believe(seq change.Seq, r *change.Control) (event.Event, error) {
	if !c.known {
		return event.Event{}, errors.New("nothing is known of any quest yet")
	}
	report, err := change.ParseReport(r.Content)
	if err != nil {
		return event.Event{}, err
	}
	q := c.state.Quest(report.QuestID)
	user := c.state.Users().Find(report.UserID)
	if q == nil || user == 0 || !q.IsOf(report.ApplicationID, user) {
		return event.Event{}, errors.New("the quest has no such application of that person")
	}
	where := drift.Where{Epoch: r.Source.Epoch, Transaction: *r.Transaction, Origin: drift.FromStream}
	return event.OfReport(c.rules.Drift.Namespace, q, report.UserID, &report, c.told(seq, where)), nil
}
