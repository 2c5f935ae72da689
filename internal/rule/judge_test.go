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
		{"dropped counts as a participant", begun + "{A 1 ann approved, P 1 ann dropped}", "approved_but_dropped/dropped_out", ""},
		{"drop out", approved + "{P 1 ann dropped, Q open _}", "approved_but_dropped/dropped_out", ""},
		{
			"the assignee is kicked and another stays", approved + "{A 2 bob approved, P 2 bob joined, Q in-progress bob} {A 2 bob kicked, P 2 bob dropped}",
			"assignee_not_participant/assignee_left", "orphan_participant",
		},
		{
			"the assignee leaves and another stays", approved + "{A 2 bob approved, P 2 bob joined, Q in-progress bob} {-P 2}",
			"missing_participant/departed assignee_not_participant/assignee_left", "missing_participant",
		},
		{
			"the assignee leaves and comes back", approved + "{A 2 bob approved, P 2 bob joined, Q in-progress bob} {-P 2} {P 2 bob joined}",
			"", "",
		},
		{"assigned to somebody else", approved + "{Q in-progress cid}", "assignee_not_participant/never_joined", ""},
		{"left, then assigned to somebody else", approved + "{-P 1} {Q open cid}", "missing_participant/departed assignee_not_participant/never_joined", "missing_participant"},
		{"in progress without anybody", begun + "{Q in-progress _}", "idle_in_progress/idle", ""},
		{"completed for the quest alone", approved + "{Q completed ann}", "active_after_completion/unfinished", ""},
		{"children outlive their quest", approved + "{-Q}", "dangling_reference/quest_missing", "unassigned"},
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

// TestAssigneeOfASnapshot: rows alone say of an assignee that he dropped out, and
// of one without a row nothing.
func TestAssigneeOfASnapshot(t *testing.T) {
	q := &quest.Quest{
		ID: 1, Exists: true, Status: quest.InProgress, Assigned: 2,
		Participants: []quest.Participant{{ID: 1, User: 1, Status: quest.Joined, Direct: true}, {ID: 2, User: 2, Status: quest.Dropped}},
	}
	for _, want := range []struct {
		cause    rule.Cause
		severity rule.Severity
	}{{rule.AssigneeLeft, rule.Info}, {rule.Unknown, rule.Warning}} {
		found := rule.Judge(nil, q)
		if got := found[len(found)-1]; got.Rule != rule.AssigneeNotParticipant || got.Cause != want.cause || got.Severity != want.severity {
			t.Errorf("%+v, want %+v", got, want)
		}
		q.Participants = q.Participants[:1]
	}
}

func play(t *testing.T, script string) *quest.Quest {
	t.Helper()
	return stateAfter(t, script).Quest(1)
}

// stateAfter applies transactions, all at time 0.
func stateAfter(t *testing.T, script string) *quest.State {
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
	return state
}

func played(t *testing.T, w []string) change.Change {
	t.Helper()
	switch {
	case w[0] == "-A" && len(w) == 2:
		return change.Change{Op: change.Delete, Entity: change.Application, Before: change.Row(`{"id":` + w[1] + `}`)}
	case w[0] == "-Q":
		return change.Change{Op: change.Delete, Entity: change.Quest, Before: change.Row(`{"id":1}`)}
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
	for _, o := range rule.Outcomes {
		if rule.ActionFor(o.Rule, o.Cause) != o.Action || rule.SeverityOf(o.Rule, o.Cause) != o.Severity {
			t.Errorf("%+v is not found", o)
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

func TestPolicy(t *testing.T) {
	var p rule.Policy
	q := play(t, "{Q open _} {A 1 ann approved, P 2 bob joined}")
	if n := len(p.Judge(nil, q)); n != 4 {
		t.Fatalf("%d violations of %+v", n, q)
	}
	p.Off(rule.Unassigned)
	if err := p.SetSeverity(rule.OrphanParticipant, rule.DirectJoin, rule.Critical); err != nil {
		t.Fatal(err)
	}
	if p.SetSeverity(rule.OrphanParticipant, rule.Departed, rule.Info) == nil {
		t.Error("a cause that the rule does not have got a severity")
	}
	for _, v := range p.Judge(nil, q) {
		want := rule.Critical
		if v.Rule == rule.OpenWithParticipants {
			want = rule.Warning
		}
		if v.Rule == rule.Unassigned || v.Severity != want {
			t.Errorf("%+v", v)
		}
	}
	if q.Deleted = true; p.Judge(nil, q) != nil {
		t.Error("a deleted quest was judged")
	}
	if p.Deleted = true; len(p.Judge(nil, q)) != 3 {
		t.Error("a deleted quest was not judged")
	}
}

// TestTurned plays transactions, the last of which turns something back.
func TestTurned(t *testing.T) {
	const approved = "{Q open _} {A 1 ann pending} {A 1 ann approved} "
	always := rule.Ways{Reopen: rule.AnyWay, Resume: rule.AnyWay, Restart: rule.AnyWay}
	for _, c := range []struct {
		name, play string
		ways       rule.Ways
		after      change.Millis // of the approval
		want       string
	}{
		{"reverted at once", approved + "{A 1 ann pending}", rule.DefaultWays(), 1, "1/warning"},
		{"reverted in a minute", approved + "{A 1 ann pending}", rule.DefaultWays(), 60_000, "1/warning"},
		{"reset after more", approved + "{A 1 ann pending}", rule.DefaultWays(), 60_001, "2/info"},
		{"reset after a participant", approved + "{P 1 ann joined} {-P 1} {A 1 ann pending}", rule.DefaultWays(), 5, "2/info"},
		{"rejected", approved + "{A 1 ann rejected}", rule.DefaultWays(), 1, ""},
		{"taken back in its own transaction", "{Q open _} {A 1 ann pending} {A 1 ann approved, A 1 ann pending}", rule.DefaultWays(), 1, ""},
		{"and put right again", approved + "{A 1 ann pending, A 1 ann approved}", rule.DefaultWays(), 1, ""},
		{"completed to open", "{Q completed ann} {Q open _}", rule.DefaultWays(), 0, "3/warning completed open"},
		{"completed to in progress", "{Q completed ann} {Q in-progress ann}", rule.DefaultWays(), 0, "3/warning completed in_progress"},
		{"unassigned", "{Q in-progress ann} {Q open _}", rule.DefaultWays(), 0, ""},
		{"opened while assigned", "{Q in-progress ann} {Q open ann}", rule.DefaultWays(), 0, "3/info in_progress open"},
		{"every way is fine", "{Q completed ann} {Q open ann}", always, 0, ""},
		{"onward", "{Q open ann} {Q completed ann}", rule.DefaultWays(), 0, ""},
		{"to a word without a role", "{Q completed ann} {Q archived ann}", rule.DefaultWays(), 0, ""},
		{"written and taken back", "{Q open ann} {Q completed ann, Q open ann}", rule.DefaultWays(), 0, ""},
		{"deleted", "{Q in-progress ann} {Q deleted ann}", rule.DefaultWays(), 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := stateAfter(t, c.play)
			var p rule.Policy
			var got []string
			for _, turn := range p.Turned(nil, state.Quest(1), state.Turns(), c.after, c.ways) {
				text := fmt.Sprintf("%d/%s", turn.Kind, turn.Severity)
				if turn.From != turn.To {
					text += fmt.Sprintf(" %s %s", turn.From, turn.To)
				}
				got = append(got, text)
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("turned %q, want %q", got, c.want)
			}
		})
	}
	for _, w := range []rule.Way{rule.NoWay, rule.WhenReleased, rule.AnyWay} {
		if again, err := rule.ParseWay(string(w)); err != nil || again != w {
			t.Errorf("%s is read as %s, %v", w, again, err)
		}
	}
	if _, err := rule.ParseWay("sometimes"); err == nil {
		t.Error("an unknown way was found")
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
