package pgstore

import (
	"context"
	"errors"

	"github.com/peerquest/questwatch/internal/change"
)

// SetupSQL is the script that makes schema questwatch: the journal of repairs, the
// brakes, and the function that locks a quest of these tables. It may be run again at any
// time, refuses a schema of a later version, and touches no table of the application.
func SetupSQL(schema *change.Schema) string { return "" }

// Setup runs SetupSQL unless there is nothing to do, and says whether it did.
func (s *Store) Setup(ctx context.Context) (changed bool, err error) {
	return false, errors.ErrUnsupported
}

// HasJournal reports whether the database has a journal that this program can write.
func (s *Store) HasJournal(ctx context.Context) (bool, error) {
	return false, errors.ErrUnsupported
}
