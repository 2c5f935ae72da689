package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
)

// load goes on from the newest checkpoint that can be used. It returns the position
// behind it, and how far the events had come; 0 where there is none.
func (f *Flow) load(ctx context.Context, first change.Seq, published *Published) (from change.Seq, events EventsMark, err error) {
	if f.keeping.Store == nil {
		return 0, events, nil
	}
	list, err := f.keeping.Store.List(ctx)
	if errors.Is(err, ErrNoStore) {
		f.logger.Warn("checkpoints cannot be read; going on without", "err", err, "advice", hint.Of(err))
		return 0, events, nil
	}
	if err != nil {
		return 0, events, fmt.Errorf("list checkpoints: %w", err)
	}
	for _, s := range list {
		start := time.Now()
		c, h, err := f.open(ctx, s, first, published)
		switch {
		case errors.Is(err, ErrUnusable):
			f.logger.Warn("checkpoint refused", "checkpoint", s.Name, "reason", err)
			continue
		case err != nil:
			return 0, events, fmt.Errorf("read checkpoint %s: %w", s.Name, err)
		}
		f.logger.Info("going on from a checkpoint", "checkpoint", s.Name, "seq", uint64(s.Seq), "quests", h.Quests, "bytes", s.Bytes,
			"taken", event.Stamp(change.MillisOf(h.Taken)), "took", time.Since(start).Round(time.Millisecond).String())
		f.renew(c)
		f.note(func(st *Status) {
			st.Checkpoint = CheckpointStatus{Seq: s.Seq, Bytes: s.Bytes, Stored: h.Anchor.Stored}
		})
		return s.Seq + 1, h.Events, nil
	}
	return 0, events, nil
}

// open reads a checkpoint, if it is one of this stream and of this configuration.
func (f *Flow) open(ctx context.Context, s Saved, first change.Seq, published *Published) (c *Checker, h Header, err error) {
	err = f.keeping.Store.Load(ctx, s, func(r io.Reader) error {
		p, err := OpenCheckpoint(r)
		if err != nil {
			return err
		}
		if h = p.Header; h.Anchor.Seq != s.Seq {
			return refuse("%w: it stands behind message %d", ErrDamaged, h.Anchor.Seq)
		}
		if err := f.fits(ctx, &h, first, published); err != nil {
			return err
		}
		c, err = p.Checker(f.rules)
		return err
	})
	return c, h, unusable(err)
}

// fits finds out whether a state belongs to the stream and to the configuration as
// they are now.
func (f *Flow) fits(ctx context.Context, h *Header, first change.Seq, published *Published) error {
	if err := h.under(&f.rules, "tables", "statuses", "rules"); err != nil {
		return err
	}
	if err := h.belongs(ctx, f.keeping.Stream, first); err != nil {
		return err
	}
	return published.lack(&h.Events)
}

// under finds out whether the state was made under these parts of the configuration.
func (h *Header) under(rules *Rules, parts ...string) error {
	if ours := rules.Drift.Namespace; h.Namespace != ours {
		return refuse("it is of the namespace %q, and not of %q", h.Namespace, ours)
	}
	depends, err := rules.Depends()
	if err != nil {
		return err
	}
	for _, part := range parts {
		if h.Depends[part] != depends[part] {
			return refuse("other %s are configured now than when it was taken", part)
		}
	}
	return nil
}

// belongs finds out whether the state is one of the stream, which begins at first.
func (h *Header) belongs(ctx context.Context, stream Messages, first change.Seq) error {
	if h.Anchor.Seq+1 < first {
		return refuse("the stream has discarded what follows message %d", h.Anchor.Seq)
	}
	m, err := stream.Message(ctx, h.Anchor.Seq)
	switch {
	case errors.Is(err, ErrNoMessage):
		return refuse("the stream has no message %d: it has lost its end, or was purged or made anew", h.Anchor.Seq)
	case err != nil:
		return fmt.Errorf("look at the checkpoint's message: %w", err)
	case !m.Created.Equal(h.Anchor.Created):
		return refuse("it is of a stream that was made at %s, and this one was at %s", h.Anchor.Created.Format(time.RFC3339Nano), m.Created.Format(time.RFC3339Nano))
	case !anchorOf(&m).is(h.Anchor):
		return refuse("the stream has another message %d than it stands behind", h.Anchor.Seq)
	}
	return nil
}

// lack refuses a state whose events are not all stored any more: whoever went on from
// it would not publish them again.
func (p *Published) lack(m *EventsMark) error {
	switch {
	case !m.Some:
		return nil
	case !p.Created.Equal(m.Created):
		return refuse("the stream of events was made anew since")
	case p.Some && !m.Last.After(p.Last):
		return nil
	case m.Seq < p.First:
		return nil // its limits have discarded them
	}
	return refuse("the stream of events has lost some that were published before it was taken")
}
