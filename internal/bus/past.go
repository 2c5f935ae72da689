package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

// readPatience is how long a read of the past waits for the next message. Somebody
// waits for the answer, so it does not wait for ever as consuming does.
const readPatience = 30 * time.Second

// ErrCut says that a stream lacks what stood at its end.
var ErrCut = errors.New("the server lost the end of the stream, or its files were cut off")

// ErrEnough is what fn returns to end a reading early and well.
var ErrEnough = errors.New("enough was read")

var (
	errEnd   = errors.New("end of what was asked for")
	errStall = fmt.Errorf("nothing came for %s", readPatience)
)

// ReadSteps delivers the stored steps of one quest between two sequences, both
// included, in stream order, and returns when there are no more. A from of 0 is
// the oldest. The server selects them: the others cost next to nothing. What
// the stream has discarded is not noticed here; CDCState says where it begins.
func (c *Conn) ReadSteps(ctx context.Context, questID int64, from, to Seq, fn func(Message) error) error {
	return c.read(ctx, &feed{
		stream: c.names.cdcStream, filters: []string{c.StepSubject(questID)}, next: from, to: to, deliver: fn,
	})
}

// ReadEventIDs delivers the stored events between two sequences, both included, on
// subjects that match any of the filters: oldest first, without their Data but with
// their ID. It returns when there are no more.
func (c *Conn) ReadEventIDs(ctx context.Context, filters []string, from, to Seq, fn func(Message) error) error {
	return c.read(ctx, &feed{
		stream: c.names.eventsStream, filters: filters, headersOnly: true, next: from, to: to, deliver: fn,
	})
}

// ReadCDC delivers the messages of the CDC stream between two sequences, both included,
// in order and without holes, and returns. A message's data is valid until fn returns.
func (c *Conn) ReadCDC(ctx context.Context, from, to Seq, fn func(Message) error) error {
	return c.read(ctx, &feed{stream: c.names.cdcStream, cdc: true, next: from, to: to, deliver: fn})
}

// readAll is how many messages are read to choose some of them here. Before a server chooses,
// it counts what there is to choose, and for that reads up to half of its files.
const readAll = 500_000

// ReadQuest is ReadSteps with the control records between them.
func (c *Conn) ReadQuest(ctx context.Context, questID int64, from, to Seq, fn func(Message) error) error {
	step := c.StepSubject(questID)
	if from <= to && to-from < readAll {
		return c.ReadCDC(ctx, from, to, func(m Message) error {
			if m.Subject != step && m.Subject != c.names.control {
				return nil
			}
			return fn(m)
		})
	}
	return c.read(ctx, &feed{
		stream: c.names.cdcStream, filters: []string{step, c.names.control}, next: from, to: to, deliver: fn,
	})
}

// ReadEvents delivers the stored events on subjects that match any of the filters, oldest
// first, until none is left or fn returns ErrEnough. It begins at a sequence or, where
// that is 0, with what was stored at a time or after it.
func (c *Conn) ReadEvents(ctx context.Context, filters []string, from Seq, since time.Time, fn func(Message) error) error {
	return c.read(ctx, &feed{stream: c.names.eventsStream, filters: filters, next: from, since: since, to: New, deliver: fn})
}

// Past is a stored stream as it is read as a whole.
type Past struct {
	Events bool // the events stream, else that of changes
	// Filters are subjects any of which has to match; none is all.
	Filters []string
	// From and To are sequences, both included; a From of 0 is what was stored at Since or
	// after it, or the oldest.
	From, To Seq
	Since    time.Time
}

// ReadPast delivers the messages of a stored stream in order, and returns. Those of the CDC
// stream without filters have no holes; what else the stream discarded meanwhile is not
// noticed here. A message's data is valid until fn returns. fn may take its time.
func (c *Conn) ReadPast(ctx context.Context, p *Past, fn func(Message) error) error {
	f := &feed{stream: c.names.cdcStream, filters: p.Filters, next: p.From, since: p.Since, ids: true, to: p.To, deliver: fn}
	if p.Events {
		f.stream = c.names.eventsStream
	}
	f.cdc = !p.Events && len(p.Filters) == 0
	return c.read(ctx, f)
}

// KnowsQuest reports whether the CDC stream has a step of the quest.
func (c *Conn) KnowsQuest(ctx context.Context, questID int64) (bool, error) {
	_, err := c.getMessage(ctx, c.names.cdcStream, getRequest{LastFor: c.StepSubject(questID)})
	if errors.Is(err, ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

// Relative is a subject without the namespace.
func (c *Conn) Relative(subject string) string {
	return strings.TrimPrefix(subject, c.names.namespace+".")
}

// NextControl reads the first control record at a sequence or after it,
// ErrNoMessage when there is none.
func (c *Conn) NextControl(ctx context.Context, from Seq) (Message, error) {
	for {
		stored, err := c.getMessage(ctx, c.names.cdcStream, getRequest{Seq: uint64(max(from, 1)), NextFor: c.names.control})
		if err != nil || !c.isForeign(c.names.cdcStream, stored.header) {
			return stored.Message, err
		}
		from = stored.Seq + 1
	}
}

func upTo(last Seq, fn func(Message) error) func(Message) error {
	return func(m Message) error {
		if m.Seq > last {
			return errEnd
		}
		if err := fn(m); err != nil {
			return err
		}
		if m.Seq == last {
			return errEnd
		}
		return nil
	}
}

// read runs a feed up to what is stored now.
func (c *Conn) read(ctx context.Context, f *feed) error {
	if f.next > f.to { // as behind a checkpoint at the end: a server would look for it in its files
		return nil
	}
	f.conn = c
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(readPatience, func() { cancel(errStall) })
	defer stalled.Stop()
	deliver := upTo(f.to, f.deliver)
	f.deliver = func(m Message) error {
		stalled.Stop()
		err := deliver(m)
		stalled.Reset(readPatience)
		return err
	}
	err := f.hop(ctx)
	if errors.Is(err, errMore) {
		err = f.run(ctx, []ConsumeOption{OnCaughtUp(func(tail Seq) error { return f.ended(ctx, tail) })})
	}
	switch {
	case errors.Is(err, errEnd), errors.Is(err, ErrEnough):
		return nil
	case errors.Is(context.Cause(ctx), errStall):
		return fmt.Errorf("read stream %q: %w", f.stream, errStall)
	}
	return err
}

// hops is how many messages are asked for one by one before a consumer is made for the rest.
const hops = 500

// errMore says that a consumer has to read on.
var errMore = errors.New("there may be more")

// hop reads the messages of one quest, which are mostly few, one by one: to make a consumer
// behind the beginning of a long stream takes seconds, in which nobody can write to it
// (fileStore.NumPending of the server counts with the stream locked).
func (f *feed) hop(ctx context.Context) error {
	c := f.conn
	if f.stream != c.names.cdcStream || len(f.filters) != 1 || !f.since.IsZero() {
		return errMore
	}
	state, err := c.streamState(ctx, f.stream)
	if err != nil {
		return err
	}
	f.next = max(f.next, state.First, 1)
	for range hops {
		m, err := c.getMessage(ctx, f.stream, getRequest{Seq: uint64(f.next), NextFor: f.filters[0]})
		switch {
		case errors.Is(err, ErrNoMessage):
			return f.ended(ctx, state.Last)
		case err != nil && ctx.Err() == nil && isTransient(err): // the next one may be far away
			return errMore
		case err != nil:
			return err
		}
		if f.ids {
			m.ID = m.header.Get(jetstream.MsgIDHeader)
		}
		if c.isForeign(f.stream, m.header) {
			c.skipForeign(f.stream, m.Message, !f.foreign)
			f.foreign = true
		} else if err := f.deliver(m.Message); err != nil {
			return err
		}
		f.next = m.Seq + 1
	}
	return errMore
}

// ended ends a reading, and well if the end of the stream of changes is where the server
// says: it goes on saying so when its files were cut off.
func (f *feed) ended(ctx context.Context, tail Seq) error {
	last := min(f.to, tail)
	cut := f.cdc && f.next != 0 && f.next <= last
	if f.stream == f.conn.names.cdcStream && !f.cdc && last == tail && tail > 0 { // of others nobody knows which there were
		_, err := f.conn.getMessage(ctx, f.stream, getRequest{Seq: uint64(tail)})
		if cut = errors.Is(err, ErrNoMessage); err != nil && !cut {
			return err
		}
	}
	if !cut {
		return errEnd
	}
	return hint.Wrap(fmt.Errorf("message %d, which stream %q should have, is not there: %w", last, f.stream, ErrCut),
		"what is before it can be read: end there (--to, --at), or read a backup that is whole")
}
