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
