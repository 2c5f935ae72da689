package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/remedy"
)

// standing is a namespace's brake that nothing has ended.
const standing = ` FROM questwatch.brake b WHERE b.namespace = $1 AND b.ends IS NULL
	AND NOT EXISTS (SELECT FROM questwatch.brake e WHERE e.ends = b.id)`

// Brake is why a namespace's automatic repairs are stopped, nil when they are not.
func (s *Store) Brake(ctx context.Context, namespace string) (b *remedy.Brake, err error) {
	err = s.onJournal(ctx, func(conn *pgx.Conn) error {
		b, err = brake(ctx, conn, namespace)
		return err
	})
	return b, err
}

// Resumed is who let a namespace's automatic repairs go on last, "" where nobody ever did.
func (s *Store) Resumed(ctx context.Context, namespace string) (actor string, err error) {
	err = s.onJournal(ctx, func(conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, `SELECT actor FROM questwatch.brake WHERE namespace = $1 AND ends IS NOT NULL
			ORDER BY id DESC LIMIT 1`, namespace).Scan(&actor)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return journalError("read who resumed", err)
	})
	return actor, err
}

// Stop stops a namespace's automatic repairs: none commits any more when it has
// returned. Where they are stopped already it changes nothing. b's Since is the
// database's to say.
func (s *Store) Stop(ctx context.Context, namespace string, b remedy.Brake) error {
	const op = "stop automatic repairs"
	return s.onJournal(ctx, func(conn *pgx.Conn) error {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			// Repairs hold it in shared mode: those under way are waited for.
			if _, err := tx.Exec(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock(%d, hashtext($1::text))", advisoryLock), namespace); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO questwatch.brake (namespace, halted, actor, reason)
				SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT`+standing+`)`, namespace, b.Halted, b.Actor, b.Reason)
			return err
		})
		return journalError(op, err)
	})
}

// Resume ends what stops a namespace's automatic repairs, if anything does.
func (s *Store) Resume(ctx context.Context, namespace, actor string) error {
	return s.onJournal(ctx, func(conn *pgx.Conn) error {
		// Of two who resume at once, one does.
		_, err := conn.Exec(ctx, `INSERT INTO questwatch.brake (namespace, halted, actor, reason, ends)
			SELECT b.namespace, b.halted, $2, '', b.id`+standing+` ON CONFLICT (ends) DO NOTHING`, namespace, actor)
		return journalError("resume automatic repairs", err)
	})
}

// onJournal calls fn with a connection to a database that has a journal.
func (s *Store) onJournal(ctx context.Context, fn func(*pgx.Conn) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return connectError(&s.pool.Config().ConnConfig.Config, err)
	}
	defer conn.Release()
	if err := s.wantsJournal(ctx, conn.Conn()); err != nil {
		return err
	}
	return fn(conn.Conn())
}

func brake(ctx context.Context, conn *pgx.Conn, namespace string) (*remedy.Brake, error) {
	var b remedy.Brake
	var since time.Time
	err := conn.QueryRow(ctx, "SELECT b.halted, b.actor, b.reason, b.at"+standing+" ORDER BY b.id LIMIT 1", namespace).
		Scan(&b.Halted, &b.Actor, &b.Reason, &since)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, journalError("read the brake", err)
	}
	b.Since = remedy.Micros(since.UnixMicro())
	return &b, nil
}

// braked refuses an automatic repair that is stopped, and makes a stop from now on wait
// for this transaction.
func (r *repair) braked(ctx context.Context, namespace string) error {
	if _, err := r.pgx.Exec(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock_shared(%d, hashtext($1::text))", advisoryLock), namespace); err != nil {
		return readError("lock the brake", err)
	}
	switch b, err := brake(ctx, r.pgx, namespace); {
	case err != nil:
		return err
	case b == nil:
		return nil
	default:
		return fmt.Errorf("%w: %s", remedy.ErrBraked, b)
	}
}
