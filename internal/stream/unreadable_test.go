package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// unreadable is a feed that ends with something that cannot be decoded.
type unreadable struct{ script }

func (f *unreadable) Receive(sig *change.Signal) error {
	err := f.script.Receive(sig)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: a tuple that nobody knows", change.ErrMalformed)
	}
	return err
}

// simple is a transaction of some changes; without its end, unless end is given.
func simple(commit, end change.LSN, changes int) []change.Signal {
	tx := change.Transaction{ID: uint64(commit), CommitLSN: commit}
	list := []change.Signal{{Kind: change.Began, Transaction: tx}}
	for i := range changes {
		row := change.CloseRow(change.AppendValue(nil, "id", fmt.Append(nil, i+1)))
		list = append(list, change.Signal{
			Kind: change.Changed, QuestID: int64(i + 1),
			Change: change.Change{Op: change.Create, Entity: change.Quest, Table: "public.q", LSN: commit - 1, After: row},
		})
	}
	if tx.EndLSN = end; end != 0 {
		list = append(list, change.Signal{Kind: change.Committed, Transaction: tx, WALEnd: end})
	}
	return list
}

// What cannot be decoded ends the session: it is not passed over, and nothing is
// confirmed behind the last transaction that is whole.
func TestWhatCannotBeReadIsNotConfirmed(t *testing.T) {
	for name, rows := range map[string]int{"held": 4096, "streamed as it comes": 1} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			s := &session{
				tally: &tally{}, config: testConfig(Config{MaxRows: rows}), cdc: m, writer: m, marks: &marks{}, needs: &needs{}, confirmer: &confirmer{lag: func() time.Duration { return 0 }}, epoch: 1,
				logger: slog.New(slog.DiscardHandler),
			}
			feed := &unreadable{script{signals: append(simple(100, 120, 3), simple(200, 0, 3)...)}}
			if err := s.pump(context.Background(), feed, s.assembler(), 0); !errors.Is(err, change.ErrMalformed) {
				t.Fatalf("pump: %v", err)
			}
			now := clockZero
			s.confirmer.update(m.Acked(), now)
			if at := s.confirmer.update(m.Acked(), now.Add(time.Hour)); at != 120 {
				t.Errorf("confirmed up to %v, want 120", uint64(at))
			}
			if last := m.records[len(m.records)-1]; rows == 1 && change.IsControl(last.Data) {
				t.Errorf("the half of the transaction that was read is not there: %s", last.Data)
			}
		})
	}
}
