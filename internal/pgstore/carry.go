package pgstore

import (
	"context"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
)

// Carry carries an order out, in one transaction: brakes and journal are looked at
// (remedy.ErrBraked, ErrRepeated and ErrRepaired), the quest's row and those of its
// applications and participants are locked and read, confirm is called with a position
// above all that had committed before the lock, decide is called with what was read, and
// its writes are made, looked at once more (ErrIneffective), and written down in the
// journal and in a message of the stream (change.Repaired).
//
// Without an error, what is returned has been committed. An error of confirm or decide is
// returned as it is (errors.Is); no writes without one are remedy.ErrHealed. Conflicts with
// somebody else are tried again a few times from the start, with new calls of both. A
// connection lost at COMMIT leaves the outcome unknown: carry the order again, and it
// is ErrRepaired if it had been.
//
// The locks are held while confirm waits: it must be bounded, and by less than ten
// seconds, after which the database ends an idle session. A nil confirm is for a
// database that nobody streams from.
func (s *Store) Carry(
	ctx context.Context, order *remedy.Order, confirm func(context.Context, change.LSN) error,
	decide func(*remedy.Case) (remedy.Action, []remedy.Write, error),
) (entry *remedy.Entry, err error) {
	err = s.inRepair(ctx, order.Quest, func(r *repair) error {
		entry = nil
		if err := r.begin(ctx, order); err != nil {
			return err
		}
		if confirm != nil {
			if err := r.confirm(ctx, confirm); err != nil {
				return err
			}
		}
		o := *order
		action, writes, err := decide(&r.builder.c)
		if err == nil && len(writes) == 0 {
			err = remedy.ErrHealed
		}
		if err != nil {
			return err
		}
		o.Action = action
		rows, err := r.write(ctx, writes)
		if err != nil {
			return err
		}
		entry, err = r.record(ctx, &o, 0, rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("repair quest %d: %w", order.Quest, err)
	}
	return entry, nil
}

// begin looks at the brake, locks the quest, and looks at the journal under the lock,
// where nobody else can be repairing the same.
func (r *repair) begin(ctx context.Context, o *remedy.Order) error {
	if err := r.store.wantsJournal(ctx, r.pgx); err != nil {
		return err
	}
	r.journal = true
	if o.Automatic {
		if err := r.braked(ctx, o.Namespace); err != nil {
			return err
		}
	}
	if err := r.lock(ctx); err != nil {
		return err
	}
	return r.repeated(ctx, o)
}

// confirm asks whether all that committed before the lock is known. Its commit record
// was written by then, below the position.
func (r *repair) confirm(ctx context.Context, confirm func(context.Context, change.LSN) error) error {
	var text string
	if err := r.pgx.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
		return readError("read the log's position", err)
	}
	lsn, err := change.ParseLSN(text)
	if err != nil {
		return err
	}
	return confirm(ctx, lsn)
}

// repeated looks for an earlier repair of the same finding, or, of an automatic one, of
// the same thing.
func (r *repair) repeated(ctx context.Context, o *remedy.Order) error {
	var repaired, repeated bool
	err := r.pgx.QueryRow(ctx, `SELECT
		EXISTS (SELECT FROM questwatch.repair WHERE namespace = $1 AND finding = $2 AND undoes IS NULL),
		EXISTS (SELECT FROM questwatch.repair r WHERE r.namespace = $1 AND r.quest = $3 AND r.rule = $4 AND r.person = $5 AND r.undoes IS NULL
			AND (r.at > clock_timestamp() - interval '24 hours' OR EXISTS (SELECT FROM questwatch.repair u WHERE u.undoes = r.id)))`,
		o.Namespace, o.Finding, o.Quest, o.Rule.String(), o.User).Scan(&repaired, &repeated)
	switch {
	case err != nil:
		return journalError("read the journal", err)
	case repaired:
		return remedy.ErrRepaired
	case repeated && o.Automatic:
		return remedy.ErrRepeated
	}
	return nil
}
