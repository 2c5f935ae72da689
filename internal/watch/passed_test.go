package watch_test

import (
	"io"
	"log/slog"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/watch"
)

// What the state holds of the database's log is known after each message, and which
// transactions touched which quests.
func TestWhatTheStateHolds(t *testing.T) {
	s, c := newStory(), watch.NewChecker(testRules())
	row := change.CloseRow(change.AppendText(change.AppendValue(nil, "id", []byte("1")), "status", "open"))
	created := []change.Change{{Op: change.Create, Entity: change.Quest, Order: 1, After: row}}
	read := []change.Change{{Op: change.Read, Entity: change.Quest, Order: 1, After: row}}
	type state struct {
		Passed    change.LSN
		Touched   map[uint64][]int64
		Floor     uint64
		Baselines int
	}
	want := func(what string, want state) {
		t.Helper()
		for _, r := range s.records {
			if _, err := c.Take(r); err != nil {
				t.Fatal(err)
			}
		}
		s.records = nil
		got := state{c.Passed(), map[uint64][]int64{}, c.Recent().Floor(), c.Baselines()}
		c.Recent().Each(func(xid uint64, id int64) { got.Touched[xid] = append(got.Touched[xid], id) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", what, diff)
		}
	}
	none := map[uint64][]int64{}
	at := func(xid uint64, commit change.LSN, message, messages int) change.Transaction {
		return change.Transaction{ID: xid, CommitLSN: commit, Message: message, Messages: messages}
	}
	s.control(change.Control{Kind: change.BaselineBegin, LSN: 1000, Time: 1})
	s.step(at(0, 999, 1, 0), true, 1, read)
	want("half a baseline", state{Touched: none, Floor: math.MaxUint64})
	s.control(change.Control{Kind: change.BaselineEnd, LSN: 1000, Time: 1})
	want("a baseline", state{1000, none, math.MaxUint64, 1})
	c.Recent().Settle(500)
	s.step(at(510, 1100, 1, 2), false, 2, created)
	want("half a transaction", state{1100, map[uint64][]int64{510: {2}}, 500, 1})
	s.step(at(510, 1100, 2, 2), false, 3, created)
	s.step(at(505, 1200, 1, 0), false, 4, created)
	s.control(change.Control{Kind: change.Progress, LSN: 1250, Time: 2})
	touched := map[uint64][]int64{510: {2, 3}, 505: {4}}
	want("two transactions and a mark", state{1250, touched, 500, 1})
	emptied := at(520, 1300, 1, 0)
	s.control(change.Control{Kind: change.Truncate, Transaction: &emptied, Entities: []string{"participant"}})
	want("a truncate", state{1250, touched, 521, 1})
	alone := at(0, 1350, 1, 1)
	s.control(change.Control{Kind: change.Message, Transaction: &alone, Prefix: "questwatch.anybody"})
	want("a message alone", state{1350, touched, 521, 1})
	says := at(530, 1400, 1, 0)
	s.control(change.Control{Kind: change.Message, Transaction: &says, Prefix: "questwatch.anybody"})
	want("a message in a transaction", state{1400, touched, 521, 1})
	// After a gap the log may be another one, and the transactions' ids too.
	s.control(change.Control{Kind: change.Gap, Time: 3, Reason: "other_system"})
	s.control(change.Control{Kind: change.BaselineBegin, LSN: 70, Time: 3})
	s.control(change.Control{Kind: change.BaselineEnd, LSN: 70, Time: 3})
	want("a baseline of another server", state{70, none, math.MaxUint64, 2})
}

// Look sees the checker between two messages, and each attempt to read the stream
// has its own.
func TestLook(t *testing.T) {
	flow := watch.New(testRules(), nil, nil, nil, nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err := flow.Look(func(c *watch.Checker, run int) error {
		if c != nil || run != 0 {
			t.Errorf("before the first run: %v, %d", c, run)
		}
		return io.EOF
	}); err != io.EOF {
		t.Error(err)
	}
}
