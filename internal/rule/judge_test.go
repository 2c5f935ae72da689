package rule_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// TestOperations plays each operation of the application, one transaction in a
// pair of braces, and says what is violated after each, by Judge and by the
// original audit. Words: Q status assignee; A id user status; P id user status;
// -A id and -P id take a row away.
func TestOperations(t *testing.T) {
	const begun = "{Q open _} {A 1 ann pending, A 2 bob pending} "
	const approved = begun + "{A 1 ann approved, P 1 ann joined, Q in-progress ann, A 2 bob rejected} "
	for _, c := range []struct{ name, play, judge, original string }{
		{"applied", begun, "", ""},
		{"approve", approved, "", ""},
		{"approve in pieces: 1", begun + "{A 1 ann approved}", "missing_participant/approval_failed", "missing_participant"},
		{
			"approve in pieces: 2", begun + "{A 1 ann approved} {P 1 ann joined}",
			"open_with_participants/status_lost unassigned/assignment_lost", "open_with_participants unassigned",
		},
		{
			"approve in pieces: 3", begun + "{A 1 ann approved} {P 1 ann joined} {Q open ann}",
			"open_with_participants/status_lost", "open_with_participants",
		},
		{"approve in pieces: 4", begun + "{A 1 ann approved} {P 1 ann joined} {Q open ann} {Q in-progress ann}", "", ""},
		{"approve a second", approved + "{A 2 bob approved, P 2 bob joined, Q in-progress bob}", "", ""},
		{"leave", approved + "{-P 1, Q open _}", "missing_participant/departed", "missing_participant"},
		{
			"participant written and taken back in the approval", begun + "{A 1 ann approved, P 1 ann joined, -P 1}",
			"missing_participant/approval_failed", "missing_participant",
		},
		{
			"left before, written and taken back", approved + "{-P 1, Q open _} {P 2 ann joined, -P 2}",
			"missing_participant/departed", "missing_participant",
		},
		{
			"released, then a second row of the same person", approved + "{Q open _} {P 2 ann joined}",
			"open_with_participants/released unassigned/released duplicate_participant/duplicated",
			"open_with_participants unassigned duplicate_participant",
		},
		{"leave and come back", approved + "{-P 1, Q open _} {P 3 ann joined, Q in-progress ann}", "", ""},
		{
			"leave, approved anew, which fails", approved + "{-P 1, Q open _} {A 1 ann pending} {A 1 ann approved}",
			"missing_participant/approval_failed", "missing_participant",
		},
		{"kick", approved + "{A 1 ann kicked, P 1 ann dropped, Q open _}", "", "orphan_participant"},
		{
			"kick, apply again, approve", approved + "{A 1 ann kicked, P 1 ann dropped, Q open _} {A 3 ann pending} {A 3 ann approved, P 1 ann joined, Q open ann}",
			"open_with_participants/status_lost", "open_with_participants",
		},
		{"remove endpoint", approved + "{A 1 ann rejected}", "orphan_participant/revoked", "orphan_participant"},
		{"approved application deleted", approved + "{-A 1}", "orphan_participant/revoked", "orphan_participant"},
		{"deleted, and approved anew", approved + "{-A 1} {A 3 ann approved}", "", ""},
		{"deleted, approved anew, pending", approved + "{-A 1} {A 3 ann approved} {A 3 ann pending}", "orphan_participant/revoked", "orphan_participant"},
		{
			"join without application, apply and withdraw", begun + "{P 1 cid joined, Q in-progress cid} {A 3 cid pending} {-A 3}",
			"orphan_participant/direct_join", "orphan_participant",
		},
		{
			"join without application", begun + "{P 1 cid joined} {Q open cid}",
			"orphan_participant/direct_join open_with_participants/status_lost", "orphan_participant open_with_participants",
		},
		{
			"join without application, apply later", begun + "{P 1 cid joined} {Q in-progress cid} {A 3 cid pending}",
			"orphan_participant/direct_join", "orphan_participant",
		},
		{
			"unassign", approved + "{Q open _}",
			"open_with_participants/released unassigned/released", "open_with_participants unassigned",
		},
		{"unassign and assign", approved + "{Q open _} {Q in-progress ann}", "", ""},
		{
			"unassign, then the status alone", approved + "{Q open _} {Q in-progress ann} {Q open ann}",
			"open_with_participants/status_lost", "open_with_participants",
		},
		{"complete", approved + "{Q completed ann} {P 1 ann completed}", "", ""},
		{"delete softly", approved + "{Q open _} {Q deleted _}", "", "open_with_participants unassigned"},
		{
			"join twice", approved + "{P 2 ann dropped}", "duplicate_participant/duplicated", "duplicate_participant",
		},
		{
			"approved twice, nobody came", begun + "{A 1 ann approved, A 3 ann approved}",
			"missing_participant/approval_failed", "missing_participant missing_participant",
		},
		{"dropped counts as a participant", begun + "{A 1 ann approved, P 1 ann dropped}", "", ""},
		{
			"another word is no dropped one", begun + "{A 1 ann approved, P 1 ann resting, Q in-progress _}",
			"unassigned/assignment_lost", "unassigned",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := play(t, c.play)
			var judged, original []string
			for _, v := range rule.Judge(nil, q) {
				judged = append(judged, fmt.Sprintf("%s/%s", v.Rule, v.Cause))
			}
			for _, v := range rule.Original(nil, q) {
				original = append(original, v.Rule.String())
			}
			if got := strings.Join(judged, " "); got != c.judge {
				t.Errorf("judged %q, want %q", got, c.judge)
			}
			if got := strings.Join(original, " "); got != c.original {
				t.Errorf("the original reports %q, want %q", got, c.original)
			}
		})
	}
}

func play(t *testing.T, script string) *quest.Quest {
	t.Helper()
	state := quest.NewState(change.PeerQuest(), quest.PeerQuest())
	for i, transaction := range strings.FieldsFunc(script, func(r rune) bool { return r == '{' || r == '}' }) {
		if strings.TrimSpace(transaction) == "" {
			continue
		}
		step := change.Step{QuestID: 1, Transaction: change.Transaction{CommitLSN: change.LSN(i + 1)}}
		for _, words := range strings.Split(transaction, ",") {
			step.Changes = append(step.Changes, played(t, strings.Fields(words)))
		}
		if _, err := state.Apply(&step); err != nil {
			t.Fatal(err)
		}
	}
	return state.Quest(1)
}

func played(t *testing.T, w []string) change.Change {
	t.Helper()
	switch {
	case w[0] == "-A" && len(w) == 2:
		return change.Change{Op: change.Delete, Entity: change.Application, Before: change.Row(`{"id":` + w[1] + `}`)}
	case w[0] == "-P" && len(w) == 2:
		return change.Change{Op: change.Delete, Entity: change.Participant, Before: change.Row(`{"id":` + w[1] + `}`)}
	case w[0] == "Q" && len(w) == 3:
		status, deleted := w[1], w[1] == "deleted"
		if deleted {
			status = "open"
		}
		assigned := `"` + w[2] + `"`
		if w[2] == "_" {
			assigned = "null"
		}
		return change.Change{Op: change.Update, Entity: change.Quest, After: fmt.Appendf(nil,
			`{"id":1,"status":%q,"assigned_to_id":%s,"is_deleted":%v}`, status, assigned, deleted)}
	case w[0] == "A" && len(w) == 4:
		return change.Change{Op: change.Update, Entity: change.Application, After: fmt.Appendf(nil,
			`{"id":%s,"applicant_id":%q,"status":%q}`, w[1], w[2], w[3])}
	case w[0] == "P" && len(w) == 4:
		return change.Change{Op: change.Update, Entity: change.Participant, After: fmt.Appendf(nil,
			`{"id":%s,"user_id":%q,"status":%q,"joined_at":null}`, w[1], w[2], w[3])}
	}
	t.Fatalf("cannot play %q", w)
	return change.Change{}
}

func TestNames(t *testing.T) {
	for _, r := range rule.All {
		text, err := r.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again rule.Rule
		if err := again.UnmarshalText(text); err != nil || again != r {
			t.Errorf("%s is read as %s, %v", text, again, err)
		}
	}
	for _, s := range []rule.Severity{rule.Info, rule.Warning, rule.Critical} {
		if again, err := rule.ParseSeverity(s.String()); err != nil || again != s {
			t.Errorf("%s is read as %s, %v", s, again, err)
		}
	}
	if _, err := rule.Parse(""); err == nil {
		t.Error("a rule without a name was found")
	}
	if _, err := rule.ParseSeverity("severe"); err == nil {
		t.Error("an unknown severity was found")
	}
	if rule.Judge(nil, nil) != nil {
		t.Error("no quest has violations")
	}
}

func BenchmarkJudgeQuest(b *testing.B) {
	q := &quest.Quest{ID: 1, Exists: true, Status: quest.InProgress, Assigned: 1}
	for u := range quest.User(3) {
		status := quest.Rejected
		if u < 2 {
			status = quest.Approved
			q.Participants = append(q.Participants, quest.Participant{ID: int64(u), User: u + 1, Status: quest.Joined})
		}
		q.Applications = append(q.Applications, quest.Application{ID: int64(u), User: u + 1, Status: status})
	}
	var found []rule.Violation
	b.ReportAllocs()
	for b.Loop() {
		found = rule.Judge(found[:0], q)
	}
}
