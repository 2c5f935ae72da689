package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/tail"
)

// Play says what is replayed, and how. Of the places where it can go to, one is meant;
// where none is, it is shown.
type Play struct {
	replay.Playing
	// FromFile is a file to read in place of a stream.
	FromFile string

	Out         io.Writer
	JSON, Color bool
	// Names looks people's names up in the database, where that can be done.
	Names bool

	DryRun bool
	// ToFile is a file to write; Continue goes on with one, as it was begun.
	ToFile    string
	Continue  bool
	ToSubject string
}

// Replay plays a past range of a stream. With an error too it says what was played, if
// anything could be.
func Replay(ctx context.Context, c *config.Config, p *Play, logger *slog.Logger) (played *replay.Played, err error) {
	sink, done, err := p.file()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if p.Continue && p.Playing.To.Seq == 0 { // nothing is missing but the end
		_, err := sink.End(ctx, true)
		return &replay.Played{}, err
	}
	player, conn, closed, err := p.open(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	defer closed()
	switch {
	case sink != nil:
	case p.DryRun:
		sink = &replay.Counting{}
	case p.ToSubject != "":
		if err := conn.CheckCopies(ctx, p.ToSubject); err != nil {
			return nil, err
		}
		copies := replay.NewCopies(copiesPort{conn, p.ToSubject})
		copies.Prompt = p.Pace != replay.Pace{}
		sink = copies
	default:
		var closed func()
		sink, closed = p.shown(ctx, c, logger)
		defer closed()
	}
	return player.Play(ctx, &p.Playing, sink)
}

// file is the file to write, if that is what is wanted.
func (p *Play) file() (replay.Sink, func() error, error) {
	nothing := func() error { return nil }
	if p.ToFile == "" {
		return nil, nothing, nil
	}
	if !p.Continue {
		f, err := replay.NewFile(p.ToFile)
		if err != nil {
			return nil, nothing, err
		}
		return f, f.Close, nil
	}
	f, what, err := replay.ContinueFile(p.ToFile)
	if err != nil {
		return nil, nothing, err
	}
	if what != nil {
		p.Kind, p.From, p.To, p.Of, p.Select = what.Kind, what.From, what.To, what.Of, what.Select
	}
	return f, f.Close, nil
}

// open opens what is read, and the connection for what is published, if any is.
func (p *Play) open(ctx context.Context, c *config.Config, logger *slog.Logger) (*replay.Player, *bus.Conn, func(), error) {
	var conn *bus.Conn
	done := func() {}
	if p.FromFile == "" || p.ToSubject != "" {
		var err error
		if conn, done, err = p.connect(ctx, c, logger); err != nil {
			return nil, nil, nil, err
		}
	}
	schema := Schema(&c.Tables)
	if p.FromFile == "" {
		return replay.NewPlayer(tapePort{conn, p.Kind}, pastStream{conn}, schema), conn, done, nil
	}
	file, err := replay.OpenTapeFile(p.FromFile)
	if err != nil {
		done()
		return nil, nil, nil, err
	}
	p.Kind = file.Kind()
	return replay.NewPlayer(file, nil, schema), conn, func() {
		_ = file.Close() // it was only read
		done()
	}, nil
}

// connect opens a stopped instance's data for reading only: what is published to the copy
// of it would be gone with that.
func (p *Play) connect(ctx context.Context, c *config.Config, logger *slog.Logger) (*bus.Conn, func(), error) {
	if p.ToSubject == "" {
		return openPast(ctx, c, logger)
	}
	conn, err := ConnectBus(ctx, c, logger)
	if err == nil {
		return conn, conn.Close, nil
	}
	if p.FromFile == "" && !external(&c.NATS) && stored(c.Data) {
		err = hint.Wrap(err, "start it; or write a file (--to-file FILE), and publish that through a server that runs: --from-file FILE --to-subject %s --nats URL", p.ToSubject)
	}
	return nil, nil, err
}

// shown shows messages to a person or a program.
func (p *Play) shown(ctx context.Context, c *config.Config, logger *slog.Logger) (replay.Sink, func()) {
	lines := replay.NewLines(p.Out)
	lines.Prompt = p.Pace != replay.Pace{}
	if p.JSON {
		return lines, func() {}
	}
	names, closed := openNames(ctx, c, p.Names, logger)
	book := people.NewBook(names)
	lines.Line = replay.NewTimeline(book, p.Color).Line
	if p.Kind == replay.KindEvents {
		events := tail.New(nil, book, logger)
		lines.Line = func(ctx context.Context, i *replay.Item) (string, error) {
			return events.Line(ctx, tail.Stored{Subject: i.Subject, Data: i.Data}, p.Color) + "\n", nil
		}
	}
	return lines, closed
}

// tapePort is a stored stream to be played.
type tapePort struct {
	bus  *bus.Conn
	kind replay.Kind
}

func (p tapePort) Extent(ctx context.Context) (replay.Extent, error) {
	name, state := p.bus.CDCStream(), p.bus.CDCState
	if p.kind == replay.KindEvents {
		name, state = p.bus.EventsStream(), p.bus.EventsState
	}
	s, err := state(ctx)
	if err != nil {
		return replay.Extent{}, err
	}
	e := replay.Extent{Stream: name, First: s.First, Last: s.Last, Created: change.MillisOf(s.Created)}
	if p.kind == replay.KindEvents && s.First <= s.Last {
		m, err := p.bus.EventMessage(ctx, s.First)
		if err != nil && !errors.Is(err, bus.ErrNoMessage) {
			return e, err
		}
		e.Oldest = change.MillisOf(m.Stored)
	}
	return e, nil
}

func (p tapePort) Read(ctx context.Context, s *replay.Stretch, fn func(*replay.Message) error) error {
	past := &bus.Past{Events: s.Kind == replay.KindEvents, Filters: p.filters(s), From: s.First, To: s.Last, Since: s.Since}
	err := p.bus.ReadPast(ctx, past, func(m bus.Message) error {
		return fn(&replay.Message{Seq: m.Seq, Subject: p.bus.Relative(m.Subject), ID: m.ID, Data: m.Data})
	})
	return lacking(ctx, p.bus, err)
}

// filters are the subjects that the server can select by.
func (p tapePort) filters(s *replay.Stretch) (all []string) {
	about := "*"
	if s.Rule != "" {
		about = s.Rule
	}
	switch {
	case s.Kind != replay.KindEvents:
		for _, id := range s.Quests {
			all = append(all, p.bus.StepSubject(id))
		}
	case len(s.Quests) > 0:
		for _, id := range s.Quests {
			all = append(all, p.bus.EventSubject("*.*."+about+"."+strconv.FormatInt(id, 10)))
		}
	case s.Rule != "":
		all = []string{p.bus.EventSubject("*.*." + about + ".*")}
	}
	return all
}

func (p tapePort) Knows(ctx context.Context, quest int64) (bool, error) {
	known, err := p.bus.KnowsQuest(ctx, quest)
	if known || err != nil || p.kind != replay.KindEvents {
		return known, err
	}
	// Events are kept longer than what they are about.
	_, err = p.bus.LastEvent(ctx, p.bus.EventSubject("*.*.*."+strconv.FormatInt(quest, 10)))
	if errors.Is(err, bus.ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

// copiesPort publishes copies below a prefix.
type copiesPort struct {
	bus    *bus.Conn
	prefix string
}

func (p copiesPort) Publish(ctx context.Context, copies []replay.Copy) (int, error) {
	all := make([]bus.CopyMsg, len(copies))
	for i, o := range copies {
		all[i] = bus.CopyMsg{Subject: o.Subject, ID: o.ID, Stream: o.Stream, Seq: o.Seq, Data: o.Data}
		if o.Event {
			all[i].ContentType = event.ContentType
		}
	}
	return p.bus.PublishCopies(ctx, p.prefix, all)
}
