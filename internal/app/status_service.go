package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
)

// statusService is the name of the requests for the status.
const statusService = "status"

// answerStatus answers requests for the status, while this instance does not stand by:
// of several instances the one that streams is asked about.
func (a *App) answerStatus(ctx context.Context) error {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		if !a.stream.Status().Standby() {
			a.answerStatusUntilStandby(ctx, ticks.C)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
	}
}

func (a *App) answerStatusUntilStandby(ctx context.Context, ticks <-chan time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = a.serve(ctx, bus.Service{
			Name: statusService, Version: serviceVersion, About: "Say what the instance is doing",
			Handle: func(ctx context.Context, _ *bus.Request) []byte { return encode(a.status(ctx)) },
		})
	}()
	defer func() {
		cancel()
		<-served
	}()
	for !a.stream.Status().Standby() {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
	}
}

// AskStatus asks a running instance what it is doing.
func AskStatus(ctx context.Context, c *config.Config, logger *slog.Logger) (*Status, error) {
	return askOnce[Status](ctx, c, statusService, func([]byte) {}, logger)
}
