package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/watch"
)

const (
	// newestKept is how many of the newest are kept for a start: more than one, because the
	// newest may stand behind messages that a server loses with its power.
	newestKept = 3
	// spreadShare is the part of what the stream may take that the others may take.
	spreadShare = 4
	// checkpointReserve is what a checkpoint leaves of the room for messages, on a small
	// disk an eighth of it; lookAtRoom is how many bytes are written between two looks.
	checkpointReserve = 256 << 20
	lookAtRoom        = 8 << 20
)

// checkpoints reports whether checkpoints are kept.
func (a *App) checkpoints() bool { return a.config.Watch.Enabled && a.config.Watch.CheckpointEvery > 0 }

func (a *App) checkpointStore() watch.Checkpoints {
	if !a.checkpoints() {
		return nil
	}
	return checkpointsPort{a.bus.Checkpoints(), a.room, &spread{
		count: a.config.Watch.KeepCheckpoints, bytes: a.config.Stream.KeepBytes / spreadShare, stream: a.bus.CDCState,
	}}
}

// room says how many bytes may be stored before what is streamed is in danger.
func (a *App) room(ctx context.Context) (bytes int64, limited bool, err error) {
	if a.nats == nil {
		return a.bus.Room(ctx)
	}
	free, total, err := a.nats.Space()
	return free - min(checkpointReserve, total/8), true, err
}

// checkpointsPort names checkpoints by their sequences, and keeps few.
type checkpointsPort struct {
	objects *bus.Objects
	room    func(context.Context) (bytes int64, limited bool, err error)
	spread  *spread // nil where none are saved
}

const checkpointPrefix = "ckpt-"

func checkpointName(seq change.Seq) string {
	return fmt.Sprintf("%s%020d", checkpointPrefix, uint64(seq))
}

// seqOf is the sequence in a checkpoint's name; false for what is none.
func seqOf(name string) (change.Seq, bool) {
	digits, found := strings.CutPrefix(name, checkpointPrefix)
	seq, err := strconv.ParseUint(digits, 10, 64)
	return change.Seq(seq), found && err == nil && checkpointName(change.Seq(seq)) == name
}

func (p checkpointsPort) List(ctx context.Context) (list []watch.Saved, err error) {
	objects, err := p.objects.List(ctx)
	var denied *bus.PermissionError
	if errors.Is(err, bus.ErrSetup) || errors.As(err, &denied) {
		return nil, fmt.Errorf("%w: %w", watch.ErrNoStore, err)
	}
	for _, o := range slices.Backward(objects) { // by name, and so by sequence
		if seq, ok := seqOf(o.Name); ok {
			list = append(list, watch.Saved{Name: o.Name, Seq: seq, Bytes: o.Size})
		}
	}
	return list, err
}

func (p checkpointsPort) Load(ctx context.Context, s watch.Saved, fn func(io.Reader) error) error {
	object, err := p.objects.Get(ctx, s.Name)
	if err == nil {
		var said error
		err = p.objects.Read(ctx, object, func(r io.Reader) error {
			said = fn(r)
			return said
		})
		if errors.Is(said, watch.ErrUnusable) {
			return said // in its own words
		}
	}
	if errors.Is(err, bus.ErrDamaged) || errors.Is(err, bus.ErrNoMessage) {
		return fmt.Errorf("%w: %w", watch.ErrDamaged, err)
	}
	return err
}

// Save leaves out what would endanger the stream: older ones are given up for it first. That
// old ones cannot be removed is an error, though the new one counts.
func (p checkpointsPort) Save(ctx context.Context, seq change.Seq, write func(io.Writer) error) (watch.Saved, error) {
	if err := p.objects.Sweep(ctx); err != nil {
		return watch.Saved{}, err
	}
	put := func() (bus.Object, error) {
		return p.objects.Put(ctx, checkpointName(seq), func(w io.Writer) error {
			return write(&roomyWriter{out: w, look: func() error { return p.hasRoom(ctx) }})
		})
	}
	object, err := put()
	if errors.Is(err, bus.ErrFull) {
		if removed, failed := p.prune(ctx, func(older []bus.Object) []bus.Object { return older }); removed > 0 && failed == nil {
			object, err = put()
		}
	}
	if err != nil {
		return watch.Saved{}, err
	}
	state, err := p.spread.stream(ctx)
	if err == nil {
		_, err = p.prune(ctx, func(older []bus.Object) []bus.Object { return p.spread.over(older, state.First, state.Last) })
	}
	return watch.Saved{Name: object.Name, Seq: seq, Bytes: object.Size}, err
}

// prune removes what is left over of all but the newest, and says how many. Their sequences
// do not tell which those are: those of a stream that was made anew begin again.
func (p checkpointsPort) prune(ctx context.Context, over func(older []bus.Object) []bus.Object) (removed int, err error) {
	objects, err := p.objects.List(ctx)
	if err != nil || len(objects) <= newestKept {
		return 0, err
	}
	slices.SortFunc(objects, func(a, b bus.Object) int { return a.Stored.Compare(b.Stored) })
	var errs []error
	for _, o := range over(objects[:len(objects)-newestKept]) {
		errs = append(errs, p.objects.Delete(ctx, o))
		removed++
	}
	return removed, errors.Join(errs...)
}

// spread says which checkpoints are kept for who asks what was: so many, spread evenly over
// what the stream holds. Who asks then reads no more than a part of it.
type spread struct {
	count  int
	bytes  int64 // that they may take together; 0 or less for any number
	stream func(context.Context) (bus.StreamState, error)
}

// over are those that are not needed, of all that are given in the order in which they were
// stored: those before the stream's beginning, those of an end that it has lost, and those
// that stand near the one before.
func (s *spread) over(objects []bus.Object, first, last change.Seq) (over []bus.Object) {
	var largest int64 = 1
	for _, o := range objects {
		largest = max(largest, o.Size)
	}
	count := int64(s.count)
	if s.bytes > 0 {
		count = min(count, s.bytes/largest)
	}
	if count < 1 {
		return objects
	}
	apart := (last-first)/change.Seq(count) + 1
	var kept change.Seq
	for _, o := range objects {
		seq, ok := seqOf(o.Name)
		if !ok || seq+1 < first || seq > last || kept != 0 && (seq < kept || seq-kept < apart) {
			over = append(over, o)
			continue
		}
		kept = seq
	}
	return over
}

func (p checkpointsPort) hasRoom(ctx context.Context) error {
	left, limited, err := p.room(ctx)
	if err != nil || !limited || left >= 2*lookAtRoom {
		return err
	}
	return hint.Failed("store a checkpoint", fmt.Errorf("%w: %d bytes are left for checkpoints", bus.ErrFull, max(left, 0)),
		"free disk space, raise the storage limit, or lower stream.keep_bytes")
}

// roomyWriter looks now and then whether there is room for more.
type roomyWriter struct {
	out  io.Writer
	look func() error
	left int
}

func (w *roomyWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		if err := w.look(); err != nil {
			return 0, err
		}
		w.left = lookAtRoom
	}
	return w.out.Write(p)
}
