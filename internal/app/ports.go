package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/pgsource"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/stream"
	"github.com/peerquest/questwatch/internal/watch"
)

// The ports fit the adapters into what the flows ask for. They translate names
// and errors and decide nothing.

type postgresPort struct {
	source *pgsource.Source
	store  *pgstore.Store
	// repairs is the same database for repairs, nil where there are none.
	repairs *pgstore.Store
	schema  change.Schema
	all     bool // columns
	seen    *seen
}

// seen is the server that was looked at last.
type seen struct {
	mu       sync.Mutex // a session looks while it streams
	system   string
	timeline uint32
}

// other notes a server, and reports whether it is another one than before.
func (s *seen) other(system string, timeline uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	other := s.system != "" && (s.system != system || s.timeline != timeline)
	s.system, s.timeline = system, timeline
	return other
}

func (p postgresPort) Slot(ctx context.Context) (stream.Slot, error) {
	s, err := p.source.Fit(ctx)
	if hint.IsSetup(err) {
		err = fmt.Errorf("%w: %w", stream.ErrUnfit, err)
	}
	// The former server may still live, and tell a time and a position that mean
	// nothing on the other.
	if err == nil && p.seen.other(s.System, s.Timeline) {
		p.store.Reset()
		if p.repairs != nil {
			p.repairs.Reset()
		}
	}
	return stream.Slot(s), err
}

func (p postgresPort) Snapshot(ctx context.Context) (stream.Snapshot, error) {
	snap, err := p.source.Snapshot(ctx)
	if errors.Is(err, pgsource.ErrBusy) {
		return nil, fmt.Errorf("%w: %w", stream.ErrBusy, err)
	}
	if err != nil {
		return nil, err
	}
	return snapshotPort{snap, p.store, p.schema, p.all}, nil
}

func (p postgresPort) Start(ctx context.Context, from change.LSN, next uint64) (stream.Feed, error) {
	feed, err := p.source.Start(ctx, from, next)
	if errors.Is(err, pgsource.ErrBusy) {
		return nil, fmt.Errorf("%w: %w", stream.ErrBusy, err)
	}
	if err != nil {
		return nil, err
	}
	return feed, nil
}

func (p postgresPort) History(ctx context.Context) ([]stream.Switch, error) {
	list, err := p.source.History(ctx)
	switches := make([]stream.Switch, len(list))
	for i, s := range list {
		switches[i] = stream.Switch(s)
	}
	return switches, err
}

type snapshotPort struct {
	snap   *pgsource.Snapshot
	store  *pgstore.Store
	schema change.Schema
	all    bool // columns
}

func (p snapshotPort) LSN() change.LSN { return p.snap.LSN }

func (p snapshotPort) Read(ctx context.Context, fn func(int64, []change.Change) error) error {
	return p.rows(ctx, p.snap.Name, fn)
}

func (p snapshotPort) rows(ctx context.Context, exported string, fn func(int64, []change.Change) error) error {
	columns := map[change.Entity][]string{}
	for _, e := range change.Entities {
		columns[e] = p.schema.Columns(e)
	}
	return p.store.Baseline(ctx, exported, columns, p.all, fn)
}

func (p snapshotPort) Done(ctx context.Context, keep bool) (err error) {
	if keep {
		err = p.snap.Persist(ctx)
	}
	return errors.Join(err, p.snap.Close(ctx))
}

type clockPort struct{ store *pgstore.Store }

// clockTimeout bounds a look at the clock: without it a dead connection would
// hold up the keepalives of the other one.
const clockTimeout = 5 * time.Second

func (p clockPort) Read(ctx context.Context) (stream.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	at, lsn, next, err := p.store.Clock(ctx)
	return stream.Reading{At: change.MillisOf(at), LSN: lsn, NextXID: next}, err
}

func (p clockPort) Beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	return p.store.Heartbeat(ctx)
}

// cdcPort is the CDC stream for both flows.
type cdcPort struct {
	bus     *bus.Conn
	batches bool
}

func (p cdcPort) Bounds(ctx context.Context) (first, last change.Seq, err error) {
	s, err := p.bus.CDCState(ctx)
	return s.First, s.Last, err
}

func (p cdcPort) Record(ctx context.Context, seq change.Seq) (change.Record, error) {
	m, err := p.bus.CDCMessage(ctx, seq)
	if errors.Is(err, bus.ErrNoMessage) {
		return change.Record{}, fmt.Errorf("%w: %w", stream.ErrNoRecord, err)
	}
	return record(m), err
}

func record(m bus.Message) change.Record {
	return change.Record{Seq: m.Seq, Subject: m.Subject, Data: m.Data}
}

func (p cdcPort) Writer(last change.Seq) stream.Writer {
	if p.batches {
		return writerPort{p.bus.NewBatchWriter(last)}
	}
	return writerPort{p.bus.NewWriter(last)}
}

// Message is for the checker, which recognises its position by it.
func (p cdcPort) Message(ctx context.Context, seq change.Seq) (watch.Message, error) {
	state, err := p.bus.CDCState(ctx)
	if err != nil {
		return watch.Message{}, err
	}
	m, err := p.bus.CDCMessage(ctx, seq)
	if errors.Is(err, bus.ErrNoMessage) {
		err = fmt.Errorf("%w: %w", watch.ErrNoMessage, err)
	}
	return watch.Message{Record: record(m), Stored: m.Stored, Created: state.Created}, err
}

// writerPort names the errors that the flow tells apart.
type writerPort struct{ stream.Writer }

func (p writerPort) Publish(ctx context.Context, subject string, data []byte) (change.Seq, error) {
	seq, err := p.Writer.Publish(ctx, subject, data)
	return seq, noRoom(err)
}

func (p writerPort) Err() error { return noRoom(p.Writer.Err()) }

func (p cdcPort) Consume(ctx context.Context, from change.Seq, fn func(change.Record) error) error {
	return p.bus.ConsumeCDC(ctx, from, func(m bus.Message) error { return fn(record(m)) })
}

// notesPort keeps the note together with the stream's time of creation: the
// sequences of a stream that was made anew mean something else. The epoch does
// not, and goes on.
type notesPort struct{ bus *bus.Conn }

// noteKey is where older programs kept the baseline alone, in the same form.
const noteKey = "baseline"

type note struct {
	Begin    change.Seq `json:"begin"`
	Created  time.Time  `json:"stream_created"`
	Epoch    uint64     `json:"epoch"`
	System   string     `json:"system"`
	Timeline uint32     `json:"timeline,omitempty"`
	Forked   change.LSN `json:"timeline_began,omitempty"`
	Mark     string     `json:"publication"`
	Columns  string     `json:"columns,omitempty"`
	Gap      string     `json:"gap,omitempty"`
}

func (p notesPort) Read(ctx context.Context) (stream.Note, error) {
	e, err := p.bus.Control().Get(ctx, noteKey)
	if errors.Is(err, bus.ErrNoKey) {
		return stream.Note{}, nil
	}
	if err != nil {
		return stream.Note{}, err
	}
	var n note
	if err := json.Unmarshal(e.Value, &n); err != nil {
		return stream.Note{}, fmt.Errorf("decode the note of the baseline: %w", err)
	}
	state, err := p.bus.CDCState(ctx)
	if err != nil {
		return stream.Note{}, err
	}
	if !state.Created.Equal(n.Created) {
		n.Begin = 0
	}
	return stream.Note{
		Baseline: n.Begin, Epoch: n.Epoch, System: n.System, Timeline: n.Timeline, Forked: n.Forked,
		Publication: n.Mark, Columns: n.Columns, Gap: n.Gap,
	}, nil
}

func (p notesPort) Write(ctx context.Context, n stream.Note) error {
	state, err := p.bus.CDCState(ctx)
	if err != nil {
		return err
	}
	data, err := json.Marshal(note{
		Begin: n.Baseline, Created: state.Created, Epoch: n.Epoch, System: n.System, Timeline: n.Timeline, Forked: n.Forked,
		Mark: n.Publication, Columns: n.Columns, Gap: n.Gap,
	})
	if err != nil {
		return fmt.Errorf("encode the note of the baseline: %w", err)
	}
	_, err = p.bus.Control().Put(ctx, noteKey, data)
	return err
}

type eventsPort struct{ bus *bus.Conn }

func (p eventsPort) Publish(ctx context.Context, events []watch.Outgoing) error {
	messages := make([]bus.EventMsg, len(events))
	for i, e := range events {
		messages[i] = bus.EventMsg(e)
	}
	return p.bus.PublishEvents(ctx, messages)
}

type findingsPort struct{ bucket *bus.Bucket }

func (p findingsPort) Put(ctx context.Context, id string, data []byte) error {
	_, err := p.bucket.Put(ctx, id, data)
	return err
}

func (p findingsPort) Delete(ctx context.Context, id string) error { return p.bucket.Delete(ctx, id) }

func (p findingsPort) Keys(ctx context.Context) ([]string, error) { return p.bucket.Keys(ctx) }
