package peerquest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// style is how an operation's statements are grouped into transactions.
type style int

const (
	inOne style = iota
	apart
)

// live is a quest that a worker is at work on. One worker owns it: nobody else writes to its rows, except the two
// sides of a concurrent approval, which the owner starts and waits for, and who repairs it while it is left alone.
type live struct {
	worker   *worker
	rows     *state // as committed
	history  *history
	standing map[Key]*violation

	entry     int64     // of the journal of repairs, the last that was taken in
	wrote     time.Time // when our last commit returned
	repairing *Key      // what is observed is somebody's repair of this
	steps     int
	heal      bool // somebody is going to repair the fault by hand
	retired   bool
	notBefore time.Time
}

// errInterrupted ends an operation whose transaction failed, as a request that ends with an error does.
var errInterrupted = errors.New("operation interrupted")

// run writes a request's statements, as one transaction or one by one.
func (q *live) run(ctx context.Context, st style, r *request) error {
	groups := group(st, r.writes)
	for i, g := range groups {
		if i > 0 {
			if err := q.worker.sim.pause(ctx, q.worker.rng, len(groups)); err != nil {
				return err
			}
		}
		if err := q.commit(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func group(st style, writes []write) [][]write {
	if st == inOne {
		return [][]write{writes}
	}
	groups := make([][]write, len(writes))
	for i := range writes {
		groups[i] = writes[i : i+1]
	}
	return groups
}

// pause waits between two of an operation's pieces.
func (s *Simulator) pause(ctx context.Context, rng *rand.Rand, pieces int) error {
	total := s.cfg.pauses()
	if total <= 0 {
		return ctx.Err()
	}
	return sleep(ctx, time.Duration(rng.Int64N(int64(total)/int64(pieces)+1)))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commit writes one transaction and takes in what it did.
func (q *live) commit(ctx context.Context, writes []write) error {
	after := q.rows.clone()
	for i, w := range writes {
		w.apply(after, int64(-1-i))
	}
	if err := q.notTooLate(ctx, after); err != nil {
		return err
	}
	lo := time.Now()
	done, err := q.worker.sim.exec(ctx, writes)
	if err != nil {
		return q.recover(ctx, lo, err)
	}
	q.worker.spent++
	after = q.rows.clone()
	done.applyTo(after)
	q.wrote = time.Now()
	q.observe(after, span{lo, q.wrote}, done.xid)
	return nil
}

// notTooLate holds back a transaction that would end a violation when it is no longer clearly transient: a slow
// machine has made a finding of it, which then has to stand long enough to be one.
func (q *live) notTooLate(ctx context.Context, after *state) error {
	next := q.history.clone()
	next.observe(q.rows, after)
	still := judge(after, next)
	for {
		var wait time.Duration
		for key, v := range q.standing {
			if _, ok := still[key]; ok || time.Since(v.start.lo) <= q.worker.sim.cfg.Grace*6/10 {
				continue
			}
			wait = max(wait, time.Until(v.start.hi.Add(q.worker.sim.cfg.Grace+settle)))
		}
		if wait <= 0 {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// observe makes rows the committed state and keeps the ledger.
func (q *live) observe(after *state, when span, xid int64) {
	q.turn(after, xid)
	q.history.observe(q.rows, after)
	q.rows = after
	found := judge(after, q.history)
	for key, v := range q.standing {
		// A graver cause is another violation; a milder one changes nothing.
		if cause, ok := found[key]; !ok || gravity(cause) > gravity(v.cause) {
			q.worker.sim.ledger.finish(v, when, q.repairing != nil && *q.repairing == key)
			delete(q.standing, key)
		}
	}
	for key, cause := range found {
		if q.standing[key] == nil {
			v := &violation{key: key, cause: cause, xid: uint64(xid), start: when}
			q.standing[key] = v
			q.worker.sim.ledger.begin(v)
		}
	}
}

// recover finds out what a failed transaction did, by reading the quest back as soon as the server answers. An
// error of ours in the SQL is returned as it is: trying again would hide it.
func (q *live) recover(ctx context.Context, lo time.Time, cause error) error {
	if !transient(cause) {
		return cause
	}
	if err := q.readBack(ctx, lo); err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("%w: %w", errInterrupted, cause)
}

// readBack takes over the tables' content, which came about at some time since lo.
func (q *live) readBack(ctx context.Context, lo time.Time) error {
	read := func() (*state, error) {
		conn, err := q.worker.sim.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.Release()
		after, err := readState(ctx, conn.Conn(), q.rows.quest.id)
		if err != nil && !transient(err) {
			return nil, backoff.Permanent(err)
		}
		return after, err
	}
	after, err := backoff.Retry(ctx, read, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)),
		backoff.WithMaxElapsedTime(0))
	if err != nil {
		return fmt.Errorf("read quest %d back: %w", q.rows.quest.id, err)
	}
	q.wrote = time.Now()
	q.observe(after, span{lo, q.wrote}, 0)
	return nil
}

// transient says whether an error comes from the world and not from our statements.
func transient(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return true // the connection failed
	}
	switch pg.Code[:2] {
	case "08", "40", "53", "55", "57", "58":
		return true
	}
	return false
}

// concurrently runs two requests that began from the same rows at the same time. Their statements
// interleave as the server lets them; in one transaction each they often deadlock, and one of them is rolled back.
// What came of it is read back.
func (q *live) concurrently(ctx context.Context, st style, a, b *request) error {
	lo := time.Now()
	// The generator belongs to this goroutine: both sides get one of their own.
	rngs := [2]*rand.Rand{split(q.worker.rng), split(q.worker.rng)}
	var errs [2]error
	var both sync.WaitGroup
	for i, r := range []*request{a, b} {
		both.Go(func() { errs[i] = q.worker.sim.side(ctx, group(st, r.writes), rngs[i]) })
	}
	both.Wait()
	q.worker.spent += len(group(st, a.writes)) + len(group(st, b.writes))
	for _, err := range errs {
		if err != nil && !transient(err) {
			return err
		}
	}
	if err := q.readBack(ctx, lo); err != nil {
		return err
	}
	if time.Since(lo) > q.worker.sim.cfg.Grace*9/10 {
		q.blur(span{lo, time.Now()})
	}
	return ctx.Err()
}

func split(rng *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())) }

// side is one of two concurrent requests. It knows nothing of the quest's state, which belongs to the owner.
func (s *Simulator) side(ctx context.Context, groups [][]write, rng *rand.Rand) error {
	for i, g := range groups {
		if i > 0 {
			if err := s.pause(ctx, rng, len(groups)); err != nil {
				return err
			}
		}
		if _, err := s.exec(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// blur says that anything may have been wrong with the quest for a while.
func (q *live) blur(when span) {
	for _, key := range possible(q.rows) {
		if q.standing[key] != nil {
			continue
		}
		v := &violation{key: key, start: when, blurred: true}
		q.worker.sim.ledger.begin(v)
		q.worker.sim.ledger.finish(v, when, false)
	}
}
