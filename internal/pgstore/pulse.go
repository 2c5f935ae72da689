package pgstore

import (
	"context"
)

// pulsePrefix is of the logical messages that mean nothing but that the stream has
// come so far. Heartbeats are not passed on.
const pulsePrefix = "questwatch.pulse"

// Pulse commits a transaction that the stream passes on at once, though it writes
// nothing but a logical message.
func (s *Store) Pulse(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "SELECT pg_logical_emit_message(true, $1, '')", pulsePrefix)
	return readError("write a pulse", err)
}
