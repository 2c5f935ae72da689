package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/sync/errgroup"

	"github.com/peerquest/questwatch/internal/hint"
)

// ErrNoInstance says that nobody answers requests: no instance is running that
// does.
var ErrNoInstance = errors.New("no running instance answers")

// atOnce bounds the requests of a service that are answered at once.
const atOnce = 8

// partHeader marks an answer that more will follow.
const partHeader = "Questwatch-More"

// Request is what somebody asks of this instance.
type Request struct {
	request micro.Request
	mu      sync.Mutex // signs of life are given while parts of the answer are
}

// Data is what is asked.
func (r *Request) Data() []byte { return r.request.Data() }

// Tell sends a part of the answer, or a sign of life.
func (r *Request) Tell(data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.request.Respond(data, micro.WithHeaders(micro.Headers{partHeader: {"true"}}))
}

// Service is a kind of request that this instance answers: those on
// "<namespace>.control.<Name>". Handle returns the last part of the answer. It may be
// called for several at once, and its context ends with that of Serve.
type Service struct {
	Name, Version, About string
	Handle               func(ctx context.Context, r *Request) []byte
}

// Serve answers requests until ctx ends. Of several instances one gets each
// request. The server must allow this user to subscribe to them and to $SRV.>, where
// services are discovered, and to publish to whoever asks.
func (c *Conn) Serve(ctx context.Context, s Service) error {
	requests := make(chan *Request)
	service, err := micro.AddService(c.nc, micro.Config{
		Name: c.cfg.Namespace + "-" + s.Name, Version: s.Version, Description: s.About,
		Endpoint: &micro.EndpointConfig{Subject: c.ControlRequests(s.Name), Handler: micro.HandlerFunc(func(r micro.Request) {
			select {
			case requests <- &Request{request: r}:
			case <-ctx.Done():
			}
		})},
	})
	if err != nil {
		return classify(fmt.Sprintf("answer requests on %q", c.ControlRequests(s.Name)), err)
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for {
		select {
		case <-ctx.Done():
			if err := service.Stop(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
				c.log.Warn("requests could not be ended in good order", "err", err)
			}
			_ = group.Wait()
			return ctx.Err()
		case r := <-requests:
			group.Go(func() error {
				if err := r.request.Respond(s.Handle(ctx, r)); err != nil {
					c.log.Warn("a request could not be answered", "err", err)
				}
				return nil
			})
		}
	}
}

// ControlRequests is the subject of a service's requests.
func (c *Conn) ControlRequests(name string) string { return c.cfg.Namespace + ".control." + name }

// Ask sends a request to a running instance and calls part for each part of the
// answer; it returns the last one. silence is how long nothing may come before the
// instance is taken for gone.
func (c *Conn) Ask(ctx context.Context, name string, data []byte, silence time.Duration, part func([]byte)) ([]byte, error) {
	op := fmt.Sprintf("ask the running instance to %s", name)
	answer, err := c.ask(ctx, c.ControlRequests(name), data, silence, part)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("%s: %w", op, ErrNoInstance)
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, hint.Failed(op, fmt.Errorf("nothing was heard for %s", silence), "see the instance's log")
	}
	return answer, classify(op, err)
}

func (c *Conn) ask(ctx context.Context, subject string, data []byte, silence time.Duration, part func([]byte)) (answer []byte, err error) {
	inbox := c.nc.NewInbox()
	replies, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = replies.Unsubscribe() }()
	err = c.attend(ctx, subject, func(ctx context.Context) error {
		if err := c.nc.PublishRequest(subject, inbox, data); err != nil {
			return err
		}
		for {
			m, err := nextBy(ctx, replies, silence)
			switch {
			case err != nil:
				return err
			case m.Header.Get(partHeader) == "":
				answer = m.Data
				return nil
			}
			part(m.Data)
		}
	})
	return answer, err
}

func nextBy(ctx context.Context, from *nats.Subscription, silence time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	return from.NextMsgWithContext(ctx)
}
