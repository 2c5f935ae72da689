package main

import (
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// TestAuditCalmsNobody: a snapshot has no causes, so that it calls no failed approval
// critical; who reads its counts is told so.
func TestAuditCalmsNobody(t *testing.T) {
	a := event.Audited{
		Report: "audit-20261128T060000.000Z", Kind: event.AuditRequested, Quests: 11, Findings: 5,
		BySeverity: map[rule.Severity]int64{rule.Warning: 5}, ByRule: map[rule.Rule]int64{rule.MissingParticipant: 3, rule.Unassigned: 2},
	}
	const line = "11 quests, 5 findings: 5 warning, 0 info; which are critical it cannot tell, for want of history: questwatch status does\n"
	if got := auditText(&a); !strings.Contains(got, line) {
		t.Errorf("there is no %q in\n%s", line, got)
	}
	a.Findings, a.BySeverity[rule.Warning], a.ByRule = 2, 2, map[rule.Rule]int64{rule.Unassigned: 2} // none can be
	if got := auditText(&a); !strings.Contains(got, "11 quests, 2 findings: 0 critical, 2 warning, 0 info\n") {
		t.Errorf("got\n%s", got)
	}
}
