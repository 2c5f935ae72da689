package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
)

// serviceVersion is that of the form of requests and answers.
const serviceVersion = "1.0.0"

const (
	// lifeSign is how often something is heard of a request that takes long.
	lifeSign = time.Second
	// silence is how long nothing may be heard.
	silence = 15 * time.Second
)

// serve answers requests of other processes. A server that does not let us do so is no
// reason to stop watching.
func (a *App) serve(ctx context.Context, s bus.Service) error {
	err := a.bus.Serve(ctx, s)
	if ctx.Err() == nil && err != nil {
		a.logger.Warn("requests are not answered; questwatch "+s.Name+" will find nobody", "err", err, "advice", hint.Of(err))
		<-ctx.Done()
	}
	return ctx.Err()
}

// alive gives signs of life to whoever made a request, at once and every second, until
// quiet is called.
func alive(r *bus.Request, sign func() any) (quiet func()) {
	stop := make(chan struct{})
	var signs sync.WaitGroup
	signs.Go(func() {
		ticks := time.NewTicker(lifeSign)
		defer ticks.Stop()
		for {
			_ = r.Tell(encode(sign())) // who does not hear it will say so
			select {
			case <-stop:
				return
			case <-ticks.C:
			}
		}
	})
	return func() {
		close(stop)
		signs.Wait()
	}
}

// ask sends a request to a running instance, as bus.Conn.Ask does.
func ask(ctx context.Context, conn *bus.Conn, service string, question []byte, part func([]byte)) ([]byte, error) {
	answer, err := conn.Ask(ctx, service, question, silence, part)
	if errors.As(err, new(*bus.PermissionError)) {
		err = hint.Wrap(err, "only who owns the instance may ask it: run this as the user who runs questwatch, with --data DIR; or %s", hint.Of(err))
	}
	if errors.Is(err, bus.ErrNoInstance) {
		err = hint.Wrap(err, "start questwatch run, or name the one that is running with --data, --nats or --namespace; one that stands by or has watch.enabled: false does not answer")
	}
	return answer, err
}

// askOnce asks the running instance that a configuration means one thing, and reads the
// last part of the answer; part hears of those before it.
func askOnce[Answer any](ctx context.Context, c *config.Config, service string, part func([]byte), logger *slog.Logger) (*Answer, error) {
	conn, err := ConnectBus(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	data, err := ask(ctx, conn, service, nil, part)
	if err != nil {
		return nil, err
	}
	answer := new(Answer)
	if err := json.Unmarshal(data, answer); err != nil {
		return nil, fmt.Errorf("decode the instance's answer: %w", err)
	}
	return answer, nil
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil { // there is nothing in it that cannot be encoded
		panic(err)
	}
	return data
}
