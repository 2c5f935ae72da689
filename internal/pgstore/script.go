package pgstore

import (
	"context"
	"errors"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
)

// Script is the SQL of a plan's writes as one transaction that a person may run by
// hand: each statement is guarded by what the plan expects to find. person is somebody's id as
// the database writes it.
func (s *Store) Script(
	ctx context.Context, questID int64, writes []remedy.Write, person func(quest.User) string,
) (string, error) {
	return "", errors.ErrUnsupported
}
