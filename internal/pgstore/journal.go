package pgstore

import (
	"context"
	"errors"

	"github.com/peerquest/questwatch/internal/remedy"
)

// Journal lists the entries that a filter wants, the newest first.
func (s *Store) Journal(ctx context.Context, f remedy.Filter) ([]remedy.Entry, error) {
	return nil, errors.ErrUnsupported
}
