package schedule

import (
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// Report is what is kept of an audit.
type Report struct {
	event.Audited
	Instance string `json:"instance"`
	// All are the findings, by phase; nil where there were more than a report holds.
	All []Finding `json:"all"`
	// Disagreements are the first things that the checker judged otherwise, as of
	// Compared.
	Disagreements []Disagreement  `json:"disagreements,omitempty"`
	Compared      *event.Compared `json:"compared,omitempty"`
}

// Finding is one of an audit.
type Finding struct {
	Rule     rule.Rule     `json:"rule"`
	Severity rule.Severity `json:"severity"`
	QuestID  int64         `json:"quest_id"`
	UserID   string        `json:"user_id,omitempty"`
}

func (f *Finding) about() verify.About {
	return verify.About{Rule: f.Rule, Quest: f.QuestID, User: f.UserID}
}

// Disagreement is something that tables and checker judge otherwise: Checker says which of
// them holds it to be violated.
type Disagreement struct {
	Rule    rule.Rule `json:"rule"`
	QuestID int64     `json:"quest_id"`
	UserID  string    `json:"user_id,omitempty"`
	Checker bool      `json:"checker"`
}

const (
	// most is how many findings a report holds.
	most = 200_000
	// toldSingly is how many disagreements are told of one by one.
	toldSingly = 100

	namePrefix = "audit-"
	nameForm   = "20060102T150405.000Z"
)

// nameOf is a report's name. Names sort by time.
func nameOf(at time.Time) string { return namePrefix + at.UTC().Format(nameForm) }

// IsName reports whether a name is a report's.
func IsName(name string) bool {
	at, err := time.Parse(nameForm, strings.TrimPrefix(name, namePrefix))
	return err == nil && nameOf(at) == name
}

// since compares with the report before.
func (r *Report) since(before *Report) {
	if before == nil || r.All == nil || before.All == nil {
		return
	}
	c := &event.AuditChange{
		Since: before.Began, Before: before.Report,
		NewByRule: map[rule.Rule]int64{}, GoneByRule: map[rule.Rule]int64{}, NewBySeverity: map[rule.Severity]int64{},
	}
	was := make(map[verify.About]bool, len(before.All))
	for i := range before.All {
		was[before.All[i].about()] = true
	}
	for i := range r.All {
		f := &r.All[i]
		if was[f.about()] {
			c.Same++
			delete(was, f.about())
			continue
		}
		c.New++
		c.NewByRule[f.Rule]++
		c.NewBySeverity[f.Severity]++
	}
	for gone := range was {
		c.Gone++
		c.GoneByRule[gone.Rule]++
	}
	r.Change = c
}

// events are what is told of an audit, the audit itself last.
func (r *Report) events(namespace string) []event.Event {
	var all []event.Event
	if at := r.Compared; at != nil && r.Mismatched > 0 {
		sum := event.Disagreements{Mismatched: r.Mismatched, QuestIDs: []int64{}, Compared: *at}
		for _, d := range r.Disagreements {
			var user *string
			if d.UserID != "" {
				user = &d.UserID
			}
			sum.QuestIDs = append(sum.QuestIDs, d.QuestID)
			all = append(all, event.OfDisagreement(namespace, &r.Audited, event.Disagreement{
				Rule: d.Rule, QuestID: d.QuestID, UserID: user, Database: !d.Checker, Checker: d.Checker, Compared: *at,
			}))
		}
		all = append(all, event.OfDisagreements(namespace, &r.Audited, sum))
	}
	return append(all, event.OfAudit(namespace, &r.Audited))
}

func compared(t *verify.Testimony, lsn change.LSN) *event.Compared {
	return &event.Compared{Epoch: t.Epoch, Sequence: uint64(t.Sequence), LSN: lsn, Time: change.MillisOf(time.Now())}
}
