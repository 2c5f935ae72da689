package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/replay"
)

// ConnectBus connects to the NATS server of an instance that runs, for commands
// beside it: the external one, or the one whose data directory it is. It starts
// none and sets nothing up.
func ConnectBus(ctx context.Context, c *config.Config, logger *slog.Logger) (conn *bus.Conn, err error) {
	bc := bus.Config{Namespace: c.Namespace, Logger: logger}
	if external(&c.NATS) {
		if bc.URL, bc.Options, err = credentials(&c.NATS); err != nil {
			return nil, err
		}
		return bus.Connect(ctx, bc)
	}
	if bc.URL, bc.Options, err = embedded.OwnerOptions(c.Data); err == nil && bc.URL != "" {
		conn, err = bus.Connect(ctx, bc)
	}
	if err == nil && conn != nil {
		return conn, nil
	}
	return nil, absent(c, bc.URL, err)
}

// absent says why no instance was found by its data directory; err may be nil where its
// server has no address yet.
func absent(c *config.Config, url string, err error) error {
	why := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		return hint.Wrap(fmt.Errorf("the data directory %q is another user's", c.Data),
			"run this as the user who runs questwatch; or read what anybody on this machine may, with --nats and where its server listens, such as nats://%s", c.NATS.Listen)
	case errors.Is(err, syscall.ENOTDIR):
		why = "it is a file"
	case errors.Is(err, fs.ErrNotExist):
		why = "none has ever run there"
		if _, err := os.Stat(c.Data); err != nil {
			why = "there is no such directory"
		}
	case errors.Is(err, bus.ErrUnreachable):
		why = "nobody answers at " + url
	case err == nil:
		why = "one is just starting"
	default:
		why = err.Error()
	}
	return hint.Wrap(fmt.Errorf("no instance runs with the data directory %q: %s", c.Data, why),
		"start questwatch run, or say which instance is meant: --data DIR, or --nats URL for an external server")
}

// Explain reads back what led to a finding. Names looks people's names up in the
// database, where that can be done.
func Explain(ctx context.Context, c *config.Config, id string, limit int, names bool, logger *slog.Logger) (*replay.Evidence, error) {
	if _, err := replay.ParseID(id); err != nil {
		return nil, err
	}
	reader, conn, done, err := openReader(ctx, c, limit, names, logger)
	if err != nil {
		return nil, err
	}
	defer done()
	e, err := reader.Finding(ctx, id)
	if errors.Is(err, replay.ErrUnknown) {
		err = hint.Wrap(err, "nats kv ls %s-findings lists the open ones, nats stream view %s shows all events that are kept; another --namespace or --data has others",
			c.Namespace, conn.EventsStream())
	}
	return e, err
}

// openReader opens the past of an instance, with people's names where they are wanted.
func openReader(ctx context.Context, c *config.Config, limit int, names bool, logger *slog.Logger) (*replay.Reader, *bus.Conn, func(), error) {
	conn, done, err := openPast(ctx, c, logger)
	if err != nil {
		return nil, nil, nil, err
	}
	lookUp, closed := openNames(ctx, c, names, logger)
	reader := replay.New(replay.Config{Schema: Schema(&c.Tables), Limit: limit},
		pastStream{conn}, pastEvents{conn}, pastFindings{conn.Findings()}, lookUp, logger)
	return reader, conn, func() { closed(); done() }, nil
}

// namesTimeout bounds the way to the database where only names are wanted.
const namesTimeout = 5 * time.Second

// openNames gives people's names if they are wanted and the database can be read, else
// nil.
func openNames(ctx context.Context, c *config.Config, wanted bool, logger *slog.Logger) (names people.Names, done func()) {
	if !wanted {
		return nil, func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	store, err := openStore(ctx, c, c.Postgres.DSN, true)
	if err != nil {
		logger.Warn("people are shown by their ids: the database cannot be read", "err", err)
		return nil, func() {}
	}
	return store, store.Close
}

// The ports to the past, like those in ports.go.

type pastStream struct{ bus *bus.Conn }

func (p pastStream) Bounds(ctx context.Context) (replay.Bounds, error) {
	s, err := p.bus.CDCState(ctx)
	if err != nil {
		return replay.Bounds{}, err
	}
	b := replay.Bounds{First: s.First, Last: s.Last, Created: s.Created}
	m, err := p.bus.CDCMessage(ctx, s.First)
	if err == nil {
		b.Oldest = record(m)
	} else if !errors.Is(err, bus.ErrNoMessage) {
		return replay.Bounds{}, err
	}
	return b, nil
}

func (p pastStream) Steps(ctx context.Context, quest int64, from, to change.Seq, fn func(change.Record) error) error {
	return p.bus.ReadSteps(ctx, quest, from, to, func(m bus.Message) error { return fn(record(m)) })
}

func (p pastStream) Control(ctx context.Context, from change.Seq) (change.Record, error) {
	m, err := p.bus.NextControl(ctx, from)
	return record(m), none(err)
}

// none names the errors that the flow tells apart.
func none(err error) error {
	if errors.Is(err, bus.ErrNoMessage) || errors.Is(err, bus.ErrNoKey) {
		return fmt.Errorf("%w: %w", replay.ErrNone, err)
	}
	return err
}

type pastEvents struct{ bus *bus.Conn }

func (p pastEvents) Bounds(ctx context.Context) (first, last change.Seq, err error) {
	s, err := p.bus.EventsState(ctx)
	return s.First, s.Last, err
}

func (p pastEvents) Refs(ctx context.Context, filters []string, from, to change.Seq, fn func(replay.Ref) error) error {
	subjects := make([]string, len(filters))
	for i, f := range filters {
		subjects[i] = p.bus.EventSubject(f)
	}
	return p.bus.ReadEventIDs(ctx, subjects, from, to, func(m bus.Message) error { return fn(ref(m)) })
}

func ref(m bus.Message) replay.Ref { return replay.Ref{Seq: m.Seq, Subject: m.Subject, ID: m.ID} }

func (p pastEvents) Event(ctx context.Context, seq change.Seq) (replay.Stored, error) {
	m, err := p.bus.EventMessage(ctx, seq)
	return replay.Stored{Ref: ref(m), Data: m.Data, At: m.Stored}, none(err)
}

type pastFindings struct{ bucket *bus.Bucket }

func (p pastFindings) Get(ctx context.Context, id string) ([]byte, error) {
	e, err := p.bucket.Get(ctx, id)
	return e.Value, none(err)
}

func (p pastFindings) Keys(ctx context.Context) ([]string, error) { return p.bucket.Keys(ctx) }
