package pgstore

import (
	"context"
	"errors"

	"github.com/peerquest/questwatch/internal/remedy"
)

// Brake is why a namespace's automatic repairs are stopped, nil when they are not.
func (s *Store) Brake(ctx context.Context, namespace string) (*remedy.Brake, error) {
	return nil, errors.ErrUnsupported
}

// Stop stops a namespace's automatic repairs: none commits any more when it has
// returned. Where they are stopped already it changes nothing. b's Since is the
// database's to say.
func (s *Store) Stop(ctx context.Context, namespace string, b remedy.Brake) error {
	return errors.ErrUnsupported
}

// Resume ends what stops a namespace's automatic repairs, if anything does.
func (s *Store) Resume(ctx context.Context, namespace, actor string) error {
	return errors.ErrUnsupported
}
