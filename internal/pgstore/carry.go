package pgstore

import (
	"context"
	"errors"

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
) (*remedy.Entry, error) {
	return nil, errors.ErrUnsupported
}
