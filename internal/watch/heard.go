package watch

import (
	"errors"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Refused counts the logical messages that were not believed: reports of failed
// approvals, and what repairs say of themselves. Any role of the database can send
// one, so nothing of their content is kept.
type Refused struct {
	Reports uint64
	// LSN and Why are the last one's.
	LSN change.LSN
	Why string
}

// Refused is what was refused since the checker was made.
func (c *Checker) Refused() Refused { return c.refused }

// heard takes a logical message, and what it says if that can be believed.
func (c *Checker) heard(seq change.Seq, r *change.Control) {
	if !c.blind {
		c.passed = r.Transaction.CommitLSN // messages come in commit order too
	}
	var e event.Event
	var err error
	switch r.Prefix {
	case change.ReportPrefix:
		e, err = c.reported(seq, r)
	case change.RepairPrefix:
		e, err = c.repaired(seq, r)
	default:
		return
	}
	if err != nil {
		c.refused = Refused{Reports: c.refused.Reports + 1, LSN: r.Transaction.CommitLSN, Why: err.Error()}
		return
	}
	c.found = append(c.found, Found{Event: e, Position: c.next(seq)})
}

var errUnknown = errors.New("nothing is known of any quest yet")

// reported is the application's word that an approval failed, if it speaks of an
// application that is there.
func (c *Checker) reported(seq change.Seq, r *change.Control) (event.Event, error) {
	if !c.known {
		return event.Event{}, errUnknown
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
	return event.OfReport(c.rules.Drift.Namespace, q, report.UserID, &report, c.told(seq, whereOf(r))), nil
}

// repaired is what a repair of ours, or the undoing of one, says of its own
// transaction. It is told where the message stands: the finding ends with the
// transaction, or does not.
func (c *Checker) repaired(seq change.Seq, r *change.Control) (event.Event, error) {
	if !c.known {
		return event.Event{}, errUnknown
	}
	repair, err := change.ParseRepaired(r.Content)
	if err != nil {
		return event.Event{}, err
	}
	which, err := rule.Parse(repair.Rule)
	switch {
	case repair.Namespace != c.rules.Drift.Namespace:
		return event.Event{}, errors.New("the repair is of another namespace")
	case err != nil || !remedy.Can(which, rule.Cause(repair.Cause), remedy.Action(repair.Action)):
		return event.Event{}, errors.New("there is no such repair")
	case !c.large.has(repair.QuestID):
		return event.Event{}, errors.New("its transaction has not written to the quest before")
	}
	if repair.Undoes != 0 && remedy.Action(repair.Action) == remedy.CreateParticipant {
		c.state.Undone(repair.QuestID, c.state.Users().Find(repair.UserID))
	}
	return event.OfRepaired(&repair, which, c.told(seq, whereOf(r))), nil
}

// whereOf is the transaction of a logical message.
func whereOf(r *change.Control) drift.Where {
	return drift.Where{Epoch: r.Source.Epoch, Transaction: *r.Transaction, Origin: drift.FromStream}
}
