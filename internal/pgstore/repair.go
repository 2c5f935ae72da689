package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/pgjson"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
)

// writePatience is how long a repair that holds the quest's lock waits for
// another one. It is less than deadlock_timeout's default of one second: in a
// deadlock with the application we give way before Postgres picks a victim.
const writePatience = 400 * time.Millisecond

// idlePatience is after how long the database ends a repair that says nothing more: a
// process that hangs, or a network that is cut, must not keep a quest locked.
const idlePatience = 10 * time.Second

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
//
// Where the database has a journal each part is an entry of it, by the words of the
// order, whose finding is made up here: a snapshot knows of none.
func (s *Store) Repair(
	ctx context.Context, order *remedy.Order, decide func(*remedy.Case) ([]remedy.Part, error),
) (receipt remedy.Receipt, err error) {
	err = s.inRepair(ctx, order.Quest, func(r *repair) error {
		var err error
		if r.journal, err = s.hasJournal(ctx, r.pgx); err != nil {
			return err
		}
		if err := r.lock(ctx); err != nil {
			return err
		}
		parts, err := decide(&r.builder.c)
		if err != nil {
			return err
		}
		if err := r.mend(ctx, order, parts); err != nil {
			return err
		}
		receipt = r.receipt
		return nil
	})
	if err != nil {
		return remedy.Receipt{}, fmt.Errorf("repair quest %d: %w", order.Quest, err)
	}
	return receipt, nil
}

// mend makes the parts' writes: one after the other where each is written down, else
// all at once, so that the quest's row is written once.
func (r *repair) mend(ctx context.Context, order *remedy.Order, parts []remedy.Part) error {
	if !r.journal {
		var all []remedy.Write
		for i := range parts {
			all = append(all, parts[i].Writes...)
		}
		_, err := r.write(ctx, all)
		return err
	}
	for i := range parts {
		p := &parts[i]
		rows, err := r.write(ctx, p.Writes)
		if err != nil {
			return err
		}
		o := *order
		o.Finding = "audit-" + strings.ToLower(rand.Text())
		o.Rule, o.Cause, o.Action, o.User = p.Rule, p.Cause, p.Action, r.user(p.User)
		if _, err := r.record(ctx, &o, 0, rows); err != nil {
			return err
		}
	}
	return nil
}

// inRepair calls fn in a transaction about a quest and commits it. Conflicts with
// somebody else are tried again a few times.
func (s *Store) inRepair(ctx context.Context, questID int64, fn func(*repair) error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := s.repairOnce(ctx, questID, fn)
		if err != nil && !passing(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(max(s.cfg.Attempts, 1)))
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	if sqlState(err) == lockTimeout {
		err = problem{op: "lock quest", err: errors.Join(errBusy, err), hint: "run it again when that transaction has ended"}.wrap()
	}
	return err
}

// passing reports whether the same may well work a moment later.
func passing(err error) bool {
	switch sqlState(err) {
	case lockTimeout, serialization, deadlock, duplicateKey:
		return true
	}
	return errors.Is(err, errChanged)
}

func (s *Store) repairOnce(ctx context.Context, questID int64, fn func(*repair) error) (err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return connectError(&s.pool.Config().ConnConfig.Config, err)
	}
	defer conn.Release()
	r := &repair{store: s, pgx: conn.Conn(), conn: conn.Conn().PgConn(), quest: questID, builder: newCaseBuilder(s.cfg.Statuses)}
	defer func() {
		if err != nil {
			end, cancel := detached(ctx)
			defer cancel()
			// The error at hand says more than that of a rollback on a broken connection.
			_ = run(end, r.conn, "ROLLBACK")
		}
	}()
	begin := fmt.Sprintf(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL row_security = off;
		SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d;`+pgjson.SetLocal(),
		max(s.cfg.LockTimeout.Milliseconds(), 1), s.idle.Milliseconds())
	if err = run(ctx, r.conn, begin); err != nil {
		return readError("begin repair", err)
	}
	if err = fn(r); err != nil {
		return err
	}
	if err = run(ctx, r.conn, "COMMIT"); err != nil {
		if sqlState(err) == "" {
			err = fmt.Errorf("commit, outcome unknown, the journal or the next audit will show it: %w", err)
		}
		return readError("commit", err)
	}
	return nil
}

// repair is one try at one quest, on one connection.
type repair struct {
	store   *Store
	pgx     *pgx.Conn
	conn    *pgconn.PgConn
	quest   int64
	builder *caseBuilder
	// journal says that there is one.
	journal bool
	// row is the quest's row as it is now.
	row     questRow
	receipt remedy.Receipt
}

// questRow is what repairs write of a quest's row; status and updated in the
// database's words, "" for null.
type questRow struct {
	assigned        quest.User
	role            quest.Status
	status, updated string
}

// lock locks the quest and reads it. READ COMMITTED lets the reads after the lock see
// what its former holder committed.
func (r *repair) lock(ctx context.Context) error {
	s := r.store
	r.builder.reset(r.quest)
	id := fmt.Sprint(r.quest)
	q := &s.cfg.Schema.Quest
	sql := s.questColumns("NULL::text", "NULL::bigint") + fmt.Sprintf(", %s FROM %s q WHERE q.%s = $1 FOR UPDATE",
		column("q", q.UpdatedAt, "text"), s.tables.quest, quoteName(q.ID))
	err := each(ctx, r.conn, sql, questFormats, []string{id}, func(v [][]byte) error {
		r.row.updated = string(v[questUpdated])
		return r.builder.add(change.Quest, v)
	})
	if err != nil {
		return readError("lock quest", err)
	}
	r.row.assigned, r.row.role, r.row.status = r.builder.c.Quest.Assigned, r.builder.c.Quest.Status, r.builder.status
	if err := r.hold(ctx); err != nil {
		return err
	}
	return r.readChildren(ctx, id)
}

// hold locks the applications and participants too, where there is the function for
// it. From here on we wait for a short while only: the application, which locks in
// another order, may be waiting for the quest.
func (r *repair) hold(ctx context.Context) error {
	patience := fmt.Sprintf("SET LOCAL lock_timeout = %d", max(min(writePatience, r.store.cfg.LockTimeout).Milliseconds(), 1))
	if err := run(ctx, r.conn, patience); err != nil || !r.journal {
		return err
	}
	return readError("lock the quest's rows", run(ctx, r.conn, fmt.Sprintf("SELECT questwatch.hold(%d)", r.quest)))
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
	if s.userIDType == "" { // the user table could not be read at the start, and need not
		return nil
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

// user is a person's id as the database writes it, "" for nobody.
func (r *repair) user(u quest.User) string { return r.builder.c.People[u].ID }
