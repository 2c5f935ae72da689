package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/tail"
)

// Tail shows the events of a running instance. Names looks people's names up in the
// database, where that can be done; the user of the options may be one.
func Tail(ctx context.Context, c *config.Config, w io.Writer, o *tail.Options, names bool, logger *slog.Logger) error {
	if o.User != "" {
		id, err := personID(ctx, c, o.User, names)
		if err != nil {
			return err
		}
		o.User = id
	}
	conn, err := ConnectBus(ctx, c, logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	lookUp, done := openNames(ctx, c, names, logger)
	defer done()
	return tail.New(followed{conn}, people.NewBook(lookUp), logger).Run(ctx, w, o)
}

// ids are what people's ids look like; anything else is a name.
var ids = regexp.MustCompile(`(?i)^(\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

// personID is the id of somebody who is named by it, or by the name that the database has.
func personID(ctx context.Context, c *config.Config, who string, named bool) (string, error) {
	switch {
	case ids.MatchString(who):
		return strings.ToLower(who), nil
	case !named:
		return "", hint.Wrap(&AskedError{fmt.Sprintf("--user is %q, which is no id", who)},
			"give the person's id, or the database that knows the name: --dsn URL, or libpq's variables")
	}
	store, err := OpenStore(ctx, c)
	if err != nil {
		return "", err
	}
	defer store.Close()
	return store.UserID(ctx, who)
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
