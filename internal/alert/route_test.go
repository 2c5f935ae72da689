package alert

import (
	"testing"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

func TestRoutes(t *testing.T) {
	warnings := Route{Severity: rule.Warning, Resolved: true}
	each, noEnds := warnings, warnings
	each.Each, noEnds.Resolved = true, false
	byRule, byCause := warnings, warnings
	byRule.Rules, byCause.Causes = []rule.Rule{rule.Unassigned}, []rule.Cause{rule.ApprovalFailed}
	info := func(f *event.Finding) { f.Severity = rule.Info }
	old := func(f *event.Finding) { f.Origin = drift.FromBaseline }
	of := func(group, what string, data any) event.Event {
		return event.Event{ID: "x", Group: group, What: what, Data: data}
	}
	silent := of("approval", "failed", event.Approval{Reason: event.Silent, Severity: rule.Critical, Finding: "f1"})
	reported := of("approval", "failed", event.Approval{Reason: event.Reported, Severity: rule.Warning})
	summary := of("drift", "baseline", event.Baseline{BySeverity: map[rule.Severity]int{rule.Info: 3, rule.Warning: 1, rule.Critical: 0}})
	harmless := of("drift", "baseline", event.Baseline{BySeverity: map[rule.Severity]int{rule.Info: 3}})
	stalled := of("stream", "stalled", event.Alarm{Reason: "disk", Severity: "warning"})
	recovered := of("stream", "recovered", event.Alarm{Reason: "disk", Severity: "warning", Until: 5})
	for name, c := range map[string]struct {
		route Route
		event event.Event
		want  bool
	}{
		"opened":                            {warnings, finding(1), true},
		"over":                              {warnings, resolved(1), true},
		"over, not wanted":                  {noEnds, resolved(1), false},
		"info":                              {warnings, finding(1, info), false},
		"info over":                         {warnings, resolved(1, info), false},
		"of the baseline":                   {warnings, finding(1, old), false},
		"of the baseline, over":             {warnings, resolved(1, old), false},
		"the baseline":                      {warnings, summary, true},
		"a baseline without warnings":       {warnings, harmless, false},
		"a failure told as finding":         {warnings, silent, false},
		"each event of a failure":           {each, silent, true},
		"a failure without a finding":       {warnings, reported, true},
		"another rule":                      {byRule, finding(1), false},
		"the rule":                          {byRule, finding(1, func(f *event.Finding) { f.Rule = rule.Unassigned }), true},
		"the cause":                         {byCause, finding(1), true},
		"another cause":                     {byCause, finding(1, func(f *event.Finding) { f.Cause = rule.Departed }), false},
		"an alarm, whatever the rules":      {byRule, stalled, true},
		"the end of an alarm":               {warnings, recovered, true},
		"the end of an alarm, not wanted":   {noEnds, recovered, false},
		"what another was not told of":      {warnings, of("alert", "undelivered", event.Undelivered{Channel: "b"}), true},
		"what this channel was not told of": {warnings, of("alert", "undelivered", event.Undelivered{Channel: "a"}), false},
		"a failed audit":                    {warnings, of("audit", "failed", event.AuditFailure{Kind: "scheduled"}), true},
		"a repair":                          {warnings, of("repair", "applied", event.Repaired{}), false},
		"a kind that is not known":          {warnings, of("new", "kind", nil), false},
	} {
		if it := (item{event: c.event}); c.route.take("a", &it) != c.want {
			t.Errorf("%s: want %t", name, c.want)
		}
	}
}
