package pgsource

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

// Where a commit record follows another without anything between them, the end of
// the first is the position of the second. Confirming one byte more would have
// Postgres skip it.
func TestCommitRightBehindTheConfirmedOne(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	s := open(t, settings(t, dsn))
	from := setUp(t, s)
	var conns [2]*pgx.Conn
	for i := range conns {
		var err error
		if conns[i], err = pgx.Connect(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close(context.WithoutCancel(t.Context()))
	}
	for range 50 { // others write to the same log
		for i, conn := range conns {
			if _, err := conn.Exec(t.Context(), fmt.Sprintf("BEGIN; UPDATE quests_quest SET title = title || '.' WHERE id = %d", i+1)); err != nil {
				t.Fatal(err)
			}
		}
		for _, conn := range conns {
			if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
				t.Fatal(err)
			}
		}
		two := borders(t, s, from, 2)
		if from = two[0].EndLSN; from == two[1].CommitLSN {
			confirm(t, s, from)
			if again := borders(t, s, from, 1); again[0] != two[1] {
				t.Errorf("behind %v comes %+v, want %+v", from, again[0], two[1])
			}
			return
		}
		from = two[1].EndLSN
	}
	t.Error("no commit came right behind another")
}

// starts opens a stream; the server takes a moment to let go of the one before.
func starts(t *testing.T, s *Source, from change.LSN) (st *Stream) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() (err error) {
		st, err = s.Start(t.Context(), from, 1000)
		if err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		return err
	})
	return st
}

// borders are the first n transactions with changes.
func borders(t *testing.T, s *Source, from change.LSN, n int) (all []change.Transaction) {
	t.Helper()
	st := starts(t, s, from)
	defer st.Close()
	var tx change.Transaction
	changes := 0
	for len(all) < n {
		var sig change.Signal
		if err := st.Receive(&sig); err != nil {
			t.Fatal(err)
		}
		switch sig.Kind {
		case change.Began:
			tx, changes = sig.Transaction, 0
		case change.Changed:
			changes++
		case change.Committed:
			if tx.EndLSN = sig.Transaction.EndLSN; changes > 0 {
				all = append(all, tx)
			}
		case change.Noted, change.Alive:
		}
	}
	return all
}

// confirm has the server forget up to a position.
func confirm(t *testing.T, s *Source, at change.LSN) {
	t.Helper()
	st := starts(t, s, at)
	defer st.Close()
	testkit.Eventually(t, 10*time.Second, func() error {
		if err := st.Status(at, false); err != nil {
			t.Fatal(err)
		}
		if !ask[bool](t, s.config.DSN, "SELECT confirmed_flush_lsn = $2::pg_lsn FROM pg_replication_slots WHERE slot_name = $1", s.config.Slot, at.String()) {
			return errors.New("not confirmed yet")
		}
		return nil
	})
}
