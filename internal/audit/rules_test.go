package audit_test

import (
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

// everyRule is a database that violates every rule: see rules.sql.
func everyRule(t *testing.T) *pgstore.Store {
	dsn := testkit.Database(t, testkit.LoadAudit001, testkit.DropUniqueParticipant)
	exec(t, connect(t, dsn), rulesSQL)
	return open(t, dsn)
}

// found lists what a report has of a rule, as quest numbers with severity and
// cause.
func found(r report) map[rule.Rule][]string {
	all := map[rule.Rule][]string{}
	for _, f := range r.Findings {
		all[f.Rule] = append(all[f.Rule], strings.Join([]string{f.Severity.String(), string(f.Cause)}, " "))
	}
	return all
}

// TestSnapshotKnowsNoHistory: a snapshot's causes are those that the rows show,
// and what ordinary work leaves behind is information, unless it cannot be told
// from a fault.
func TestSnapshotKnowsNoHistory(t *testing.T) {
	t.Parallel()
	r := run(t, everyRule(t), audit.Config{FailOn: rule.Warning})
	if status(r.Err) != 1 || len(r.Stats.ByRule) != len(rule.All) {
		t.Errorf("%v, statistics %+v", r.Err, r.Stats)
	}
	got := found(r)
	for which, want := range map[rule.Rule]string{
		rule.MissingParticipant:     "warning unknown, warning unknown, warning unknown",
		rule.OrphanParticipant:      "info direct_join",
		rule.OpenWithParticipants:   "warning status_lost, warning status_lost",
		rule.Unassigned:             "warning assignment_lost, warning assignment_lost",
		rule.DuplicateParticipant:   "warning duplicated",
		rule.AssigneeNotParticipant: "warning unknown, warning unknown, info assignee_left",
		rule.IdleInProgress:         "info idle",
		rule.ApprovedButDropped:     "info dropped_out",
		rule.ActiveAfterCompletion:  "info unfinished",
		rule.DanglingReference:      "warning quest_missing",
	} {
		if have := strings.Join(got[which], ", "); have != want {
			t.Errorf("%s: %s; want %s", which, have, want)
		}
	}
}

func TestRulesAsTheyAreSet(t *testing.T) {
	t.Parallel()
	db := everyRule(t)
	cfg := audit.Config{FailOn: rule.Critical}
	for _, r := range []rule.Rule{rule.MissingParticipant, rule.IdleInProgress, rule.DanglingReference} {
		cfg.Rules.Off(r)
	}
	cfg.Rules.Deleted = true
	if err := cfg.Rules.SetSeverity(rule.ApprovedButDropped, rule.DroppedOut, rule.Critical); err != nil {
		t.Fatal(err)
	}
	result, err := audit.Run(t.Context(), db, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	r := read(t, result)
	if n := r.Stats.ByRule["open_with_participants"]; n != 3 {
		t.Errorf("%d open quests, want those of the deleted quest too", n)
	}
	if got := found(r)[rule.ApprovedButDropped]; len(got) != 1 || got[0] != "critical dropped_out" || status(r.Err) != 1 {
		t.Errorf("dropped out: %v; %v", got, r.Err)
	}
	if _, judged := r.Stats.ByRule["idle_in_progress"]; judged || len(r.Stats.ByRule) != len(rule.All)-3 {
		t.Errorf("counted by rule: %v", r.Stats.ByRule)
	}
	var text strings.Builder
	if err := result.Write(&text, audit.Text, audit.View{}); err != nil {
		t.Fatal(err)
	}
	for want, is := range map[string]bool{
		"soft-deleted quests too; switched off: missing_participant, idle_in_progress, dangling_reference": true,
		"Not audited: 3 rows of quests that do not exist.":                                                 true,
		"PHASE 1:": false, "PHASE 2:": true, "PHASE 7:": false, "PHASE 9:": true, "PHASE 10:": false,
	} {
		if strings.Contains(text.String(), want) != is {
			t.Errorf("%q in the report: %t\n%s", want, !is, text.String())
		}
	}
	// The original has no settings.
	cfg.Compat = true
	if r := run(t, db, cfg); r.Stats.ByRule["missing_participant"] != 4 || len(r.Stats.ByRule) != 5 {
		t.Errorf("compat: %+v", r.Stats)
	}
}

// TestWhoseFindings: an assignee without a row is one of those whom a report of one
// person is about, and so is an applicant for a quest that does not exist. The
// original knew neither.
func TestWhoseFindings(t *testing.T) {
	t.Parallel()
	db := everyRule(t)
	for name, want := range map[string]map[string]int64{
		"admin":    {"open_with_participants": 1, "assignee_not_participant": 2},
		"student2": {"missing_participant": 2, "unassigned": 1, "assignee_not_participant": 1, "idle_in_progress": 1, "approved_but_dropped": 1, "dangling_reference": 1},
	} {
		r := run(t, db, audit.Config{User: name})
		for which, n := range r.Stats.ByRule {
			if n != want[which] {
				t.Errorf("%s: %d of %s, want %d", name, n, which, want[which])
			}
		}
		for _, f := range r.Findings {
			if f.Rule == rule.AssigneeNotParticipant && value(f.Username) != name {
				t.Errorf("the assignee of quest %d is %q", f.QuestID, value(f.Username))
			}
		}
	}
	if r := run(t, db, audit.Config{User: "admin", Compat: true}); r.Stats.IssuesFound != 0 {
		t.Errorf("compat: admin has %+v", r.Findings)
	}
}
