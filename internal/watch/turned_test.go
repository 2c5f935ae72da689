package watch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/watch"
)

// tellings are the approval and status events of a story, in short.
func tellings(t *testing.T, s *story) (all []string, c *watch.Checker) {
	t.Helper()
	c = watch.NewChecker(testRules())
	for _, r := range s.records {
		found, err := c.Take(r)
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			subject := strings.TrimPrefix(found[i].Event.Subject("test"), "test.events.")
			switch data := found[i].Event.Data.(type) {
			case event.Approval:
				all = append(all, fmt.Sprintf("%s a%d %s %s after %d", subject, data.ApplicationID, data.UserID, data.Severity, found[i].Event.Time-1_782_912_000_000))
			case event.Regression:
				all = append(all, fmt.Sprintf("%s %s after %d", subject, data.Severity, found[i].Event.Time-1_782_912_000_000))
			}
			encode(t, &found[i])
		}
	}
	return all, c
}

func wantTellings(t *testing.T, s *story, want ...string) {
	t.Helper()
	if got, _ := tellings(t, s); !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func approvedStory(large bool) *story {
	s := newStory()
	s.commit(s.assign(1, "", "open"), s.setPair(1, change.Application, "ann", "pending", true))
	s.baseline()
	s.clock += 1000
	s.writeAs(large, s.setPair(1, change.Application, "ann", "approved", false))
	return s
}

// writeAs commits writes whole or as they come.
func (s *story) writeAs(large bool, writes ...write) {
	if large {
		s.commitLarge(writes, nil)
	} else {
		s.commit(writes...)
	}
}

func TestApprovalsThatFail(t *testing.T) {
	for _, large := range []bool{false, true} {
		s := approvedStory(large)
		s.clock += 3000
		s.mark(0)
		s.clock += 2000
		s.writeAs(large, s.setPair(1, change.Application, "ann", "pending", false))
		wantTellings(t, s, "approval.failed.silent.1 a1 ann critical after 4000", "approval.failed.reverted.1 a1 ann warning after 6000")

		s = approvedStory(large) // within the grace: nothing silent about it
		s.clock += 500
		s.writeAs(large, s.setPair(1, change.Application, "ann", "pending", false))
		s.clock += 10_000
		s.mark(0)
		wantTellings(t, s, "approval.failed.reverted.1 a1 ann warning after 1500")

		s = approvedStory(large)
		s.writeAs(large, s.setPair(1, change.Participant, "ann", "joined", false), s.assign(1, "ann", "in-progress"))
		s.clock += 70_000
		s.writeAs(large, s.setPair(1, change.Application, "ann", "pending", false))
		wantTellings(t, s, "approval.reset.fulfilled.1 a1 ann info after 71000")
	}
}

// TestApprovalTakenBackAfterAMinute: a minute is soon, and what is longer is not.
func TestApprovalTakenBackAfterAMinute(t *testing.T) {
	for passed, want := range map[change.Millis]string{
		60_000: "approval.failed.reverted.1 a1 ann warning after 61000",
		60_001: "approval.reset.late.1 a1 ann info after 61001",
	} {
		s := approvedStory(false)
		s.clock += passed
		s.commit(s.setPair(1, change.Application, "ann", "pending", false))
		wantTellings(t, s, want)
	}
}

// TestLargeTransactionTurnsAsAWhole: what it writes and takes back nobody ever saw.
func TestLargeTransactionTurnsAsAWhole(t *testing.T) {
	s := approvedStory(false)
	s.commitLarge([]write{
		s.setPair(1, change.Application, "ann", "pending", false),
		s.setPair(1, change.Application, "ann", "approved", false), s.setPair(1, change.Participant, "ann", "joined", false),
		s.assign(1, "ann", "completed"), s.assign(1, "ann", "in-progress"),
		s.assign(2, "ann", "completed"), s.assign(2, "ann", "open"),
	}, nil)
	s.clock += 1000
	s.mark(0)
	wantTellings(t, s)
	s.commitLarge([]write{s.assign(1, "ann", "in-progress"), s.assign(1, "ann", "open"), s.assign(1, "ann", "completed")}, nil)
	s.commitLarge([]write{s.assign(1, "ann", "in-progress"), s.assign(1, "ann", "open")}, nil)
	wantTellings(t, s, "status.regressed.completed_to_open.1 warning after 2000")
}

func (s *story) message(prefix, content string) {
	tx := s.transaction()
	tx.Message, tx.Messages = 1, 1
	s.control(change.Control{Kind: change.Message, Transaction: &tx, Prefix: prefix, Content: content})
}

func TestReportsAreChecked(t *testing.T) {
	s := newStory()
	s.message(change.ReportPrefix, `{"quest_id":1,"application_id":1,"user_id":"ann"}`) // nothing is known yet
	s.commit(s.assign(1, "", "open"), s.setPair(1, change.Application, "ann", "pending", true))
	s.baseline()
	s.clock += 1000
	good := `{"quest_id":1,"application_id":1,"user_id":"ann","error":"peerquest.AssignError","more":{"x":1}}`
	s.message(change.ReportPrefix, good)
	s.message("questwatch.another", good)
	for _, bad := range []string{
		``, `[]`, `null`, `{`, `{"quest_id":1}`, `{"quest_id":1,"application_id":1}`, `{"quest_id":"1","application_id":1,"user_id":"ann"}`,
		`{"quest_id":1.5,"application_id":1,"user_id":"ann"}`, `{"quest_id":1,"application_id":99999999999999999999,"user_id":"ann"}`,
		`{"quest_id":1,"application_id":1,"user_id":""}`, `{"quest_id":1,"application_id":1,"user_id":{}}`,
		`{"quest_id":1,"application_id":1,"user_id":"bob"}`, `{"quest_id":2,"application_id":1,"user_id":"ann"}`,
		`{"quest_id":1,"application_id":2,"user_id":"ann"}`, `{"quest_id":1,"application_id":1,"user_id":"ann","error":"it's Bob's fault"}`,
		`{"quest_id":1,"application_id":1,"user_id":"ann","more":"` + strings.Repeat("x", change.ReportLimit) + `"}`,
	} {
		s.message(change.ReportPrefix, bad)
	}
	got, c := tellings(t, s)
	if want := []string{"approval.failed.reported.1 a1 ann warning after 1000"}; !slices.Equal(got, want) {
		t.Errorf("told %q", got)
	}
	if r := c.Refused(); r.Reports != 17 || r.LSN != s.lsn || r.Why == "" || strings.Contains(r.Why, "x") {
		t.Errorf("refused %+v", r)
	}
}
