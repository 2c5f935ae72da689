package alert

import (
	"slices"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// Route is what a channel is told of.
type Route struct {
	// Severity is the lowest.
	Severity rule.Severity
	// Rules and Causes, where there are any, are those of the findings that it is told
	// of. What is about no finding passes by its severity alone.
	Rules  []rule.Rule
	Causes []rule.Cause
	// Resolved tells it too when what it was told of is over.
	Resolved bool
	// Each has it told of every event. Else a failed approval that is a finding's is
	// told as that finding only.
	Each bool
}

// item is an event as a channel is told of it.
type item struct {
	at       Position
	event    event.Event
	data     []byte
	severity rule.Severity
	over     bool
}

// take reports whether the channel with a name is told of an event. What a baseline
// showed is told in its summary alone, and so is not over later.
func (r *Route) take(channel string, it *item) bool {
	it.severity, it.over = it.event.Weight(), it.event.Over()
	switch d := it.event.Data.(type) {
	case event.Finding:
		if d.Origin == drift.FromBaseline || !r.about(d.Rule, d.Cause) {
			return false
		}
	case event.Approval:
		if d.Finding != "" && (!r.Each || !r.about(rule.MissingParticipant, rule.ApprovalFailed)) {
			return false
		}
	case event.Baseline:
		it.severity = worst(d.BySeverity)
	case event.Planned, event.Repaired:
		return r.Severity <= rule.Info && r.aboutRule(it.event.Rule())
	case event.NotRepaired:
		if !r.about(d.Rule, d.Cause) {
			return false
		}
	case event.Undelivered:
		if d.Channel == channel {
			return false
		}
	}
	return it.severity >= r.Severity && (r.Resolved || !it.over)
}

func (r *Route) about(which rule.Rule, cause rule.Cause) bool {
	return r.aboutRule(which.String()) && (len(r.Causes) == 0 || slices.Contains(r.Causes, cause))
}

func (r *Route) aboutRule(name string) bool {
	return len(r.Rules) == 0 || slices.ContainsFunc(r.Rules, func(which rule.Rule) bool { return which.String() == name })
}

// worst is the highest severity that there is any of.
func worst(counts map[rule.Severity]int) (s rule.Severity) {
	for severity, n := range counts {
		if n > 0 {
			s = max(s, severity)
		}
	}
	return s
}
