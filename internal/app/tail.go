package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/tail"
)

// Tail shows the events of a running instance. Names looks people's names up in the
// database, where that can be done.
func Tail(ctx context.Context, c *config.Config, w io.Writer, o *tail.Options, names bool, logger *slog.Logger) error {
	conn, err := ConnectBus(ctx, c, logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	lookUp, done := openNames(ctx, c, names, logger)
	defer done()
	return tail.New(followed{conn}, people.NewBook(lookUp), logger).Run(ctx, w, o)
}

// TailedUser is the id of somebody who is given by it, though nobody has it any more, or by
// name, as Person looks it up.
func TailedUser(ctx context.Context, c *config.Config, not error, who string) (string, error) {
	if formOfID.MatchString(who) {
		return strings.ToLower(who), nil
	}
	return Person(ctx, c, not, who, nil)
}

// followed is the events stream.
type followed struct{ bus *bus.Conn }

var errShown = errors.New("all has been shown")

func (p followed) Follow(ctx context.Context, filters []string, begin time.Time, end bool, fn func(tail.Stored) error) error {
	subjects := make([]string, len(filters))
	for i, f := range filters {
		subjects[i] = p.bus.EventSubject(f)
	}
	from, options := bus.New, []bus.ConsumeOption(nil)
	if !begin.IsZero() {
		from, options = 0, append(options, bus.Since(begin))
	}
	if end {
		options = append(options, bus.OnCaughtUp(func(bus.Seq) error { return errShown }))
	}
	err := p.bus.ConsumeEvents(ctx, subjects, from, func(m bus.Message) error {
		return fn(tail.Stored{Subject: m.Subject, Data: m.Data})
	}, options...)
	if errors.Is(err, errShown) {
		return nil
	}
	return err
}
