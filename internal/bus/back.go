package bus

import "context"

// EventMessage reads one message of the events stream, ErrNoMessage when it is
// gone, was never there, or is foreign.
func (c *Conn) EventMessage(ctx context.Context, seq Seq) (Message, error) {
	stored, err := c.getMessage(ctx, c.names.eventsStream, getRequest{Seq: uint64(seq)})
	if err == nil && c.isForeign(c.names.eventsStream, stored.header) {
		err = ErrNoMessage
	}
	return stored.Message, err
}
