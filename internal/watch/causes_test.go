package watch_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/watch"
)

// wantOpened compares what was opened, and which approvals failed, from a message on.
func wantOpened(t *testing.T, s *story, from int, want ...string) {
	t.Helper()
	var got []string
	c := watch.NewChecker(testRules())
	for i, r := range s.records {
		found, err := c.Take(r)
		if err != nil {
			t.Fatal(err)
		}
		for j := range found {
			if i < from {
				continue
			}
			switch data := found[j].Event.Data.(type) {
			case event.Finding:
				if found[j].Event.What == "opened" {
					got = append(got, fmt.Sprintf("%s by %s %s from %s", data.Rule, data.Cause, data.Severity, data.Origin))
				}
			case event.Approval:
				got = append(got, "approval "+found[j].Event.What+" "+string(data.Reason))
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// left is a story in which somebody was approved, and left.
func left() *story {
	s := newStory()
	s.commit(s.assign(1, "", "open"), s.assign(2, "", "open"))
	s.baseline()
	s.commit(s.operate("approve", 1, "ann")...)
	s.pass()
	s.commit(s.operate("leave", 1, "ann")...)
	s.pass()
	return s
}

func (s *story) pass() {
	s.clock += 10_000
	s.mark(0)
}

// moveApplications gives the applications of a quest to another, or other ids.
func (s *story) moveApplications(from, to, id int64) (writes []write) {
	for _, i := range slices.Sorted(maps.Keys(s.quests[from].apps)) {
		row := s.quests[from].apps[i]
		delete(s.quests[from].apps, i)
		writes = append(writes, s.wrote(from, change.Change{Op: change.Delete, Entity: change.Application, Before: row.row(change.Application, i), Moved: true}))
		s.quests[to].apps[i+id] = row
		writes = append(writes, s.wrote(to, change.Change{Op: change.Create, Entity: change.Application, After: row.row(change.Application, i+id), Moved: true}))
	}
	return writes
}

// A row that is moved was not approved by that: a leaver's must not be taken for an
// approval that failed, which is repaired by putting the leaver back.
func TestMovedApprovalHasNotFailed(t *testing.T) {
	for _, large := range []bool{false, true} {
		s := left()
		n := len(s.records)
		s.writeAs(large, s.moveApplications(1, 2, 0)...)
		s.pass()
		wantOpened(t, s, n, "missing_participant by unknown warning from stream")

		s = left()
		n = len(s.records)
		s.writeAs(large, s.moveApplications(1, 1, 100)...)
		s.pass()
		wantOpened(t, s, n) // what is open goes on: the person left
	}
}

// Who loads a backup into emptied tables approves nobody by that.
func TestReloadedApprovalHasNotFailed(t *testing.T) {
	s := left()
	n := len(s.records)
	tx := s.transaction()
	end := tx.EndLSN
	tx.EndLSN, tx.Message = 0, 1
	emptying := tx
	s.control(change.Control{Kind: change.Truncate, Transaction: &emptying, Entities: []string{"quest", "application", "participant"}})
	for _, c := range s.quests[1].read(1) {
		c.Op = change.Create
		tx.Message++
		s.step(tx, false, 1, []change.Change{c})
	}
	tx.Message, tx.EndLSN = tx.Message+1, end
	s.control(change.Control{Kind: change.TxEnd, Transaction: &tx})
	s.pass()
	wantOpened(t, s, n, "missing_participant by unknown warning from baseline")
}

// What a baseline shows is told in its summary, and not once more as an approval that
// failed, even where the stream saw it.
func TestBaselineTellsOfNoSilentFailure(t *testing.T) {
	s := newStory()
	s.commit(s.setQuest(1, func(q *tables) { q.deleted = true }))
	s.baseline()
	s.commit(s.operate("fail", 1, "ann")...)
	s.pass()
	n := len(s.records)
	s.setQuest(1, func(q *tables) { q.deleted = false }) // while the table was not published
	s.baseline()
	s.pass()
	wantOpened(t, s, n, "missing_participant by approval_failed critical from baseline")
}

// What was under way when changes were lost may have ended: somebody else may be in the
// middle of the same when the baseline comes.
func TestNobodyIsSuspectedAcrossAGap(t *testing.T) {
	s := newStory()
	s.commit(s.assign(1, "", "open"))
	s.baseline()
	s.pass()
	n := len(s.records)
	approval := s.operate("approve", 1, "ann")
	s.commit(approval[0])
	s.commit(approval[1])
	s.control(change.Control{Kind: change.Gap, From: s.lsn, To: s.lsn + 10, Reason: "slot_lost"})
	s.clock += 100_000
	s.operate("kick", 1, "ann")
	s.setPair(1, change.Application, "bob", "approved", false)
	s.setPair(1, change.Participant, "bob", "joined", false)
	s.assign(1, "", "open")
	s.baseline()
	s.clock += 300
	s.mark(0)
	s.commit(s.assign(1, "bob", "in-progress"))
	s.pass()
	wantOpened(t, s, n)
}

// An event goes into a message of NATS, whatever a title is: one that did not would be
// tried for ever.
func TestTitlesAreNoBurden(t *testing.T) {
	s := newStory()
	s.commit(s.assign(1, "", "open"), s.setPair(1, change.Application, "ann", "pending", true))
	s.baseline()
	title := strings.Repeat("<", 300_000)
	s.commit(write{1, change.Change{Op: change.Update, Entity: change.Quest, After: fmt.Appendf(nil, `{"id":1,"title":%q,"status":"open"}`, title)}, nil})
	s.commit(s.operate("fail", 1, "ann")...)
	s.message(change.ReportPrefix, `{"quest_id":1,"application_id":1,"user_id":"ann"}`)
	s.pass()
	s.commit(s.setPair(1, change.Application, "ann", "pending", false))
	c, n := watch.NewChecker(testRules()), 0
	for _, r := range s.records {
		found, err := c.Take(r)
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			if n++; len(encode(t, &found[i])) > 10_000 {
				t.Errorf("%s has %d bytes", found[i].Event.Type(), len(encode(t, &found[i])))
			}
		}
	}
	if n < 7 {
		t.Errorf("%d events", n)
	}
}

// A large transaction that takes an approval back and gives the application to somebody
// else has reset nobody's.
func TestLargeTransactionGivesApplicationAway(t *testing.T) {
	for _, large := range []bool{false, true} {
		s := approvedStory(false)
		row := pair{"bob", "pending"}
		s.writeAs(large, s.setPair(1, change.Application, "ann", "pending", false),
			write{1, change.Change{Op: change.Update, Entity: change.Application, After: row.row(change.Application, 1)}, nil})
		s.pass()
		wantTellings(t, s)
	}
}
