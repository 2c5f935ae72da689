package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
)

// writePatience is how long a repair that holds the quest's lock waits for
// another one. It is less than deadlock_timeout's default of one second: in a
// deadlock with the application we give way before Postgres picks a victim.
const writePatience = 400 * time.Millisecond

var (
	errBusy    = errors.New("somebody else holds a lock on the quest")
	errChanged = errors.New("the quest changed while it was repaired")
)

// Repair carries out what decide makes of a quest, in one transaction: the quest
// row is locked, its rows are read again, decide is called with them, its writes
// are made, each guarded by what it expects. Without writes nothing is written.
// A conflict with somebody else is tried again a few times, with a new call of
// decide each. The case is valid during the call; ranks in it are among the
// quest's own people.
func (s *Store) Repair(
	ctx context.Context, questID int64, decide func(*remedy.Case) ([]remedy.Write, error),
) (receipt remedy.Receipt, err error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	receipt, err = backoff.Retry(ctx, func() (remedy.Receipt, error) {
		r, err := s.repairOnce(ctx, questID, decide)
		if err != nil && !passing(err) {
			err = backoff.Permanent(err)
		}
		return r, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(max(s.cfg.Attempts, 1)))
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	switch {
	case err == nil:
		return receipt, nil
	case sqlState(err) == lockTimeout:
		err = problem{op: "lock quest", err: errors.Join(errBusy, err), hint: "run it again when that transaction has ended"}.wrap()
	}
	return remedy.Receipt{}, fmt.Errorf("repair quest %d: %w", questID, err)
}

// passing reports whether the same may well work a moment later.
func passing(err error) bool {
	switch sqlState(err) {
	case lockTimeout, serialization, deadlock, duplicateKey:
		return true
	}
	return errors.Is(err, errChanged)
}

func (s *Store) repairOnce(
	ctx context.Context, questID int64, decide func(*remedy.Case) ([]remedy.Write, error),
) (receipt remedy.Receipt, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return receipt, connectError(&s.pool.Config().ConnConfig.Config, err)
	}
	defer conn.Release()
	r := &repair{store: s, conn: conn.Conn().PgConn(), quest: questID, builder: newCaseBuilder(s.cfg.Statuses)}
	defer func() {
		if err != nil {
			end, cancel := detached(ctx)
			defer cancel()
			// The error at hand says more than that of a rollback on a broken connection.
			_ = run(end, r.conn, "ROLLBACK")
		}
	}()
	if err = r.lock(ctx); err != nil {
		return receipt, err
	}
	writes, err := decide(&r.builder.c)
	if err != nil {
		return receipt, err
	}
	if err = r.write(ctx, writes); err != nil {
		return receipt, err
	}
	if err = run(ctx, r.conn, "COMMIT"); err != nil {
		if sqlState(err) == "" {
			err = fmt.Errorf("commit, outcome unknown, the next audit will show it: %w", err)
		}
		return receipt, readError("commit", err)
	}
	return r.receipt, nil
}

// repair is one try at one quest.
type repair struct {
	store   *Store
	conn    *pgconn.PgConn
	quest   int64
	builder *caseBuilder
	updated string // updated_at before
	receipt remedy.Receipt
}

// lock begins, locks the quest and reads it. READ COMMITTED lets the reads after
// the lock see what its former holder committed.
func (r *repair) lock(ctx context.Context) error {
	s := r.store
	begin := fmt.Sprintf(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = %d;
		SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL row_security = off`, max(s.cfg.LockTimeout.Milliseconds(), 1))
	if err := run(ctx, r.conn, begin); err != nil {
		return readError("begin repair", err)
	}
	r.builder.reset(r.quest)
	id := fmt.Sprint(r.quest)
	q := &s.cfg.Schema.Quest
	sql := s.questColumns("NULL::text", "NULL::bigint") + fmt.Sprintf(", %s FROM %s q WHERE q.%s = $1 FOR UPDATE",
		column("q", q.UpdatedAt, "text"), s.tables.quest, quoteName(q.ID))
	err := each(ctx, r.conn, sql, questFormats, []string{id}, func(v [][]byte) error {
		r.updated = string(v[questUpdated])
		return r.builder.add(change.Quest, v)
	})
	if err != nil {
		return readError("lock quest", err)
	}
	if err := r.readChildren(ctx, id); err != nil {
		return err
	}
	return run(ctx, r.conn, fmt.Sprintf("SET LOCAL lock_timeout = %d", min(writePatience, s.cfg.LockTimeout).Milliseconds()))
}

func (r *repair) readChildren(ctx context.Context, id string) error {
	s := r.store
	for _, e := range []change.Entity{change.Application, change.Participant} {
		c := s.child(e)
		sql := c.columns("NULL::text", "NULL::bigint") + fmt.Sprintf(" FROM %s c WHERE c.%s = $1 ORDER BY 2", c.table, quoteName(c.quest))
		if err := each(ctx, r.conn, sql, childFormats, []string{id}, func(v [][]byte) error { return r.builder.add(e, v) }); err != nil {
			return readError(fmt.Sprintf("read %s rows of the locked quest", e), err)
		}
	}
	a, p, u := &s.cfg.Schema.Application, &s.cfg.Schema.Participant, &s.cfg.Schema.User
	sql := fmt.Sprintf(`SELECT %s::text, %s::text, row_number() OVER (ORDER BY %[2]s, %[1]s) FROM %[3]s
		WHERE %[1]s IN (SELECT %[4]s FROM %[5]s WHERE %[6]s = $1 UNION ALL SELECT %[7]s FROM %[8]s WHERE %[9]s = $1)`,
		quoteName(u.ID), quoteName(u.Username), s.tables.user,
		quoteName(a.User), s.tables.application, quoteName(a.QuestID),
		quoteName(p.User), s.tables.participant, quoteName(p.QuestID))
	err := each(ctx, r.conn, sql, []int16{0, 0, 1}, []string{id}, func(v [][]byte) error {
		r.builder.named(v[0], v[1], v[2])
		return nil
	})
	return readError("read user names", err)
}

// each runs a query with text arguments and calls fn for its rows. A value is
// valid during the call.
func each(ctx context.Context, conn *pgconn.PgConn, sql string, formats []int16, args []string, fn func(values [][]byte) error) error {
	params := make([][]byte, len(args))
	for i, arg := range args {
		params[i] = []byte(arg)
	}
	result := conn.ExecParams(ctx, sql, params, nil, nil, formats)
	var failed error
	for result.NextRow() {
		if failed == nil {
			failed = fn(result.Values())
		}
	}
	_, err := result.Close()
	return errors.Join(failed, err)
}

// user is a person's id as the database writes it.
func (r *repair) user(u quest.User) string { return r.builder.c.People[u].ID }
