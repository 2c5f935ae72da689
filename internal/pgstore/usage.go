package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Usage is what a replication slot costs the server.
type Usage struct {
	// Exists is false when there is no such slot; the rest says nothing then.
	Exists bool
	// Kept is how much log the server keeps for the slot, Unconfirmed how much it has
	// written since the confirmed position, in bytes.
	Kept, Unconfirmed int64
	// Safe is how much it may still write before it throws away what the slot needs;
	// Limit is max_slot_wal_keep_size. Both are -1 where there is no limit.
	Safe, Limit int64
	// Status is the server's wal_status: reserved, extended, unreserved, lost.
	Status string
}

// Usage looks at the slot, on the clock's connection.
func (s *Store) Usage(ctx context.Context, slot string) (u Usage, err error) {
	err = s.onSide(ctx, func(conn *pgx.Conn) error {
		u = Usage{}
		err := conn.QueryRow(ctx, `
			SELECT true, coalesce(pg_current_wal_lsn() - restart_lsn, 0)::bigint,
			       coalesce(pg_current_wal_lsn() - confirmed_flush_lsn, 0)::bigint, coalesce(safe_wal_size, -1),
			       greatest(pg_size_bytes(current_setting('max_slot_wal_keep_size')), -1), coalesce(wal_status, 'lost')
			FROM pg_replication_slots WHERE slot_name = $1`, slot).
			Scan(&u.Exists, &u.Kept, &u.Unconfirmed, &u.Safe, &u.Limit, &u.Status)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return u, readError(fmt.Sprintf("look at what slot %q keeps", slot), err)
}

// Holder is the oldest transaction that has written: the server keeps its log since
// that began.
type Holder struct {
	// PID is its server process, 0 for a prepared transaction.
	PID int64
	// Age is how long it has been open, -1 where we may not know.
	Age      time.Duration
	Database string
}

// Holder finds it; ok is false when there is none. Its age takes the right to see
// other people's sessions (pg_read_all_stats).
func (s *Store) Holder(ctx context.Context) (h Holder, ok bool, err error) {
	err = s.onSide(ctx, func(conn *pgx.Conn) error {
		var seconds float64
		err := conn.QueryRow(ctx, `
			SELECT coalesce(l.pid, 0), coalesce(extract(epoch FROM clock_timestamp() - coalesce(p.prepared, a.xact_start)), -1)::float8,
			       coalesce(p.database, a.datname, '')
			FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
			     LEFT JOIN pg_prepared_xacts p ON p.transaction = l.transactionid
			WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
			ORDER BY age(l.transactionid) DESC LIMIT 1`).Scan(&h.PID, &seconds, &h.Database)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		h.Age, ok = time.Duration(seconds*float64(time.Second)), err == nil
		if seconds < 0 {
			h.Age = -1
		}
		return err
	})
	return h, ok, readError("look for long transactions", err)
}
