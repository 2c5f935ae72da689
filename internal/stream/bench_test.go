package stream

import (
	"context"
	"fmt"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

// nowhere is a writer that takes everything and keeps nothing.
type nowhere struct{ seq change.Seq }

func (w *nowhere) Publish(context.Context, string, []byte) (change.Seq, error) {
	w.seq++
	return w.seq, nil
}

func (w *nowhere) Acked() change.Seq { return w.seq }
func (w *nowhere) Err() error        { return nil }
func (w *nowhere) Close()            {}

// approvalRows is how many rows an approval changes.
const approvalRows = 5

// approval is the signals of one transaction on one quest.
func approval() []change.Signal {
	tx := change.Transaction{ID: 754, CommitLSN: 24023400, Time: 1782912152000}
	signals := []change.Signal{{Kind: change.Began, Transaction: tx}}
	for i := range approvalRows {
		row := change.Row(fmt.Sprintf(`{"id":%d,"quest_id":42,"applicant_id":"8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c","status":"approved",`+
			`"applied_at":"2026-07-01T13:22:32.000000+00:00","reviewed_at":null}`, i))
		signals = append(signals, change.Signal{Kind: change.Changed, QuestID: 42, Change: change.Change{
			Op: change.Update, Entity: change.Application, Table: "public.applications_application", LSN: 24023128, Before: row, After: row,
		}})
	}
	tx.EndLSN = tx.CommitLSN + 48
	return append(signals, change.Signal{Kind: change.Committed, Transaction: tx})
}

func discarding() *assembler {
	config := DefaultConfig(Config{DB: "peerquest", Control: "control"})
	config.Subject = func(int64) string { return "step" }
	return &assembler{
		config: &config, writer: &nowhere{}, tally: &tally{}, recorded: func(change.Seq, change.LSN) {}, source: change.Source{DB: config.DB, Epoch: 1},
	}
}

// takeAll hands signals over one by one, as a feed does. The assembler numbers
// what it gets.
func takeAll(tb testing.TB, a *assembler, sig *change.Signal, signals []change.Signal) {
	tb.Helper()
	for i := range signals {
		*sig = signals[i]
		if err := a.take(tb.Context(), sig); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkAssemble makes messages of approvals, up to the writer.
func BenchmarkAssemble(b *testing.B) {
	var sig change.Signal
	a, signals := discarding(), approval()
	b.ReportAllocs()
	for b.Loop() {
		takeAll(b, a, &sig, signals)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*approvalRows), "ns/row")
}

func TestAssemblingAllocatesNothingARow(t *testing.T) {
	var sig change.Signal
	a, signals := discarding(), approval()
	takeAll(t, a, &sig, signals)
	if n := testing.AllocsPerRun(1000, func() { takeAll(t, a, &sig, signals) }); n != 0 {
		t.Errorf("%v allocations for %d rows", n, approvalRows)
	}
}
