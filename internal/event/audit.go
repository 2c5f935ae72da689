package event

import (
	"cmp"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/rule"
)

// Kinds of audits, the third token of audit.completed.
const (
	AuditScheduled = "scheduled"
	AuditRequested = "requested"
)

// Audited is the data of audit.completed.
type Audited struct {
	// Kind is scheduled or requested.
	Kind string `json:"kind"`
	// Report is the name of its report: questwatch audit show prints that.
	Report string `json:"report"`
	// Scheduled is when it was due, 0 for one that was requested; Began is when it
	// began and Took how long it took.
	Scheduled change.Millis `json:"scheduled_ms,omitempty"`
	Began     change.Millis `json:"began_ms"`
	Took      int64         `json:"took_ms"`
	// Quests were read, Findings found: these are what the rules say of the tables,
	// whose causes a snapshot often cannot tell.
	Quests     int64                   `json:"quests"`
	Findings   int64                   `json:"findings"`
	ByRule     map[rule.Rule]int64     `json:"by_rule"`
	BySeverity map[rule.Severity]int64 `json:"by_severity"`
	// Change is since the audit before; absent where there was none, or where there is
	// too much to compare.
	Change *AuditChange `json:"change,omitempty"`
	// Mismatched counts what database and checker judge otherwise, Undecided what could
	// not be compared; NotCompared says why nothing was.
	Mismatched  int    `json:"mismatched"`
	Undecided   int    `json:"undecided"`
	NotCompared string `json:"not_compared,omitempty"`
}

// AuditChange compares findings by rule, quest and person.
type AuditChange struct {
	// Since is when the audit before began, Before the name of its report.
	Since  change.Millis `json:"since_ms"`
	Before string        `json:"before"`
	New    int64         `json:"new"`
	Gone   int64         `json:"gone"`
	Same   int64         `json:"same"`
	// NewByRule, GoneByRule and NewBySeverity count the same.
	NewByRule     map[rule.Rule]int64     `json:"new_by_rule"`
	GoneByRule    map[rule.Rule]int64     `json:"gone_by_rule"`
	NewBySeverity map[rule.Severity]int64 `json:"new_by_severity"`
}

// at is what an audit's ids are made of: a scheduled one that is made again has the same.
func (a *Audited) at() change.Millis { return cmp.Or(a.Scheduled, a.Began) }

// OfAudit is the event of an audit that is complete.
func OfAudit(namespace string, a *Audited) Event {
	return Event{
		ID: auditID("audit.completed", namespace, a, "", 0, ""), Group: "audit", What: "completed", Detail: a.Kind,
		Time: a.Began + change.Millis(a.Took), Data: *a,
	}
}

// AuditFailure is the data of audit.failed: an audit by the timetable could not be made,
// and is tried again. It is told once for each planned time.
type AuditFailure struct {
	// Kind is scheduled: who asks for an audit is answered.
	Kind string `json:"kind"`
	// Scheduled is when it was due.
	Scheduled change.Millis `json:"scheduled_ms"`
	// Attempt counts from 1, Error is what came of it.
	Attempt int    `json:"attempt"`
	Error   string `json:"error"`
	// Time is when it failed, by our own clock.
	Time change.Millis `json:"ts_ms"`
}

// OfAuditFailure is the event of an audit that failed. Its id is made of the time for
// which it was planned.
func OfAuditFailure(namespace string, f *AuditFailure) Event {
	f.Kind = AuditScheduled
	a := Audited{Kind: f.Kind, Scheduled: f.Scheduled}
	return Event{
		ID: auditID("audit.failed", namespace, &a, "", 0, ""), Group: "audit", What: "failed", Detail: f.Kind, Time: f.Time, Data: *f,
	}
}

func (f *AuditFailure) sentence() string {
	return fmt.Sprintf("the audit that was due at %s UTC failed, and is tried again: %s", f.Scheduled.Time().UTC().Format(time.DateTime), f.Error)
}

// The third tokens of what audits tell of mismatches.
const (
	mismatchFinding  = "finding"
	mismatchFindings = "findings"
)

// Disagreement is the data of an audit.mismatch: an audit and the checker judge a quest
// otherwise.
type Disagreement struct {
	// Kind is finding.
	Kind    string    `json:"kind"`
	Rule    rule.Rule `json:"rule"`
	QuestID int64     `json:"quest_id"`
	UserID  *string   `json:"user_id"`
	// Database says that the rule is violated by the tables, Checker that it is by what
	// the checker knows.
	Database bool `json:"database"`
	Checker  bool `json:"checker"`
	// Report is the audit's.
	Report string `json:"report"`
	Compared
}

// Disagreements is the data of the event about all of an audit.
type Disagreements struct {
	// Kind is findings.
	Kind string `json:"kind"`
	// Mismatched counts them; QuestIDs are the first of the quests.
	Mismatched int     `json:"mismatched"`
	QuestIDs   []int64 `json:"quest_ids"`
	Report     string  `json:"report"`
	Compared
}

// OfDisagreement is the event of one thing that audit and checker judge otherwise.
func OfDisagreement(namespace string, a *Audited, d Disagreement) Event {
	user := ""
	if d.UserID != nil {
		user = *d.UserID
	}
	d.Kind, d.Report = mismatchFinding, a.Report
	return Event{
		ID:    auditID("audit.mismatch", namespace, a, d.Rule.String(), d.QuestID, user),
		Group: "audit", What: "mismatch", Detail: d.Kind, Quest: d.QuestID, Time: d.Time, Data: d,
	}
}

// OfDisagreements is the event of all of them.
func OfDisagreements(namespace string, a *Audited, d Disagreements) Event {
	d.Kind, d.Report = mismatchFindings, a.Report
	return Event{
		ID:    auditID("audit.mismatch", namespace, a, "", 0, ""),
		Group: "audit", What: "mismatch", Detail: d.Kind, Time: d.Time, Data: d,
	}
}

func auditID(kind, namespace string, a *Audited, about string, quest int64, user string) string {
	return hashed(kind, "%s %s %d %q %d %q", namespace, a.Kind, a.at(), about, quest, user)
}

// severity: what is new deserves a look; whether an approval failed, a snapshot cannot tell.
func (a *Audited) severity() rule.Severity {
	switch {
	case a.Mismatched > 0:
		return rule.Critical
	case a.Change != nil && a.Change.NewBySeverity[rule.Warning]+a.Change.NewBySeverity[rule.Critical] > 0:
		return rule.Warning
	}
	return rule.Info
}

func (a *Audited) sentence() string {
	text := fmt.Sprintf("the %s audit of %d quests has %d findings", a.Kind, a.Quests, a.Findings)
	if c := a.Change; c != nil {
		text += fmt.Sprintf("; since the one before, %d are new and %d gone", c.New, c.Gone)
	}
	switch {
	case a.Mismatched > 0:
		text += fmt.Sprintf("; %d are judged otherwise by the checker", a.Mismatched)
	case a.NotCompared != "":
		text += "; they were not compared with the checker's: " + a.NotCompared
	}
	return text
}

func (d *Disagreement) sentence(who string) string {
	where, otherwise := "the tables", "the checker"
	if d.Checker {
		where, otherwise = otherwise, where
	}
	return fmt.Sprintf("%s of quest %d%s is violated by %s and not by %s", d.Rule, d.QuestID, who, where, otherwise)
}
