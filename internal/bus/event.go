package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

const (
	contentTypeHeader = "Content-Type"
	eventContentType  = "application/cloudevents+json"
	eventPipeline     = 256 // events in flight at once
)

// EventMsg is an event to publish. ID makes publishing it again harmless.
type EventMsg struct {
	Subject, ID string
	Data        []byte
}

// PublishEvent stores an event and returns its sequence, also if it had been
// stored before. It tries until ctx ends, except after errors that waiting
// does not cure: ErrTooLarge, ErrFull, a missing permission or stream.
func (c *Conn) PublishEvent(ctx context.Context, subject, id string, data []byte) (Seq, error) {
	op := fmt.Sprintf("publish event to %q", subject)
	if err := c.checkEvent(op, EventMsg{subject, id, data}); err != nil {
		return 0, err
	}
	seq, err := retryEvent(ctx, c, func() (seq Seq, err error) {
		err = c.admin(ctx, subject, func(ctx context.Context) error {
			ack, err := c.js.PublishMsg(ctx, eventMessage(EventMsg{subject, id, data}), jetstream.WithRetryAttempts(0))
			if err == nil {
				seq = Seq(ack.Sequence)
			}
			return err
		})
		return seq, err
	})
	return seq, classify(op, err)
}

// PublishEvents stores events in their order, waiting for many acks at a time,
// and returns when all are stored. It tries as PublishEvent does. After an
// error the first few events may be stored, none without those before it.
func (c *Conn) PublishEvents(ctx context.Context, events []EventMsg) error {
	for _, e := range events {
		if err := c.checkEvent(fmt.Sprintf("publish event to %q", e.Subject), e); err != nil {
			return err
		}
	}
	_, err := c.publishInOrder(ctx, c.names.eventsPrefix, len(events), func(i int) *nats.Msg { return eventMessage(events[i]) })
	return classify(fmt.Sprintf("publish events to stream %q", c.names.eventsStream), err)
}

// publishInOrder publishes n messages, which all have ids, on subjects below a prefix, and
// returns how many of the first ones are stored for certain.
func (c *Conn) publishInOrder(ctx context.Context, prefix string, n int, message func(i int) *nats.Msg) (stored int, err error) {
	for stored < n {
		first := stored
		count, err := retryEvent(ctx, c, func() (int, error) {
			count, err := c.pipeline(ctx, prefix, min(n-first, eventPipeline), func(i int) *nats.Msg { return message(first + i) })
			if count > 0 {
				err = nil // some progress: the rest is another round
			}
			return count, err
		})
		if err != nil {
			return stored, err
		}
		stored += count
	}
	return stored, nil
}

// pipeline publishes a round and returns how many of its first messages are
// stored. Every one but the first names the one it has to follow, so that
// none is stored after one that failed. When another publisher's message comes
// in between, which the server cannot tell from a failure, the round ends
// there and the next one begins with a message that names none.
func (c *Conn) pipeline(ctx context.Context, prefix string, n int, message func(i int) *nats.Msg) (stored int, err error) {
	err = c.admin(ctx, prefix, func(ctx context.Context) error {
		futures := make([]jetstream.PubAckFuture, 0, n)
		var sendErr error
		before := ""
		for i := range n {
			opts := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
			if i > 0 {
				opts = append(opts, jetstream.WithExpectLastMsgID(before))
			}
			m := message(i)
			before = m.Header.Get(jetstream.MsgIDHeader)
			future, err := c.js.PublishMsgAsync(m, opts...)
			if err != nil {
				sendErr = err
				break
			}
			futures = append(futures, future)
		}
		for _, future := range futures {
			select {
			case <-future.Ok():
				stored++
			case err := <-future.Err():
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return sendErr
	})
	return stored, err
}

func eventMessage(e EventMsg) *nats.Msg {
	m := nats.NewMsg(e.Subject)
	m.Data = e.Data
	m.Header.Set(contentTypeHeader, eventContentType)
	m.Header.Set(jetstream.MsgIDHeader, e.ID)
	return m
}

func (c *Conn) checkEvent(op string, e EventMsg) error {
	if e.ID == "" {
		return fmt.Errorf("%s: id is empty", op)
	}
	return c.checkSize(op, e.Data)
}

func (c *Conn) checkSize(op string, data []byte) error {
	if limit := c.MaxPayload(); len(data) > limit {
		return hint.Failed(op, fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, len(data), limit), "raise max_payload of the nats server")
	}
	return nil
}

// retryEvent tries until ctx ends or trying again is futile.
func retryEvent[T any](ctx context.Context, c *Conn, try func() (T, error)) (T, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.MaxInterval = retryMin, retryMax
	return backoff.Retry(ctx, func() (T, error) {
		v, err := try()
		if errors.Is(err, jetstream.ErrNoStreamResponse) { // is there no stream, or no leader yet?
			if _, missing := c.EventsState(ctx); errors.Is(missing, jetstream.ErrStreamNotFound) {
				err = missing
			}
		}
		if err != nil && !errors.Is(err, context.Canceled) && !isTransient(err) {
			err = backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(0))
}
