package pgsource

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

// stuff fills a connection as a walsender does, first with much at once to a reader
// who has been far behind, then with rows of a size, one by one, that nobody reads.
// It returns the number of the row that did not fit.
func stuff(f *frames, there net.Conn, size int) (n int, err error) {
	if err := f.tcp.SetReadBuffer(localWindow); err != nil {
		return 0, err
	}
	bulk := make([]byte, 64<<10)
	for range 100 {
		if _, err := there.Write(bulk); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(f.conn, bulk); err != nil {
			return 0, err
		}
	}
	row := make([]byte, size)
	for ; ; n++ {
		if n < 3000 {
			time.Sleep(50 * time.Microsecond) // each is to be a segment by itself
		}
		if err := there.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			return 0, err
		}
		binary.BigEndian.PutUint64(row, uint64(n))
		if _, err := there.Write(row); err != nil {
			return n, nil
		}
	}
}

// getThrough stuffs a connection and then says something again and again, which the
// other side must hear. With keep it reads all rows in the end.
func getThrough(f *frames, there net.Conn, size int, keep bool) error {
	rows, err := stuff(f, there, size)
	if err != nil {
		return err
	}
	const messages, message = 6, 39
	heard := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(there, make([]byte, messages*message))
		heard <- err
	}()
	for range messages {
		f.relieve(keep)
		if _, err := f.conn.Write(make([]byte, message)); err != nil {
			return err
		}
		time.Sleep(unread + 50*time.Millisecond) // as a held session does
	}
	select {
	case err := <-heard:
		if err != nil || !keep {
			return err
		}
	case <-time.After(5 * time.Second):
		return errors.New("not all was heard")
	}
	row := make([]byte, size)
	for i := range rows {
		for rest := row; len(rest) > 0; {
			n, err := f.take(rest)
			if err != nil {
				return fmt.Errorf("row %d of %d: %w", i, rows, err)
			}
			rest = rest[n:]
		}
		if n := binary.BigEndian.Uint64(row); n != uint64(i) {
			return fmt.Errorf("row %d comes as row %d", n, i)
		}
	}
	return nil
}

// Without relief every third of these is stuck after its first message, or so.
func TestWhatWeSayGetsThroughAFullSocket(t *testing.T) {
	var all sync.WaitGroup
	for i := range 20 {
		here, there := socket(t)
		f, size, keep := framesOn(here), 90+20*i, i%4 != 0
		all.Go(func() {
			if err := getThrough(f, there, size, keep); err != nil {
				t.Errorf("rows of %d bytes, keep %t: %v", size, keep, err)
			}
		})
	}
	all.Wait()
}

// A little is taken at a time, and only when nobody reads.
func TestReliefIsBounded(t *testing.T) {
	here, there := socket(t)
	f := framesOn(here)
	go func() { // until the test closes it
		for data := make([]byte, relief); ; {
			if _, err := there.Write(data); err != nil {
				return
			}
		}
	}()
	if f.relieve(true) || len(f.ahead) > 0 {
		t.Error("the last read was just now")
	}
	for range 2 * maxAhead / relief {
		f.last, f.relieved = time.Time{}, time.Time{}
		if !f.relieve(true) {
			t.Error("nobody reads")
		}
		before := len(f.ahead)
		if f.relieve(true); len(f.ahead) != before {
			t.Error("more was taken at once")
		}
	}
	if n := len(f.ahead); n == 0 || n > maxAhead {
		t.Errorf("%d bytes are kept, want %d at most", n, maxAhead)
	}
	f.taking.Lock()
	if f.relieve(true) {
		t.Error("somebody reads")
	}
	f.taking.Unlock()
}

// A walsender that has caught up with a reader who had been far behind, and is read
// no more, lives on however long that is, and whatever is written.
func TestHeldStreamIsKeptAlive(t *testing.T) {
	for name, hold := range map[string]bool{"kept": false, "thrown away": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			c := settings(t, dsn)
			c.SenderTimeout = 3 * time.Second
			s := open(t, c)
			from := setUp(t, s)
			const backlog = 40_000
			run(t, dsn, fmt.Sprintf(`INSERT INTO applications_application (quest_id, applicant_id, status, applied_at)
				SELECT quest_id, applicant_id, 'pending', now() FROM generate_series(1, %d), (SELECT * FROM applications_application LIMIT 1) a`, backlog))
			st, err := s.Start(t.Context(), from, 1000)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			if err := st.frames.stayAway(); err != nil { // as one that is a second behind does
				t.Fatal(err)
			}
			receive(t, st, from, backlog)
			pid := ask[int](t, dsn, `SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1`, c.Slot)
			written := trickle(t, dsn, 3*c.SenderTimeout, func() error {
				if hold {
					return st.Hold(from)
				}
				return st.Status(from, true)
			})
			if now := ask[int](t, dsn, `SELECT coalesce(active_pid, 0) FROM pg_replication_slots WHERE slot_name = $1`, c.Slot); now != pid {
				t.Fatalf("walsender %d, before it was %d", now, pid)
			}
			if !hold {
				receive(t, st, from, written)
			}
		})
	}
}

// receive takes in so many changes.
func receive(t *testing.T, st *Stream, from change.LSN, changes int) {
	t.Helper()
	var sig change.Signal
	var said time.Time
	for n := 0; n < changes; {
		if time.Since(said) > 250*time.Millisecond {
			said = time.Now()
			if err := st.Status(from, false); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Receive(&sig); err != nil {
			t.Fatalf("after %d of %d changes: %v", n, changes, err)
		}
		if sig.Kind == change.Changed {
			n++
		}
	}
}

// trickle writes one row after the other, more slowly once there is no room for
// more, and says something four times a second.
func trickle(t *testing.T, dsn string, during time.Duration, say func() error) (written int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var said time.Time
	for begin := time.Now(); time.Since(begin) < during; written++ {
		if _, err := conn.Exec(t.Context(), `UPDATE applications_application SET reviewed_at = clock_timestamp() WHERE id = 1`); err != nil {
			t.Fatal(err)
		}
		if written > 10_000 {
			time.Sleep(5 * time.Millisecond)
		}
		if time.Since(said) > 250*time.Millisecond {
			said = time.Now()
			if err := say(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return written
}
