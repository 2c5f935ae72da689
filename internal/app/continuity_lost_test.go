package app

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/testkit"
)

// byWhat arranges findings by rule, quest and user.
func byWhat(found map[string]*finding) map[string]*finding {
	by := map[string]*finding{}
	for _, f := range found {
		by[f.what] = f
	}
	return by
}

// reasons lists the reasons of a kind of control record.
func (s *streamed) reasons(kind string) []string {
	var list []string
	for _, c := range s.controls {
		if c.Control == kind {
			list = append(list, c.Reason)
		}
	}
	return list
}

// interrupted runs the program, stops it, lets something happen together with
// changes that heal one finding and begin another, and runs it again.
func interrupted(t *testing.T, c config.Config, dsn string, since uint64, happens func()) (before, after map[string]*finding, s *streamed) {
	t.Helper()
	r := start(t, c, dsn)
	r.ready(t)
	r.settle(t)
	r.verifyFindings(t)
	before = byWhat(r.findings(t))
	r.stop(t)
	happens()
	exec1(
		t, dsn,
		`INSERT INTO quests_questparticipant (status, joined_at, progress_notes, quest_id, user_id)
			VALUES ('joined', now(), '', 3, '33333333-3333-4333-8333-333333333333')`,
		`UPDATE quests_quest SET assigned_to_id = '33333333-3333-4333-8333-333333333333', status = 'in-progress' WHERE id = 3`,
		`DELETE FROM quests_questparticipant WHERE quest_id = 17`,
	)
	r = start(t, c, dsn)
	r.since = since
	s = r.verify(t)
	return before, byWhat(r.findings(t)), s
}

const (
	healed  = "missing_participant 3 33333333-3333-4333-8333-333333333333"
	stands  = "missing_participant 1 22222222-2222-4222-8222-222222222222"
	newHere = "missing_participant 17 483ab258-e434-44f3-9da2-73409dd55f55"
)

// sameFindings checks that the checker took the new baseline as a difference.
func sameFindings(t *testing.T, before, after map[string]*finding) {
	t.Helper()
	for _, what := range []string{healed, stands} {
		if before[what] == nil || after[what] == nil || before[what].Finding.Finding != after[what].Finding.Finding {
			t.Errorf("%s: before %+v, after %+v: not the same finding", what, before[what], after[what])
		}
	}
	if f := after[healed]; f != nil && !f.resolved {
		t.Errorf("%s is still open", healed)
	}
	if f := after[newHere]; f == nil || f.resolved {
		t.Errorf("%s is not open: %+v", newHere, f)
	}
}

func TestSlotDroppedWhileStopped(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	before, after, s := interrupted(t, c, dsn, 1, func() {
		exec1(t, dsn, fmt.Sprintf("SELECT pg_drop_replication_slot('%s')", c.Postgres.Slot))
	})
	sameFindings(t, before, after)
	if got := fmt.Sprint(s.reasons("gap"), s.count("baseline_end")); got != "[slot_missing] 2" {
		t.Errorf("gaps and baselines: %s", got)
	}
}

func TestSlotLostWhileStopped(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{Settings: map[string]string{
		"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB",
	}})
	dsn := loaded(t, cluster)
	c := settings(t, dsn)
	before, after, s := interrupted(t, c, dsn, 1, func() { loseSlots(t, dsn) })
	sameFindings(t, before, after)
	if got := fmt.Sprint(s.reasons("gap"), s.count("baseline_end")); got != "[slot_lost] 2" {
		t.Errorf("gaps and baselines: %s", got)
	}
}

// loseSlots makes the server throw away the log that its slots need.
func loseSlots(t *testing.T, dsn string) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		exec1(t, dsn, `SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) FROM generate_series(1, 8)`,
			`SELECT pg_switch_wal()`, `CHECKPOINT`)
		var lost bool
		query(t, dsn, `SELECT bool_and(wal_status = 'lost') FROM pg_replication_slots`, &lost)
		if !lost {
			return errors.New("the slot is still usable")
		}
		return nil
	})
}

func withJetStream(t *testing.T, url string, fn func(ctx context.Context, js jetstream.JetStream) error) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := fn(t.Context(), js); err != nil {
		t.Fatal(err)
	}
}

// withStream does something with one stream of a server.
func withStream(t *testing.T, url, name string, fn func(ctx context.Context, s jetstream.Stream) error) {
	t.Helper()
	withJetStream(t, url, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return err
		}
		return fn(ctx, s)
	})
}

// What is published again after a purge is no gap: the slot still has it.
func TestStreamPurgedWhileStopped(t *testing.T) {
	t.Parallel()
	c, dsn, server := onServer(t)
	_, after, s := interrupted(t, c, dsn, 2, func() {
		withStream(t, server.URL(), "QUESTWATCH_CDC", func(ctx context.Context, cdc jetstream.Stream) error {
			return cdc.Purge(ctx)
		})
	})
	openFindings(t, after)
	if got := fmt.Sprint(s.reasons("epoch"), s.count("gap"), s.epoch); got != "[no_baseline] 0 2" {
		t.Errorf("epochs, gaps, epoch: %s", got)
	}
}

func TestStreamDeletedWhileStopped(t *testing.T) {
	t.Parallel()
	c, dsn, server := onServer(t)
	_, after, s := interrupted(t, c, dsn, 2, func() {
		withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
			return js.DeleteStream(ctx, "QUESTWATCH_CDC")
		})
	})
	openFindings(t, after)
	if got := fmt.Sprint(s.reasons("gap"), s.epoch); got != "[stream_behind] 2" {
		t.Errorf("gaps and epoch: %s", got)
	}
}

// openFindings checks what the program found in a stream that began anew.
func openFindings(t *testing.T, after map[string]*finding) {
	t.Helper()
	for _, what := range []string{stands, newHere} {
		if f := after[what]; f == nil || f.resolved {
			t.Errorf("%s is not open: %+v", what, f)
		}
	}
}

func TestBaselineKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	// Rows enough that the baseline takes a while.
	exec1(t, dsn, manyQuests)
	p := spawn(t, c)
	slots := func() (n int) {
		query(t, dsn, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()", &n)
		return n
	}
	for range 2 {
		p.says(t, "taking a baseline")
		if slots() == 0 {
			t.Error("no slot while a baseline is taken")
		}
		p.kill()
		testkit.Eventually(t, 10*time.Second, func() error {
			if n := slots(); n != 0 {
				return fmt.Errorf("%d slots left behind", n)
			}
			return nil
		})
		p = spawn(t, c)
	}
	p.kill()
	r := start(t, c, dsn)
	s := r.verify(t)
	if b, e, g := s.count("baseline_end"), s.count("epoch"), s.count("gap"); b != 1 || e < 3 || g != 0 {
		t.Errorf("%d baselines ended, %d epochs, %d gaps", b, e, g)
	}
}
