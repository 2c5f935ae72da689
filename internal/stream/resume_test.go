package stream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
)

// signals draws what a server sends: transactions of all sizes, with control
// records inside, messages that stand alone, keepalives, in the log's order.
func signals(t *rapid.T) (list []change.Signal) {
	lsn := change.LSN(100)
	step := func() change.LSN {
		lsn += change.LSN(rapid.IntRange(1, 50).Draw(t, "distance"))
		return lsn
	}
	for range rapid.IntRange(1, 6).Draw(t, "pieces") {
		switch rapid.SampledFrom([]string{"tx", "tx", "tx", "alone", "alive"}).Draw(t, "piece") {
		case "alone":
			list = append(list, change.Signal{
				Kind: change.Noted, Control: &change.Control{Kind: change.Message, Prefix: "questwatch.x", Content: fmt.Sprint(lsn)},
				Transaction: change.Transaction{CommitLSN: step(), Message: 1, Messages: 1},
			})
		case "alive":
			list = append(list, change.Signal{Kind: change.Alive, WALEnd: step()})
		default:
			list = append(list, transaction(t, step(), step())...)
			lsn += 2
		}
	}
	return append(list, change.Signal{Kind: change.Alive, WALEnd: step()})
}

func transaction(t *rapid.T, commit, end change.LSN) []change.Signal {
	tx := change.Transaction{ID: uint64(commit), CommitLSN: commit, Time: change.Millis(commit)}
	list := []change.Signal{{Kind: change.Began, Transaction: tx, WALEnd: commit}}
	for i := range rapid.SampledFrom([]int{0, 1, 2, 3, 8, 20}).Draw(t, "changes") {
		switch n := rapid.IntRange(0, 40).Draw(t, "note"); n {
		case 0, 1, 2:
			kind := []change.Kind{change.Truncate, change.Message, change.SchemaChanged}[n]
			c := &change.Control{Kind: kind, Entities: []string{"quest"}, Content: fmt.Sprint(i)}
			list = append(list, change.Signal{Kind: change.Noted, Control: c, Transaction: tx})
		}
		size := rapid.SampledFrom([]int{1, 10, 300, 3000}).Draw(t, "size")
		row := change.CloseRow(change.AppendText(change.AppendValue(nil, "id", []byte(fmt.Sprint(i))), "title", strings.Repeat("x", size)))
		list = append(list, change.Signal{
			Kind: change.Changed, QuestID: rapid.Int64Range(1, 4).Draw(t, "quest"),
			Change: change.Change{Op: change.Create, Entity: change.Quest, Table: "public.q", LSN: commit - 1, After: row},
		})
	}
	tx.EndLSN = end
	return append(list, change.Signal{Kind: change.Committed, Transaction: tx, WALEnd: end})
}

func limits(t *rapid.T) Config {
	return testConfig(Config{
		MaxRows:    rapid.SampledFrom([]int{1, 3, 10, 4096}).Draw(t, "rows"),
		MaxBytes:   rapid.SampledFrom([]int{1000, 20000, 8 << 20}).Draw(t, "bytes"),
		MaxPayload: headroom + rapid.SampledFrom([]int{800, 4000, 1 << 20}).Draw(t, "payload"),
	})
}

// cut runs signals into a stream, cuts it after some message, and has another
// session go on from there.
func cut(t *rapid.T, first, second Config, list, again []change.Signal) (uncut, resumed *memory, at int) {
	uncut = &memory{}
	pumped(t, first, uncut, 1, list, readings(t, list))
	at = rapid.IntRange(0, len(uncut.records)).Draw(t, "cut after")
	resumed = &memory{records: slices.Clone(uncut.records[:at])}
	pumped(t, second, resumed, 1, again, readings(t, again))
	return uncut, resumed, at
}

// readings offers the marks a reading of the clock now and then: of a position
// that is still to come, and of one that the stream has passed already.
func readings(t *rapid.T, list []change.Signal) func(int, *session) {
	return func(i int, s *session) {
		if rapid.IntRange(0, 2).Draw(t, "reading") == 0 {
			at := change.LSN(rapid.IntRange(100, int(list[len(list)-1].WALEnd)).Draw(t, "reading at"))
			s.marks.offer(Reading{At: change.Millis(i), LSN: at, NextXID: 1}, clockZero, time.Second)
		}
	}
}

// A stream that was cut anywhere and gone on with is the stream that was not cut.
func TestResumedStreamIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config, list := limits(t), signals(t)
		uncut, resumed, at := cut(t, config, config, list, list)
		want, got := withoutMarks(uncut), withoutMarks(resumed)
		if !slices.Equal(want, got) {
			t.Fatalf("cut after %d of %d:\n%s\nresumed:\n%s", at, len(uncut.records), strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
		checkStream(t, resumed, list)
		for _, r := range resumed.records {
			if len(r.Data) > config.MaxPayload {
				t.Fatalf("message %d has %d bytes, the limit is %d", r.Seq, len(r.Data), config.MaxPayload)
			}
		}
	})
}

// Where the limits are others afterwards, or a connection tells of columns that
// another did not, messages are cut in other places; the changes are the same.
func TestResumedWithOtherLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := signals(t)
		again := slices.DeleteFunc(slices.Clone(list), func(s change.Signal) bool {
			return s.Control != nil && s.Control.Kind == change.SchemaChanged && rapid.Bool().Draw(t, "told again")
		})
		first, second := limits(t), limits(t)
		// One quest's share of a transaction that was held must still fit.
		second.MaxPayload = max(first.MaxPayload, second.MaxPayload)
		_, resumed, _ := cut(t, first, second, list, again)
		checkStream(t, resumed, list)
	})
}

func withoutMarks(m *memory) (list []string) {
	for _, r := range m.records {
		if !strings.HasPrefix(string(r.Data), `{"control":"progress"`) {
			list = append(list, r.Subject+" "+timeless(r.Data))
		}
	}
	return list
}

// checkStream checks a stream's messages against what the server sent.
func checkStream(t *rapid.T, m *memory, list []change.Signal) {
	t.Helper()
	got := map[change.LSN]int{} // changes by transaction
	var at change.Position
	var recorded change.LSN
	open := false
	for _, r := range m.records {
		seq := r.Seq
		e, err := readEntry(context.Background(), m, seq)
		if err != nil {
			t.Fatalf("message %d: %v", seq, err)
		}
		if e.transaction == nil { // progress
			if open {
				t.Fatalf("message %d: progress inside transaction %s", seq, at)
			}
			if e.control.LSN <= at.CommitLSN || e.control.LSN < recorded {
				t.Fatalf("message %d: progress to %d after %s and %d", seq, e.control.LSN, at, recorded)
			}
			recorded = e.control.LSN
			continue
		}
		tx := e.transaction
		p := change.Position{CommitLSN: tx.CommitLSN, Message: tx.Message}
		switch {
		case p.Compare(at) <= 0, tx.CommitLSN < recorded:
			t.Fatalf("message %d: %s follows %s, recorded is %d", seq, p, at, recorded)
		case tx.CommitLSN == at.CommitLSN && tx.Message != at.Message+1, tx.CommitLSN != at.CommitLSN && (tx.Message != 1 || open):
			t.Fatalf("message %d: %s follows %s", seq, p, at)
		}
		at = p
		open = !tx.Whole() && (e.control == nil || e.control.Kind != change.TxEnd)
		recorded = max(recorded, e.whole())
		if e.control == nil {
			got[tx.CommitLSN] += orders(t, r, tx.Messages == 0, got[tx.CommitLSN])
		}
	}
	if open {
		t.Fatalf("the stream ends inside transaction %s", at)
	}
	for commit, want := range sent(list) {
		if got[commit] != want {
			t.Fatalf("transaction %d has %d changes, want %d", commit, got[commit], want)
		}
	}
}

// orders counts a step's changes; in a transaction that was streamed as it came
// they follow those before.
func orders(t *rapid.T, r change.Record, streamed bool, before int) int {
	t.Helper()
	var d change.Decoder
	var s change.Step
	if err := d.Step(r.Data, &s); err != nil {
		t.Fatalf("message %d: %v", r.Seq, err)
	}
	for i, c := range s.Changes {
		if streamed && c.Order != before+i+1 {
			t.Fatalf("message %d: change %d has number %d", r.Seq, before+i+1, c.Order)
		}
	}
	return len(s.Changes)
}

func sent(list []change.Signal) map[change.LSN]int {
	counts := map[change.LSN]int{}
	var commit change.LSN
	for i := range list {
		switch list[i].Kind {
		case change.Began:
			commit = list[i].Transaction.CommitLSN
		case change.Changed:
			counts[commit]++
		case change.Noted, change.Committed, change.Alive:
		}
	}
	return counts
}
