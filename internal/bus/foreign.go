package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// isForeign looks for the marks that only our messages have. See the package
// documentation.
func (c *Conn) isForeign(stream string, h nats.Header) bool {
	if stream == c.names.cdcStream {
		return len(h[jetstream.ExpectedLastSeqHeader]) == 0 && len(h[batchIDHeader]) == 0
	}
	return h.Get(contentTypeHeader) != eventContentType
}

// skipForeign counts, and reports the first of several in a row.
func (c *Conn) skipForeign(stream string, m Message, first bool) {
	c.foreign.Add(1)
	if first {
		c.log.Warn("skipping messages that questwatch did not publish", "stream", stream, "seq", m.Seq, "subject", m.Subject)
	}
}

// LastEvent returns the newest event whose subject matches the filter, which
// may have wildcards, or ErrNoMessage.
func (c *Conn) LastEvent(ctx context.Context, filterSubject string) (Message, error) {
	stream := c.names.eventsStream
	stored, err := c.getMessage(ctx, stream, getRequest{LastFor: filterSubject})
	if err != nil {
		return Message{}, err
	}
	if !c.isForeign(stream, stored.header) {
		return stored.Message, nil
	}
	c.skipForeign(stream, stored.Message, true)
	state, err := c.EventsState(ctx)
	if err != nil {
		return Message{}, err
	}
	for seq := stored.Seq - 1; seq >= max(state.First, 1); seq-- { // the server searches forward only
		stored, err := c.getMessage(ctx, stream, getRequest{Seq: uint64(seq)})
		if errors.Is(err, ErrNoMessage) {
			continue
		}
		if err != nil {
			return Message{}, err
		}
		if subjectMatches(filterSubject, stored.Subject) && !c.isForeign(stream, stored.header) {
			return stored.Message, nil
		}
	}
	return Message{}, fmt.Errorf("read last event of %q: %w", filterSubject, ErrNoMessage)
}

func subjectMatches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">":
			return len(have) > i
		case i >= len(have) || token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
