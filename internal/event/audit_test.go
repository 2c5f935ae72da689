package event_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

func TestAuditGolden(t *testing.T) {
	user := "22222222-2222-4222-8222-222222222222"
	a := event.Audited{
		Kind: event.AuditScheduled, Report: "audit-20260706T060000Z", Scheduled: 1783317600000, Began: 1783317600250, Took: 1840, Quests: 900, Findings: 5,
		ByRule: map[rule.Rule]int64{rule.MissingParticipant: 3, rule.Unassigned: 2}, BySeverity: map[rule.Severity]int64{rule.Warning: 5},
		Change: &event.AuditChange{
			Since: 1782712800250, Before: "audit-20260629T060000Z", New: 2, Gone: 1, Same: 3,
			NewByRule: map[rule.Rule]int64{rule.Unassigned: 2}, GoneByRule: map[rule.Rule]int64{rule.OrphanParticipant: 1},
			NewBySeverity: map[rule.Severity]int64{rule.Warning: 2},
		},
	}
	requested := a
	requested.Kind, requested.Scheduled, requested.Change, requested.NotCompared = event.AuditRequested, 0, nil, "the checker has not caught up"
	at := event.Compared{Epoch: 2, Sequence: 815, LSN: 24023400, Time: 1783317600300}
	one := event.Disagreement{Rule: rule.MissingParticipant, QuestID: 42, UserID: &user, Database: true, Compared: at}
	all := []event.Event{
		event.OfAudit("questwatch", &a), event.OfAudit("questwatch", &requested), event.OfDisagreement("questwatch", &a, one),
		event.OfDisagreements("questwatch", &a, event.Disagreements{Mismatched: 1, QuestIDs: []int64{42}, Compared: at}),
	}
	ids := map[string]bool{}
	for i, file := range []string{"audit_scheduled", "audit_requested", "mismatch_finding", "mismatch_findings"} {
		data, err := all[i].Encode("questwatch")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, file, data)
		ids[all[i].ID] = true
	}
	// Made again, later: the ids are the same.
	a.Began, a.Took, one.LSN, one.UserID = a.Began+60000, 17, 99, nil
	if again := event.OfAudit("questwatch", &a); again.ID != all[0].ID {
		t.Errorf("the same audit has the ids %s and %s", all[0].ID, again.ID)
	}
	if other := event.OfDisagreement("questwatch", &a, one); ids[other.ID] || len(ids) != 4 {
		t.Errorf("ids are not unique: %v, %s", ids, other.ID)
	}
}

func TestAuditFailureGolden(t *testing.T) {
	f := event.AuditFailure{Scheduled: 1783317600000, Attempt: 1, Error: "connect to the database: connection refused", Time: 1783317601000}
	e := event.OfAuditFailure("questwatch", &f)
	data, err := e.Encode("questwatch")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "audit_failed", data)
	again := f
	again.Attempt, again.Error, again.Time = 2, "another", f.Time+60000
	next := f
	next.Scheduled += 1000
	if event.OfAuditFailure("questwatch", &again).ID != e.ID || event.OfAuditFailure("questwatch", &next).ID == e.ID {
		t.Error("an id is made of the planned time, and of nothing else")
	}
}
