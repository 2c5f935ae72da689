package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestKilledBetweenSteps: wherever a repair ends, nothing is half done, and the next one
// does all of it, once.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	const dies = `CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$; `
	for name, c := range map[string]struct {
		trigger          string
		confirm, decided bool // ends there
	}{
		"locked":      {confirm: true},
		"decided":     {decided: true},
		"participant": {trigger: "CREATE TRIGGER dies AFTER INSERT ON quests_questparticipant"},
		"quest":       {trigger: "CREATE TRIGGER dies AFTER UPDATE ON quests_quest"},
		"journal":     {trigger: "CREATE TRIGGER dies AFTER INSERT ON questwatch.repair"},
		"commit":      {trigger: "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON questwatch.repair DEFERRABLE INITIALLY DEFERRED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, conn, _ := journalled(t)
			was := questOf(t, conn, 1)
			if c.trigger != "" {
				exec(t, conn, dies+c.trigger+" FOR EACH ROW EXECUTE FUNCTION dies()")
			}
			kill := func(now bool) {
				if now {
					exec(t, conn, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()")
				}
			}
			o := missing()
			_, err := s.Carry(t.Context(), o, func(context.Context, change.LSN) error {
				kill(c.confirm)
				return nil
			}, func(c2 *remedy.Case) (remedy.Action, []remedy.Write, error) {
				kill(c.decided)
				return decide(o)(c2)
			})
			if err == nil {
				t.Fatal("nothing was killed")
			}
			nothingDone(t, conn, 1, was)
			if c.trigger != "" {
				exec(t, conn, "DROP FUNCTION dies CASCADE")
			}
			carry(t, s, o)
			if n := one[int64](t, conn, "SELECT count(*) FROM quests_questparticipant WHERE quest_id = 1"); n != 1 {
				t.Errorf("%d participants", n)
			}
		})
	}
}

// TestKilledAfterCommit: the answer to COMMIT is lost; who tries again hears that it has
// been done.
func TestKilledAfterCommit(t *testing.T) {
	t.Parallel()
	// A standby that does not exist keeps a COMMIT from being answered, and not from being made.
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{Settings: map[string]string{"synchronous_standby_names": "nobody", "synchronous_commit": "local"}})
	dsn := cluster.DSN("postgres")
	if err := errors.Join(testkit.LoadSchema(t.Context(), dsn), testkit.LoadAudit001(t.Context(), dsn)); err != nil {
		t.Fatal(err)
	}
	conn, s := connect(t, dsn), openStore(t, dsn, Default())
	setUp(t, s)
	waiting := openStore(t, dsn+"&synchronous_commit=on", Default())
	killed := make(chan error, 1)
	go func() {
		killed <- await(t.Context(), conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
	}()
	o := missing()
	_, err := waiting.Carry(t.Context(), o, nil, decide(o))
	if err == nil || !strings.Contains(err.Error(), "commit") {
		t.Errorf("the error is %v", err)
	}
	if err := <-killed; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Carry(t.Context(), o, nil, decide(o)); !errors.Is(err, remedy.ErrRepaired) {
		t.Errorf("again: %v", err)
	}
	if n := one[int64](t, conn, "SELECT count(*) FROM quests_questparticipant WHERE quest_id = 1"); n != 1 {
		t.Errorf("%d participants", n)
	}
}

// await executes a query until it has a row.
func await(ctx context.Context, conn *pgx.Conn, sql string) error {
	for {
		var any bool
		err := conn.QueryRow(ctx, sql).Scan(&any)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
}

// TestCutOff: a network that breaks, and a process that stands still, give the locks back.
func TestCutOff(t *testing.T) {
	t.Parallel()
	_, conn, dsn := journalled(t)
	proxy, err := testkit.NewProxy(testkit.Postgres(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	cfg := Default()
	s := openStore(t, strings.Replace(dsn, testkit.Postgres(t).Addr(), proxy.Addr(), 1), cfg)
	s.idle = 200 * time.Millisecond
	was := questOf(t, conn, 1)
	for name, fault := range map[string]func(){
		"cut":    proxy.Cut,
		"stands": func() { noSession(t, conn) },
	} {
		o := missing()
		if _, err := s.Carry(t.Context(), o, func(context.Context, change.LSN) error {
			fault()
			return nil
		}, decide(o)); err == nil {
			t.Errorf("%s: no error", name)
		}
		noSession(t, conn)
		nothingDone(t, conn, 1, was)
	}
	exec(t, conn, "BEGIN; SELECT FROM quests_quest WHERE id = 1 FOR UPDATE NOWAIT; ROLLBACK")
}

// noSession returns when nobody is in a transaction and says nothing.
func noSession(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() error {
		var n int
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()").Scan(&n)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d sessions are idle in a transaction", n)
		}
		return err
	})
}
