package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
	"github.com/peerquest/questwatch/internal/watch"
)

// forge changes the checker's state behind the stream's back.
func (r *running) forge(t *testing.T, id int64, e change.Entity, op change.Op, row string) {
	t.Helper()
	c := change.Change{Op: op, Entity: e, After: change.Row(row)}
	if op == change.Delete {
		c.Before, c.After = c.After, nil
	}
	err := r.watch.Look(func(checker *watch.Checker, _ int) error {
		_, err := checker.State().Apply(&change.Step{QuestID: id, Transaction: change.Transaction{ID: 1, CommitLSN: 1}, Changes: []change.Change{c}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// compared makes a comparison that must succeed.
func (r *running) compared(t *testing.T) *verify.Result {
	t.Helper()
	result, err := r.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// mismatches reads the audit.mismatch events by subject, without the namespace.
func (r *running) mismatches(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := r.Bus().ConsumeEvents(t.Context(), []string{r.Bus().EventSubject("audit.>")}, 0, func(m bus.Message) error {
		all[strings.TrimPrefix(m.Subject, r.Bus().EventSubject(""))] += string(m.Data)
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return all
}

// State and database are compared over and over while the application works in
// every way, and never differ.
func TestStateIsVerifiedUnderLoad(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, dsn string) (end func()){"PeerQuest": startPeerQuest, "anything": func(t *testing.T, dsn string) func() {
		return startTraffic(t, dsn, 4).stop
	}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001, testkit.DropUniqueParticipant)
			exec1(t, dsn, manyQuests)
			c := settings(t, dsn)
			c.Stream.MaxRows = 40 // so that some transactions are streamed as they come
			r := start(t, c, dsn)
			r.ready(t)
			end, unusual := begin(t, dsn), startUnusual(t, dsn)
			passes, beyond, read := 0, 0, 0
			for began := time.Now(); time.Since(began) < 6*time.Second || beyond == 0; {
				result := r.compared(t)
				if !result.Equal() {
					t.Fatal(result)
				}
				passes, beyond, read = passes+1, beyond+result.Beyond, read+result.Differing
			}
			end()
			unusual()
			t.Logf("%d passes, %d quests beyond a snapshot, %d ranges read row by row", passes, beyond, read)
			if events := r.mismatches(t); len(events) > 0 {
				t.Errorf("events: %v", events)
			}
			r.verify(t)
		})
	}
}

// startPeerQuest simulates people until the function returned is called.
func startPeerQuest(t *testing.T, dsn string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	sim := peerquest.New(peerquest.Config{DSN: dsn, Seed: 3, Workers: 4, AutocommitShare: 0.5, InjectShare: 0.1, PauseScale: 0.2, Grace: time.Second, Rate: 300})
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		t.Logf("%d transactions", sim.Transactions())
	}
}

// startUnusual writes in the ways that are not the application's until the function
// returned is called.
func startUnusual(t *testing.T, dsn string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- writeUnusually(ctx, dsn) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func writeUnusually(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for n := 0; ctx.Err() == nil; n++ {
		for _, sql := range []string{
			`SET synchronous_commit = off`,
			`UPDATE quests_quest SET title = title || '!' WHERE id = 1`,
			`UPDATE quests_quest SET title = 'many ' || id WHERE id % 20 = ` + fmt.Sprint(n%20), // hundreds of quests
			`SET synchronous_commit = on`,
			// A long transaction, with a savepoint that is rolled back.
			`BEGIN; UPDATE quests_quest SET title = 'long' WHERE id = 2; SAVEPOINT s; UPDATE quests_quest SET title = 'lost' WHERE id = 3`,
			`SELECT pg_sleep(0.3)`,
			`ROLLBACK TO s; UPDATE quests_quest SET is_deleted = NOT is_deleted WHERE id = 4; COMMIT`,
			`UPDATE applications_application SET quest_id = quest_id % 2 + 1 WHERE id IN (1, 2)`, // rows that move
		} {
			_, err := conn.Exec(ctx, sql)
			var from *pgconn.PgError
			if errors.As(err, &from) && from.Code == "40P01" { // the traffic locks quests in another order
				if _, err = conn.Exec(ctx, "ROLLBACK"); err == nil {
					break
				}
			}
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
	}
	return nil
}

const (
	ann = "11111111-1111-4111-8111-111111111111"
	bob = "22222222-2222-4222-8222-222222222222"
)

// Every value of the state that is damaged is found, and named; a new baseline mends
// it. The cluster is the test's own: a transaction that is open elsewhere would leave
// it undecided.
func TestDamagedStateIsFound(t *testing.T) {
	t.Parallel()
	dsn := loaded(t, testkit.NewCluster(t, testkit.PostgresOptions{}))
	exec1(t, dsn, manyQuests)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	if result := r.compared(t); !result.Equal() || result.Differing != 0 || result.Quests != 15011 {
		t.Fatalf("before any damage: %s", result)
	}
	damages := []struct {
		id   int64
		e    change.Entity
		op   change.Op
		row  string
		want string
	}{
		{1, change.Quest, change.Update, `{"id":1,"title":"another one"}`, "quest 1 title differs"},
		{2, change.Quest, change.Update, `{"id":2,"status":"completed"}`, "quest 2 status: open in the database, completed in the state"},
		{3, change.Quest, change.Update, `{"id":3,"assigned_to_id":"` + bob + `"}`, "quest 3 assigned: nothing in the database, " + bob + " in the state"},
		{4, change.Quest, change.Update, `{"id":4,"is_deleted":true}`, "quest 4 deleted: false in the database, true in the state"},
		{5, change.Application, change.Update, `{"id":5,"status":"kicked"}`, "application 5 status: approved in the database, kicked in the state"},
		{6, change.Application, change.Update, `{"id":6,"applicant_id":"` + bob + `"}`, "application 6 user: " + ann + " in the database, " + bob + " in the state"},
		{7, change.Participant, change.Update, `{"id":4,"status":"dropped"}`, "participant 4 status: joined in the database, dropped in the state"},
		{8, change.Participant, change.Update, `{"id":5,"joined_at":"2025-06-30T07:40:00.000001+00:00"}`, "participant 5 joined: 1751269200000000 in the database, 1751269200000001 in the state"},
		{9, change.Participant, change.Delete, `{"id":6}`, "participant 6 row: present in the database, absent in the state"},
		{10, change.Application, change.Delete, `{"id":10}`, "application 10 row: present in the database, absent in the state"},
		{17, change.Quest, change.Delete, `{"id":17}`, "quest 17 row: present in the database, absent in the state"},
		{5000, change.Application, change.Create, `{"id":99,"applicant_id":"` + bob + `","status":"pending"}`, "application 99 row: absent in the database, present in the state"},
		{99999, change.Quest, change.Create, `{"id":99999,"title":"t","status":"open","assigned_to_id":null,"is_deleted":false}`, "quest 99999 row: absent in the database, present in the state"},
		{-7, change.Participant, change.Create, `{"id":77,"user_id":"` + bob + `","status":"joined","joined_at":null}`, "participant 77 row: absent in the database, present in the state"},
	}
	for _, d := range damages {
		r.forge(t, d.id, d.e, d.op, d.row)
	}
	result := r.compared(t)
	var got, want []string
	for _, m := range result.Mismatches {
		got = append(got, m.String())
	}
	for _, d := range damages {
		want = append(want, fmt.Sprintf("quest %d: %s", d.id, d.want))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || result.Mismatched != len(damages) || result.Undecided != 0 {
		t.Errorf("found\n%s\nwant\n%s", result, strings.Join(want, "\n"))
	}
	r.denounced(t, len(damages))
	// The new baseline ends, and all is well.
	r.baselines(t, 2)
	r.readyButFor(t)
	if result := r.compared(t); !result.Equal() {
		t.Errorf("after the new baseline: %s", result)
	}
	if s := r.verification(); s == nil || !s.Equal || s.Mismatched != 0 {
		t.Errorf("the status says %+v", s)
	}
	r.verify(t)
}

// denounced checks that events and status tell of quests that differ.
func (r *running) denounced(t *testing.T, quests int) {
	t.Helper()
	events := r.mismatches(t)
	if len(events) != quests+1 {
		t.Errorf("%d events, want one for each of %d quests and a summary", len(events), quests)
	}
	var e struct {
		Type string           `json:"type"`
		Data event.Mismatches `json:"data"`
	}
	decode(t, []byte(events["audit.mismatch.summary._"]), &e)
	if e.Type != "dev.questwatch.audit.mismatch.v1" || e.Data.Mismatched != quests || len(e.Data.QuestIDs) != quests || e.Data.LSN == 0 || e.Data.Sequence == 0 {
		t.Errorf("the summary is %+v", e)
	}
	for subject, data := range events {
		if strings.Contains(data, "another one") || strings.Contains(data, "Test ") {
			t.Errorf("%s shows what people wrote: %s", subject, data)
		}
	}
	if s := r.verification(); s == nil || s.Equal || s.Mismatched != quests {
		t.Errorf("the status says %+v", s)
	}
	if reasons := strings.Join(r.Reasons(), "\n"); !strings.Contains(reasons, fmt.Sprintf("differed from the database in %d quests", quests)) {
		t.Errorf("reasons: %q", reasons)
	}
}

// readyButFor waits until nothing but the difference keeps the program from being ready.
func (r *running) readyButFor(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		if reasons := r.Reasons(); len(reasons) > 1 {
			return fmt.Errorf("not ready: %q", reasons)
		}
		return nil
	})
}

// What the database loses without saying so in its log is found too.
func TestRowsThatTheDatabaseLost(t *testing.T) {
	t.Parallel()
	dsn := loaded(t, testkit.NewCluster(t, testkit.PostgresOptions{}))
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	exec1(t, dsn, `CREATE EXTENSION pg_surgery`, `SELECT heap_force_kill('quests_questparticipant', ARRAY(SELECT ctid FROM quests_questparticipant WHERE id = 3))`)
	result := r.compared(t)
	if result.Mismatched != 1 || result.Mismatches[0].String() != "quest 6: participant 3 row: absent in the database, present in the state" {
		t.Fatal(result)
	}
	// The baseline that follows has what the database has.
	r.baselines(t, 2)
	r.readyButFor(t)
	if result := r.compared(t); !result.Equal() {
		t.Error(result)
	}
}

// A transaction that was under way all the time may be one whose commit is in the
// stream already: a difference says nothing until it has ended. What is equal is
// equal all the same.
func TestVerifiedAcrossAnOpenTransaction(t *testing.T) {
	t.Parallel()
	dsn := loaded(t, testkit.NewCluster(t, testkit.PostgresOptions{}))
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), `BEGIN; UPDATE quests_quest SET status = 'completed' WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	if result := r.compared(t); !result.Equal() {
		t.Error(result)
	}
	r.forge(t, 2, change.Quest, change.Update, `{"id":2,"status":"completed"}`)
	if result := r.compared(t); result.Mismatched != 0 || result.Undecided != 1 || !slices.Equal(result.UndecidedIDs, []int64{2}) {
		t.Error(result)
	}
	if _, err := conn.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if result := r.compared(t); result.Mismatched != 1 || result.Undecided != 0 || result.Mismatches[0].QuestID != 2 {
		t.Error(result)
	}
}

// With synchronous replication a commit is in the stream, and in the state, long
// before any snapshot sees it, here for ever. That is no difference.
func TestVerifiedBeforeCommitsAreSeen(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{})
	dsn := loaded(t, cluster)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	if result := r.compared(t); !result.Equal() {
		t.Fatal(result)
	}
	exec1(t, dsn, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`, `SELECT pg_reload_conf()`)
	testkit.Eventually(t, 10*time.Second, func() error {
		var names string
		if query(t, dsn, `SHOW synchronous_standby_names`, &names); names == "" {
			return errors.New("not in force yet")
		}
		return nil
	})
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	committed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), `UPDATE quests_quest SET status = 'completed' WHERE id = 1`)
		committed <- err
	}()
	inState := func() error {
		return r.watch.Look(func(c *watch.Checker, _ int) error {
			if q := c.State().Quest(1); q == nil || q.Status != 3 {
				return errors.New("the commit is not in the state")
			}
			return nil
		})
	}
	testkit.Eventually(t, 10*time.Second, inState)
	if result := r.compared(t); result.Mismatched != 0 || !slices.Equal(result.UndecidedIDs, []int64{1}) {
		t.Error(result)
	}
	exec1(t, dsn, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	if result := r.compared(t); !result.Equal() {
		t.Error(result)
	}
}

// A database that is away, or comes back, is no difference.
func TestNotVerifiedWithoutDatabase(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	via, proxy := through(t, dsn)
	c := settings(t, dsn)
	c.Postgres.DSN = via
	r := start(t, c, dsn)
	r.ready(t)
	proxy.Refuse(true)
	proxy.Cut()
	if result, err := r.Verify(t.Context()); err == nil {
		t.Errorf("compared with nothing: %s", result)
	}
	if s := r.verification(); s == nil || s.Equal || s.Mismatched != 0 || s.Error == "" {
		t.Errorf("the status says %+v", s)
	}
	proxy.Refuse(false)
	r.ready(t)
	testkit.Eventually(t, 20*time.Second, func() error {
		result, err := r.Verify(t.Context())
		if err == nil && !result.Equal() {
			t.Fatal(result)
		}
		return err
	})
	if events := r.mismatches(t); len(events) > 0 {
		t.Errorf("events: %v", events)
	}
}
