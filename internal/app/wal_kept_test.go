package app

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

// foreign writes tables that are none of ours.
func foreign(t *testing.T, dsn string, transactions int, bytes int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	const sql = `INSERT INTO elsewhere (body) SELECT repeat(md5(random()::text), 100) FROM generate_series(1, $1)`
	for range transactions {
		// A row takes about as much log as it is long.
		if _, err := conn.Exec(t.Context(), sql, max(1, bytes/transactions/3300)); err != nil {
			t.Fatal(err)
		}
	}
}

// elsewhere is a table whose rows are not compressed.
const elsewhere = `CREATE TABLE elsewhere (id bigint GENERATED ALWAYS AS IDENTITY, body text);
	ALTER TABLE elsewhere ALTER COLUMN body SET STORAGE EXTERNAL`

// kept is how much log the slot keeps, and where the log ends.
func kept(t *testing.T, dsn, slot string) (bytes, end int64) {
	t.Helper()
	query(t, dsn, fmt.Sprintf(`SELECT (pg_current_wal_lsn() - restart_lsn)::bigint, (pg_current_wal_lsn() - '0/0')::bigint
		FROM pg_replication_slots WHERE slot_name = '%s'`, slot), &bytes, &end)
	return bytes, end
}

// An hour of an idle database with foreign traffic: our tables rest while others
// take more than 500 MB in 2,000 transactions. The log that the slot keeps stays under
// 64 MB and what comes within the confirm lag. Each round stands for some minutes:
// it ends with a checkpoint, as the server makes them, because the slot's restart
// position moves only past what a checkpoint or the background writer notes.
func TestIdleHour(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{})
	dsn := loaded(t, cluster)
	c := settings(t, dsn)
	exec1(t, dsn, elsewhere)
	r := start(t, c, dsn)
	r.ready(t)
	steps := r.watch.Status().Read
	_, first := kept(t, dsn, c.Postgres.Slot)
	const rounds, allowed = 16, 64 << 20
	var most, end int64
	for range rounds {
		_, before := kept(t, dsn, c.Postgres.Slot)
		foreign(t, dsn, 125, 34<<20)
		exec1(t, dsn, "SELECT pg_switch_wal()", "CHECKPOINT")
		// Whatever is kept right now, of this round only what came within the lag may be
		// above the limit, which is all of it at most.
		bytes, now := kept(t, dsn, c.Postgres.Slot)
		if most = max(most, bytes); bytes > allowed+(now-before) {
			t.Fatalf("%d bytes are kept, %d of them from this round", bytes, now-before)
		}
		testkit.Eventually(t, 30*time.Second, func() error {
			if bytes, end = kept(t, dsn, c.Postgres.Slot); bytes > allowed/2 {
				return fmt.Errorf("%d bytes are still kept", bytes)
			}
			return nil
		})
	}
	t.Logf("%d MB of log, at most %d MB of it kept", (end-first)>>20, most>>20)
	if end-first < 500<<20 {
		t.Errorf("only %d bytes of log", end-first)
	}
	if reasons := r.Reasons(); len(reasons) > 0 {
		t.Errorf("not ready: %q", reasons)
	}
	if list := alarmEvents(t, r.Bus(), "wal_kept"); len(list) > 0 {
		t.Errorf("alarms: %+v", list)
	}
	if r.watch.Status().Read == steps {
		t.Error("no marks were read")
	}
	s := r.verify(t)
	if s.transactions > 300 { // the baseline's rows are among them
		t.Errorf("%d transactions are on the stream", s.transactions)
	}
}

// A transaction that stays open keeps the server's log, whatever we confirm. The
// alarm names it, and nothing of what it does. A prepared one is the same.
func TestLongTransactionIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		open func(t *testing.T, dsn string) (pid int64, end func())
	}{
		"open": {func(t *testing.T, dsn string) (pid int64, end func()) {
			conn, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close(context.Background()) })
			if _, err := conn.Exec(t.Context(), "BEGIN; INSERT INTO elsewhere (body) VALUES ('x')"); err != nil {
				t.Fatal(err)
			}
			return int64(conn.PgConn().PID()), func() {
				if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
					t.Fatal(err)
				}
			}
		}},
		"prepared": {func(t *testing.T, dsn string) (pid int64, end func()) {
			exec1(t, dsn, "BEGIN; INSERT INTO elsewhere (body) VALUES ('x'); PREPARE TRANSACTION 'left'")
			return 0, func() { exec1(t, dsn, "COMMIT PREPARED 'left'") }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := testkit.NewCluster(t, testkit.PostgresOptions{Settings: map[string]string{"max_prepared_transactions": "2"}})
			dsn := loaded(t, cluster)
			exec1(t, dsn, elsewhere)
			c := settings(t, dsn)
			c.Alarm.WALKept = 96 << 20
			r := start(t, c, dsn)
			r.ready(t)
			from := time.Now()
			pid, end := test.open(t, dsn)
			exec1(t, dsn, "CHECKPOINT")
			foreign(t, dsn, 10, 128<<20)
			exec1(t, dsn, "CHECKPOINT")
			r.alarm(t, "wal_kept")
			if reasons := r.Reasons(); len(reasons) > 0 {
				t.Errorf("changes flow, and it is not ready: %q", reasons)
			}
			testkit.Eventually(t, 30*time.Second, func() error {
				for _, a := range r.Status().(*Status).Alarms {
					if a.Reason == "wal_kept" && a.Holder != nil && a.Holder.PID == pid && a.Holder.Seconds >= 10 && a.Holder.Database == "postgres" {
						return nil
					}
				}
				return fmt.Errorf("alarms %+v, want process %d named", r.Status().(*Status).Alarms, pid)
			})
			until := time.Now()
			end()
			testkit.Eventually(t, 30*time.Second, func() error {
				exec1(t, dsn, "CHECKPOINT") // or the background writer's note, a quarter of a minute later
				if bytes, _ := kept(t, dsn, c.Postgres.Slot); bytes > c.Alarm.WALKept/2 {
					return fmt.Errorf("%d bytes are kept", bytes)
				}
				return nil
			})
			a := r.toldOnce(t, "wal_kept", from, until)
			if a.Data.Severity != "warning" || a.Data.Bytes < c.Alarm.WALKept || a.Data.LimitBytes != c.Alarm.WALKept {
				t.Errorf("event %+v", a)
			}
			r.verify(t)
		})
	}
}

// The server may throw away what the slot needs: that is said before it does.
func TestSafeSizeIsWatched(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{Settings: map[string]string{"max_slot_wal_keep_size": "256MB"}})
	dsn := loaded(t, cluster)
	exec1(t, dsn, elsewhere)
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	c := outside(t, dsn, server)
	r := start(t, c, dsn)
	r.ready(t)
	from := time.Now()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	r.unreadyFor(t, "stalled since")
	testkit.Eventually(t, 40*time.Second, func() error {
		foreign(t, dsn, 10, 16<<20)
		var safe int64
		query(t, dsn, fmt.Sprintf("SELECT safe_wal_size FROM pg_replication_slots WHERE slot_name = '%s'", c.Postgres.Slot), &safe)
		if safe > 60<<20 {
			return errors.New("there is much room yet")
		}
		return nil
	})
	r.unreadyFor(t, "wal_safe since")
	until := time.Now()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 40*time.Second, func() error {
		exec1(t, dsn, "CHECKPOINT")
		if reasons := r.Reasons(); len(reasons) > 0 {
			return fmt.Errorf("not ready: %q", reasons)
		}
		return nil
	})
	s := r.verify(t)
	if s.count("gap") != 0 {
		t.Errorf("%d gaps", s.count("gap"))
	}
	if a := r.toldOnce(t, "wal_safe", from, until); a.Data.LimitBytes > 64<<20 || a.Data.Bytes >= a.Data.LimitBytes {
		t.Errorf("event %+v", a)
	}
}
