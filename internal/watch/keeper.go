package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// Keeping is how checkpoints are kept.
type Keeping struct {
	// Store is nil where none are.
	Store  Checkpoints
	Stream Messages
	// Every is how often one is taken while quests change, and Messages after how many
	// messages at the latest, 500,000 by default. While none change it is much rarer.
	Every    time.Duration
	Messages int
	// Bytes is after how many bytes one is taken, 0 for no matter how many: the stream
	// discards what is far behind.
	Bytes int64
	// Baseline is told from which message on a checker reads that knows nothing: it
	// needs a baseline that begins there or later. 0 says that it goes on from a
	// checkpoint and needs none.
	Baseline func(from change.Seq)
}

const (
	// defaultMessages are read in a few seconds.
	defaultMessages = 500_000
	// messageOverhead is about what a message takes in the stream beside its data.
	messageOverhead = 200
	// idleEvery is how many times rarer checkpoints are while no quest changes.
	idleEvery = 12
	// lastTime bounds the last checkpoint, and one that is under way then.
	lastTime = 10 * time.Second
)

// CheckpointStatus is what is known of the newest checkpoint.
type CheckpointStatus struct {
	Seq   change.Seq // 0 where there is none
	Bytes int64
	// Stored is when the message was, behind which it stands, and ReadBytes is as
	// Status.ReadBytes was there.
	Stored    time.Time
	ReadBytes int64
	// Took is how long it took to write, and Paused for how long that held up the
	// checker; 0 for one that an earlier process wrote.
	Took, Paused time.Duration
}

// keeper takes checkpoints of a checker while it reads. Its methods are for the
// reader's goroutine.
type keeper struct {
	flow    *Flow
	save    func(p *Snapshot, s stand)
	cancel  context.CancelFunc // of uploads, which outlive the reader for a moment
	uploads sync.WaitGroup
	busy    atomic.Bool // one is being written

	none     bool      // there is none to go on from
	taken    time.Time // the last one, or the beginning
	messages int       // since then
	from     int64     // read by then
	changed  bool      // since then
	reading  bool      // a baseline
	stand    stand
	settled  bool // all that is due there is published
}

// stand is where a checkpoint stands.
type stand struct {
	record change.Record
	events EventsMark
	read   int64         // bytes so far, about
	paused time.Duration // the checker, in taking it
}

func (f *Flow) newKeeper(ctx context.Context, events EventsMark) *keeper {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &keeper{
		flow: f, cancel: cancel, none: f.Status().Checkpoint.Seq == 0, taken: time.Now(),
		stand: stand{events: events}, save: func(p *Snapshot, s stand) { f.save(ctx, p, s) },
	}
}

// found is told what is found at a message, published now or long ago.
func (k *keeper) found(r *change.Record, found []Found) {
	k.settled = false
	k.stand.read += int64(len(r.Subject)+len(r.Data)) + messageOverhead
	if n := len(found); n > 0 {
		k.stand.events.Last, k.stand.events.Some = found[n-1].Position, true
	}
}

// after is called when everything is published that is due behind a message. The
// first checkpoint of all is taken as soon as the end of the stream is reached.
func (k *keeper) after(r change.Record, caughtUp bool) {
	c := k.flow.checker
	// The message's bytes are the reader's again when this returns.
	r.Data = append(k.stand.record.Data[:0], r.Data...)
	k.stand.record, k.settled = r, true
	k.messages++
	k.changed = k.changed || !change.IsControl(r.Data)
	baselined := k.reading && !c.reading
	k.reading = c.reading
	if baselined || k.none && caughtUp || k.due() {
		k.take()
	}
}

func (k *keeper) due() bool {
	every, most := k.flow.keeping.Every, k.flow.keeping.Bytes
	if k.messages >= k.flow.keeping.Messages || most > 0 && k.stand.read-k.from >= most {
		return true
	}
	since := time.Since(k.taken)
	return since >= every && (k.changed || since >= idleEvery*every)
}

// take takes a checkpoint if that can be done here and now, and has it written while
// the checker goes on.
func (k *keeper) take() {
	c := k.flow.checker
	if k.flow.keeping.Store == nil || !c.Known() || k.busy.Load() {
		return
	}
	start := time.Now()
	p, ok := k.flow.snapshot()
	if !ok {
		return
	}
	s := k.stand
	s.record.Data = bytes.Clone(s.record.Data)
	s.paused = time.Since(start)
	k.none, k.taken, k.messages, k.from, k.changed = false, start, 0, s.read, false
	k.busy.Store(true)
	k.uploads.Go(func() {
		defer k.busy.Store(false)
		k.save(p, s)
	})
}

// end is called when reading has ended. With last it takes a last checkpoint: a
// start from there has nothing to read again.
func (k *keeper) end(last bool) {
	defer k.cancel()
	if !last {
		k.cancel()
		k.uploads.Wait()
		return
	}
	defer time.AfterFunc(lastTime, k.cancel).Stop()
	k.uploads.Wait()
	if k.settled && k.messages > 0 {
		k.take()
	}
	k.uploads.Wait()
}

// save writes a checkpoint. That it fails holds up nobody: the next start reads more.
func (f *Flow) save(ctx context.Context, p *Snapshot, at stand) {
	start := time.Now()
	saved, anchor, err := f.write(ctx, p, at.record, at.events)
	took := time.Since(start)
	if saved.Name != "" {
		f.note(func(s *Status) {
			s.Checkpoint = CheckpointStatus{
				Seq: saved.Seq, Bytes: saved.Bytes, Stored: anchor.Stored, ReadBytes: at.read, Took: took, Paused: at.paused,
			}
		})
	}
	if err != nil {
		attrs := []any{"seq", uint64(at.record.Seq), "err", err}
		if advice := hint.Of(err); advice != "" {
			attrs = append(attrs, "advice", advice)
		}
		f.logger.Warn("a checkpoint could not be stored, or older ones not be removed", attrs...)
		return
	}
	f.logger.Info("checkpoint stored", "seq", uint64(saved.Seq), "quests", p.Quests(), "findings", p.findings.Len(), "bytes", saved.Bytes,
		"took", took.Round(time.Millisecond).String(), "paused", at.paused.Round(time.Microsecond).String())
}

// write stores a checkpoint behind a message. The server is asked for the message:
// it may have lost the end of its stream since it gave it to us.
func (f *Flow) write(ctx context.Context, p *Snapshot, r change.Record, events EventsMark) (Saved, Anchor, error) {
	m, err := f.keeping.Stream.Message(ctx, r.Seq)
	if err != nil {
		return Saved{}, Anchor{}, fmt.Errorf("look at the checkpoint's message: %w", err)
	}
	anchor := anchorOf(&m)
	if ours := anchorOf(&Message{Record: r}); ours.Digest != anchor.Digest {
		return Saved{}, Anchor{}, errors.New("the stream has another message there by now")
	}
	published, err := f.events.Published(ctx)
	if err != nil {
		return Saved{}, Anchor{}, fmt.Errorf("find the last event: %w", err)
	}
	events.Created, events.Seq = published.Created, published.Newest
	h := Header{Namespace: f.rules.Drift.Namespace, Anchor: anchor, Events: events, Quests: p.Quests(), Taken: time.Now().UTC()}
	if h.Depends, err = f.rules.Depends(); err != nil {
		return Saved{}, Anchor{}, err
	}
	saved, err := f.keeping.Store.Save(ctx, r.Seq, func(w io.Writer) error { return p.Write(w, h) })
	return saved, anchor, err
}
