package event

import (
	"fmt"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/rule"
)

// Severity is how much an event matters to whoever is on call. What tells that
// something is over, or is going well, is info.
func (e *Event) Severity() rule.Severity {
	if e.Over() {
		return rule.Info
	}
	return e.Weight()
}

// Over reports whether an event tells the end of something that another one told.
func (e *Event) Over() bool {
	switch d := e.Data.(type) {
	case Finding:
		return e.What == string(drift.Resolved)
	case Alarm:
		return d.Until != 0
	case Halt:
		return d.Until != 0
	}
	return false
}

// Weight is the severity, of what is over that which it had.
func (e *Event) Weight() rule.Severity {
	switch d := e.Data.(type) {
	case Finding:
		return d.Severity
	case Approval:
		return d.Severity
	case Regression:
		return d.Severity
	case Continuity:
		switch e.What {
		case "gap":
			return rule.Critical
		case "truncated", "schema_changed":
			return rule.Warning
		}
	case Alarm:
		return severityOf(d.Severity)
	case Mismatch, Mismatches, Disagreement, Disagreements:
		return rule.Critical
	case Audited:
		return d.severity()
	case Undelivered, AuditFailure:
		return rule.Warning
	case NotRepaired:
		return d.Severity
	case Halt:
		return severityOf(d.Severity)
	}
	return rule.Info
}

func severityOf(text string) rule.Severity {
	s, err := rule.ParseSeverity(text)
	if err != nil {
		return rule.Warning
	}
	return s
}

// UserID is the person that an event is about, "" for none.
func (e *Event) UserID() string {
	of := func(id *string) string {
		if id == nil {
			return ""
		}
		return *id
	}
	switch d := e.Data.(type) {
	case Finding:
		return of(d.UserID)
	case Approval:
		return d.UserID
	case Planned:
		return of(d.UserID)
	case Repaired:
		return of(d.UserID)
	case NotRepaired:
		return of(d.UserID)
	case Disagreement:
		return of(d.UserID)
	}
	return ""
}

// FindingID is the finding that an event is about, "" for none.
func (e *Event) FindingID() string {
	switch d := e.Data.(type) {
	case Finding:
		return d.Finding
	case Approval:
		return d.Finding
	case Planned:
		return d.Finding
	case Repaired:
		return d.Finding
	case NotRepaired:
		return d.Finding
	}
	return ""
}

// Rule is the name of the rule that an event is about, "" for none.
func (e *Event) Rule() string {
	switch d := e.Data.(type) {
	case Finding, Planned, Repaired, NotRepaired:
		return e.Detail
	case Disagreement:
		return d.Rule.String()
	}
	return ""
}

// Sentence says in a line what happened. name is what to call a person with an id. What
// comes from the database, such as a title, is in it as it is.
func (e *Event) Sentence(name func(id string) string) string {
	who := ""
	if id := e.UserID(); id != "" {
		who = " of " + name(id)
	}
	switch d := e.Data.(type) {
	case Finding:
		return d.sentence(e.What, who)
	case Baseline:
		return fmt.Sprintf("%d findings were there before the stream, among %d quests", d.Findings, d.Quests)
	case Approval:
		return d.sentence(who)
	case Regression:
		return fmt.Sprintf("the status of quest %d %q went back from %s to %s", d.QuestID, d.QuestTitle, d.From, d.To)
	case Continuity:
		return d.sentence(e.What)
	case Alarm:
		if d.Until != 0 {
			return fmt.Sprintf("%s is over after %s", d.Reason, time.Duration(d.Until-d.Since)*time.Millisecond)
		}
		return "the stream is in trouble: " + d.Reason
	case Mismatch:
		return fmt.Sprintf("quest %d is not in the state as it is in the database", d.QuestID)
	case Mismatches:
		return fmt.Sprintf("%d quests are not in the state as they are in the database", d.Mismatched)
	case Audited:
		return d.sentence()
	case AuditFailure:
		return d.sentence()
	case Disagreement:
		return d.sentence(who)
	case Disagreements:
		return fmt.Sprintf("an audit and the checker judge %d things otherwise", d.Mismatched)
	case Planned:
		return fmt.Sprintf("%s of quest %d%s can be repaired by %s%s", d.Rule, d.QuestID, who, d.Action, automatically(d.Automatic))
	case Repaired:
		return d.sentence(e.What, who)
	case NotRepaired:
		return strings.TrimSuffix(fmt.Sprintf("%s of quest %d%s was not repaired (%s): %s", d.Rule, d.QuestID, who, d.Reason, d.Error), ": ")
	case Halt:
		if d.Until != 0 {
			return "automatic repairs go on, resumed by " + d.Actor
		}
		return fmt.Sprintf("automatic repairs have stopped (%s): %d findings of %d quests opened in a minute", d.Reason, d.Opened, d.Quests)
	case Trial:
		return "this is a test: alerts over " + d.Channel + " arrive here"
	case Undelivered:
		events := "an event"
		if d.Events > 1 {
			events = fmt.Sprintf("%d events", d.Events)
		}
		return fmt.Sprintf("%s was not told of %s: %s", d.Channel, events, d.Error)
	}
	return e.Group + "." + e.What
}

func automatically(yes bool) string {
	if yes {
		return ", automatically"
	}
	return ""
}

func (f *Finding) sentence(what, who string) string {
	about := fmt.Sprintf("%s (%s)%s in quest %d %q", f.Rule, f.Cause, who, f.QuestID, f.QuestTitle)
	if what == string(drift.Resolved) {
		text := fmt.Sprintf("%s is over (%s)", about, f.Reason)
		if f.OpenMS != nil {
			text += " after " + (time.Duration(*f.OpenMS) * time.Millisecond).String()
		}
		return text
	}
	return about + ": " + f.Actual
}

func (a *Approval) sentence(who string) string {
	application := fmt.Sprintf("the approval of application %d%s for quest %d %q", a.ApplicationID, who, a.QuestID, a.QuestTitle)
	switch a.Reason {
	case Silent:
		return application + " failed: no participant came of it"
	case Reverted:
		return application + " failed: it was taken back within a minute, and no participant had come"
	case Reported:
		if a.Error != "" {
			return fmt.Sprintf("%s failed, says the application (%s)", application, a.Error)
		}
		return application + " failed, says the application"
	case Late, Fulfilled:
	}
	return application + " was taken back"
}

func (c *Continuity) sentence(what string) string {
	entities := strings.Join(c.Entities, ", ")
	switch what {
	case "gap":
		return fmt.Sprintf("changes are missing from %s to %s: %s", c.From, c.To, c.Reason)
	case "epoch":
		return fmt.Sprintf("epoch %d of the stream begins: %s", c.Epoch, c.Reason)
	case "truncated":
		return "emptied: " + entities
	case "schema_changed":
		text := "the columns of " + entities + " have changed"
		if len(c.Missing) > 0 {
			text += "; missing: " + strings.Join(c.Missing, ", ")
		}
		return text
	}
	return what
}

func (r *Repaired) sentence(what, who string) string {
	if what == "undone" {
		return fmt.Sprintf("repair %d of quest %d%s was undone by %s", r.Undoes, r.QuestID, who, r.Actor)
	}
	text := fmt.Sprintf("%s of quest %d%s was repaired by %s (%s, entry %d)", r.Rule, r.QuestID, who, r.Actor, r.Action, r.Entry)
	if r.AfterCommitMS != nil {
		text += ", " + (time.Duration(*r.AfterCommitMS) * time.Millisecond).String() + " after it began"
	}
	return text
}
