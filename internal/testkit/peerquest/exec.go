package peerquest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// outcome is what a committed transaction did.
type outcome struct {
	applies []func(s *state)
	xid     int64
}

func (o outcome) applyTo(s *state) {
	for _, apply := range o.applies {
		apply(s)
	}
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// do runs one statement. One that met no row, because a request that ran at the same time changed it, did nothing.
func (o *outcome) do(ctx context.Context, db querier, w write) error {
	var id, xid int64
	err := db.QueryRow(ctx, w.sql, w.args...).Scan(&id, &xid)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	o.xid = xid
	o.applies = append(o.applies, func(s *state) { w.apply(s, id) })
	return nil
}

// exec commits the statements together, and counts them.
func (s *Simulator) exec(ctx context.Context, writes []write) (outcome, error) {
	var o outcome
	var err error
	if len(writes) == 1 && !writes[0].unchecked {
		err = o.do(ctx, s.pool, writes[0])
	} else {
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return o.all(ctx, tx, writes) })
	}
	if err != nil {
		return outcome{}, err
	}
	if len(o.applies) > 0 {
		s.transactions.Add(1)
		s.changes.Add(int64(len(o.applies)))
	}
	return o, nil
}

func (o *outcome) all(ctx context.Context, tx pgx.Tx, writes []write) error {
	for _, w := range writes {
		if w.unchecked {
			if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
				return fmt.Errorf("turn off foreign keys: %w", err)
			}
		}
		if err := o.do(ctx, tx, w); err != nil {
			return err
		}
	}
	return nil
}

var errRollBack = errors.New("roll back")

// rollBack runs the statements and commits nothing, as an approval that raises does today.
func (s *Simulator) rollBack(ctx context.Context, writes []write) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var o outcome
		if err := o.all(ctx, tx, writes); err != nil {
			return err
		}
		return errRollBack
	})
	if errors.Is(err, errRollBack) {
		return nil
	}
	return err
}
