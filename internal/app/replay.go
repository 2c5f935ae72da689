package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/watch"
)

// Recheck judges a range of the stream anew, by the rules of a configuration, and
// compares what is found with what was found live. It sets the rules itself.
func Recheck(ctx context.Context, c *config.Config, k replay.Checking, logger *slog.Logger) (*replay.Checked, error) {
	conn, done, err := openPast(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	defer done()
	k.Rules = Rules(c)
	past := pastStream{conn}
	store := checkpointsPort{objects: conn.Checkpoints()}
	return replay.NewChecker(past, pastEvents{conn}, store).Check(ctx, &k)
}

// ShowQuest says what a quest was at a point, and how it came to that.
func ShowQuest(ctx context.Context, c *config.Config, id int64, at replay.Point, limit int, names bool, logger *slog.Logger) (*replay.Moment, error) {
	reader, conn, done, err := openReader(ctx, c, limit, names, logger)
	if err != nil {
		return nil, err
	}
	defer done()
	return replay.NewChecker(pastStream{conn}, pastEvents{conn}, checkpointsPort{objects: conn.Checkpoints()}).Quest(ctx, Rules(c), id, at, reader)
}

// Incident tells the story of a finding. Private leaves out what people are called and what
// they wrote; else names looks those up in the database, where that can be done.
func Incident(ctx context.Context, c *config.Config, id string, limit int, names, private bool, logger *slog.Logger) (*replay.Story, error) {
	if _, err := replay.ParseID(id); err != nil {
		return nil, err
	}
	reader, _, done, err := openReader(ctx, c, limit, names && !private, logger)
	if err != nil {
		return nil, err
	}
	defer done()
	return reader.Story(ctx, id, private)
}

// openPast connects to the server of an instance that runs, or starts one on a copy of the
// data directory of an instance that does not.
func openPast(ctx context.Context, c *config.Config, logger *slog.Logger) (conn *bus.Conn, done func(), err error) {
	conn, err = ConnectBus(ctx, c, logger)
	if err == nil {
		return conn, conn.Close, nil
	}
	if external(&c.NATS) || !stored(c.Data) {
		return nil, nil, err
	}
	server, stopped := embedded.StartCopy(ctx, embedded.Config{Dir: c.Data, Logger: logger})
	// Somebody else's, or one that does not answer.
	if errors.Is(stopped, embedded.ErrLocked) || errors.Is(stopped, fs.ErrPermission) && hint.Of(stopped) == "" {
		return nil, nil, hint.Wrap(errors.Join(err, stopped), "%s", hint.Of(err))
	}
	if stopped != nil {
		return nil, nil, stopped
	}
	conn, err = bus.Connect(ctx, bus.Config{Namespace: c.Namespace, Logger: logger, URL: server.ClientURL(), Options: server.InProcess()})
	if err != nil {
		return nil, nil, errors.Join(err, server.Stop())
	}
	warnOfHoles(ctx, conn, logger)
	return conn, func() {
		conn.Close()
		if err := server.Stop(); err != nil {
			logger.Warn("the NATS server did not stop", "err", err)
		}
	}, nil
}

// warnOfHoles tells of messages that are missing: who selects some of a stream does not
// notice.
func warnOfHoles(ctx context.Context, conn *bus.Conn, logger *slog.Logger) {
	for name, state := range map[string]func(context.Context) (bus.StreamState, error){
		conn.CDCStream(): conn.CDCState, conn.EventsStream(): conn.EventsState,
	} {
		if s, err := state(ctx); err == nil && s.Missing() > 0 { // who needs it will be told why it cannot be had
			logger.Warn("a stream is damaged: messages are missing, and what is shown may lack something", "stream", name, "missing", s.Missing())
		}
	}
}

// lacking says why messages are not there: the stream has discarded them meanwhile, or
// lost them, and then whoever goes on from there meets that again.
func lacking(ctx context.Context, conn *bus.Conn, err error) error {
	gap := new(bus.SeqGapError)
	switch {
	case errors.Is(err, bus.ErrCut):
		return replay.Damaged(err)
	case !errors.As(err, &gap):
		return err
	}
	if s, failed := conn.CDCState(ctx); failed != nil || s.First > gap.Want {
		return &replay.MovedError{First: gap.Got}
	}
	return hint.Wrap(replay.Damaged(fmt.Errorf("the stream is damaged: %w", err)),
		"a backup may have them; what is behind them can be read with --from %d, what is before with --to %d", gap.Got, gap.Want-1)
}

// stored reports whether a directory has been an instance's.
func stored(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "jetstream"))
	return err == nil
}

func (p pastStream) Message(ctx context.Context, seq change.Seq) (watch.Message, error) {
	return cdcPort{bus: p.bus}.Message(ctx, seq)
}

func (p pastStream) Range(ctx context.Context, from, to change.Seq, fn func(change.Record) error) error {
	return lacking(ctx, p.bus, p.bus.ReadCDC(ctx, from, to, func(m bus.Message) error { return fn(record(m)) }))
}

func (p pastStream) Quest(ctx context.Context, quest int64, from, to change.Seq, fn func(change.Record) error) error {
	return p.bus.ReadQuest(ctx, quest, from, to, func(m bus.Message) error { return fn(record(m)) })
}

// Told says subjects below the namespace's.
func (p pastEvents) Told(ctx context.Context, from change.Seq, since time.Time, most int) (list []replay.Stored, err error) {
	prefix := strings.TrimSuffix(p.bus.EventSubject(">"), ">")
	var filters []string
	for _, f := range event.Positioned() {
		filters = append(filters, p.bus.EventSubject(f))
	}
	err = p.bus.ReadEvents(ctx, filters, from, since, func(m bus.Message) error {
		one := replay.Stored{Ref: ref(m), Data: m.Data, At: m.Stored}
		one.Subject = strings.TrimPrefix(m.Subject, prefix)
		if list = append(list, one); len(list) == most {
			return bus.ErrEnough
		}
		return nil
	})
	return list, err
}

// Last is where the live checker goes on after a restart.
func (p pastEvents) Last(ctx context.Context) (event.Position, bool, error) {
	done, err := eventsPort(p).Published(ctx)
	return done.Last, done.Some, err
}
