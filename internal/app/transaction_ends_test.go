package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/testkit"
)

// book begins a ledger for a program's database, and returns what compares the
// stream with it.
func book(t *testing.T, c config.Config, dsn string) func(s *streamed) {
	t.Helper()
	l := keepLedger(t, dsn, "ledger_"+c.Postgres.Slot)
	return func(s *streamed) {
		t.Helper()
		if a := compareLedger(t, l.read(t), s.messages); !a.tally.clean() || a.tally.committed == 0 {
			t.Errorf("%+v\n%s", a.tally, strings.Join(a.says, "\n"))
		}
	}
}

// The program is told to end while it streams a transaction: what is in the stream
// is half of it, which is not confirmed, and the next start goes on behind it.
func TestStoppedInATransaction(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	proxy := proxyTo(t, server.Addr())
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.NATS.URL = "nats://" + proxy.Addr()
	c.Stream.ConfirmLag = time.Millisecond
	p := spawn(t, c)
	p.says(t, "msg=streaming")
	compare := book(t, c, dsn)
	proxy.Throttle(100_000)
	exec1(t, dsn, `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		SELECT 'approved', now(), '11111111-1111-4111-8111-111111111111', 1 + n % 10 FROM generate_series(1, 6000) n`)
	var half uint64
	testkit.Eventually(t, 30*time.Second, func() error {
		withStream(t, server.URL(), "QUESTWATCH_CDC", func(ctx context.Context, cdc jetstream.Stream) error {
			m, err := cdc.GetMsg(ctx, cdc.CachedInfo().State.LastSeq)
			if err != nil {
				return err
			}
			var step stepRecord
			decode(t, m.Data, &step)
			if half = 0; step.Transaction.Messages == 0 {
				half = step.Transaction.CommitLSN
			}
			return nil
		})
		if half == 0 {
			return errors.New("the stream does not end inside of a transaction")
		}
		return nil
	})
	p.terminate(t)
	var confirmed uint64
	query(t, dsn, `SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots WHERE slot_name = '`+c.Postgres.Slot+`'`, &confirmed)
	if confirmed > half {
		t.Errorf("confirmed up to %d, and the transaction at %d is not complete", confirmed, half)
	}
	proxy.Throttle(0)
	s := start(t, c, dsn).verify(t)
	compare(s)
	if s.count("baseline_end") != 1 || s.count("gap") != 0 || s.count("epoch") != 2 {
		t.Errorf("%d baselines, %d gaps, %d epochs", s.count("baseline_end"), s.count("gap"), s.count("epoch"))
	}
}

// The changes of a transaction that commits late lie before what is streamed and
// confirmed long since.
func TestLateCommitOfEarlyChanges(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	compare := book(t, c, dsn)
	early, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close(context.WithoutCancel(t.Context()))
	if _, err := early.Exec(t.Context(), `BEGIN; UPDATE quests_quest SET title = 'early' WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	exec1(t, dsn, `UPDATE quests_quest SET title = 'late' WHERE id = 2`)
	r.settle(t)
	r.stop(t)
	if _, err := early.Exec(t.Context(), `UPDATE quests_quest SET title = 'early too' WHERE id = 3; COMMIT`); err != nil {
		t.Fatal(err)
	}
	s := start(t, c, dsn).verify(t)
	compare(s)
	var commits []uint64
	var lsns []uint64 // of the first change of each
	for _, m := range s.messages {
		var step stepRecord
		if decode(t, m.Data, &step); isStep(m) && step.Transaction.Message == 1 {
			commits, lsns = append(commits, step.Transaction.CommitLSN), append(lsns, step.Changes[0].LSN)
		}
	}
	if len(commits) != 2 || lsns[1] > lsns[0] {
		t.Errorf("commits at %d with changes at %d: the second one should begin before the first", commits, lsns)
	}
}

// Postgres does not send a value out of line that an update leaves alone: it is
// told to be unchanged, and not told to be null.
func TestUnchangedValueOutOfLine(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	exec1(t, dsn, `ALTER TABLE quests_quest ALTER title TYPE text, ALTER title SET STORAGE EXTERNAL`)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	exec1(
		t, dsn,
		`UPDATE quests_quest SET title = repeat('long ', 2000) WHERE id = 1`,
		`UPDATE quests_quest SET updated_at = now() WHERE id = 1`,
		`UPDATE quests_quest SET updated_at = now(), title = 'short' WHERE id = 1`,
	)
	s := r.verify(t)
	unchanged := ""
	for _, m := range s.messages {
		var step stepRecord
		for decode(t, m.Data, &step); len(step.Changes) > 0; step.Changes = step.Changes[1:] {
			if c := step.Changes[0]; len(c.Unchanged) > 0 {
				unchanged += fmt.Sprint(c.Op, " ", c.Unchanged, " ", strings.Contains(string(c.After), `"title"`), "; ")
			}
		}
	}
	if unchanged != "u [title] false; " {
		t.Errorf("told to be unchanged: %s", unchanged)
	}
}
