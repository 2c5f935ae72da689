package stream

import (
	"context"
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// What adapters answer where the flow has to decide.
var (
	// ErrBusy: another instance streams from the slot.
	ErrBusy = errors.New("another instance is streaming")
	// ErrUnfit: the database is not set up (any more) so that it can be streamed.
	ErrUnfit = errors.New("the database does not fit")
	// ErrNoRecord: the stream holds no message of that sequence (any more).
	ErrNoRecord = errors.New("no such message in the stream")
	// ErrFull: JetStream has no room for messages.
	ErrFull = errors.New("no room for messages")
	// ErrAway: JetStream cannot be reached.
	ErrAway = errors.New("JetStream cannot be reached")
)

// Postgres is the database's replication side.
type Postgres interface {
	// Slot looks at the replication slot, and whether the database still fits: it
	// is ErrUnfit when it does not and somebody else must mend it.
	Slot(ctx context.Context) (Slot, error)
	// Snapshot opens a moment to take a baseline from; ErrBusy when another instance
	// has one open. So two that start at once do not undo each other's baseline.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Start streams what committed at or after a position; ErrBusy when the slot is
	// in use.
	Start(ctx context.Context, from change.LSN, nextXID uint64) (Feed, error)
	// History lists where the server's log changed timelines, oldest first; nothing
	// on the first timeline, or where that is not known.
	History(ctx context.Context) ([]Switch, error)
}

// Switch is where the log left a timeline for the next one.
type Switch struct {
	Timeline uint32
	// At is the end of what the two have in common.
	At change.LSN
}

// Slot is the state of the replication slot.
type Slot struct {
	Exists, Active, Usable bool
	Confirmed              change.LSN
	// Publication changes whenever what is published does.
	Publication string
	// Columns changes whenever a column that the rules need is altered.
	Columns string
	// System and Timeline are those of the server that has it.
	System   string
	Timeline uint32
}

// Snapshot is a moment of the database, and the position that goes with it.
type Snapshot interface {
	LSN() change.LSN
	// Read gives all rows, one quest after the other; a quest may come in parts.
	Read(ctx context.Context, fn func(quest int64, rows []change.Change) error) error
	// Done ends the snapshot. With keep, the slot is put at its position first, in
	// place of one that was there.
	Done(ctx context.Context, keep bool) error
}

// Feed is a running stream.
type Feed interface {
	// Receive blocks until a signal comes or the connection ends.
	Receive(*change.Signal) error
	// Status says what may be forgotten, and with ask wants to hear how far the
	// server has read. It may be called while Receive blocks.
	Status(confirmed change.LSN, ask bool) error
	// Hold is Status when nothing will be received any more: the server hears from
	// us, and what it sends is lost.
	Hold(confirmed change.LSN) error
	// NextXID tells the server's next transaction id.
	NextXID(next uint64)
	Close() error
}

// Clock reads the database's clock and log position, on a connection of its own.
type Clock interface {
	Read(ctx context.Context) (Reading, error)
	// Beat writes something that commits, so that the log moves.
	Beat(ctx context.Context) error
}

// Reading is a moment of the database. What commits after it is read stands at
// or above LSN, apart from commits that were being written in that instant.
type Reading struct {
	At      change.Millis
	LSN     change.LSN
	NextXID uint64
}

// CDC is the stream that is written.
type CDC interface {
	// Bounds are the first message that is still there and the newest sequence,
	// whose message may be gone too; first is last+1 then.
	Bounds(ctx context.Context) (first, last change.Seq, err error)
	// Record reads one message; ErrNoRecord when it is not there.
	Record(ctx context.Context, seq change.Seq) (change.Record, error)
	// Writer continues behind a sequence. It fails when somebody else does.
	Writer(last change.Seq) Writer
}

// Writer publishes in order.
type Writer interface {
	// Publish sends a message and returns the sequence it will have. It blocks
	// while too many are not acknowledged. It does not keep data.
	Publish(ctx context.Context, subject string, data []byte) (change.Seq, error)
	// Acked is the newest sequence that is stored with all before it.
	Acked() change.Seq
	// Err is why the writer can write no more, or nil.
	Err() error
	// Close gives up what is not acknowledged.
	Close()
}

// Note is what is remembered beside the stream.
type Note struct {
	// Baseline is where the newest whole baseline begins; 0 when the stream has none
	// that everything since can be judged by.
	Baseline change.Seq
	// Epoch is the newest one begun, also in a stream that was purged or made anew
	// since; System is the cluster that it streamed.
	Epoch  uint64
	System string
	// Timeline is the one of the server's log in that epoch, and Forked where it
	// began; 0 for the first one, and where that is not known.
	Timeline uint32
	Forked   change.LSN
	// Publication is Slot.Publication as of that epoch.
	Publication string
	// Columns is Slot.Columns as of that epoch.
	Columns string
	// Gap says why changes are missing that no gap record tells of yet, or "".
	Gap string
}

// Notes keep the Note.
type Notes interface {
	Read(ctx context.Context) (Note, error)
	Write(ctx context.Context, n Note) error
}

// Config sets up a Flow. Zero values mean the defaults of DefaultConfig.
type Config struct {
	// DB names the database in every message; Instance names the writer.
	DB, Instance string
	// Subject and Control name the subjects of a quest's steps and of the control
	// records.
	Subject func(quest int64) string
	Control string
	// MaxRows and MaxBytes bound a transaction that is held until its end; a larger
	// one is streamed as it comes.
	MaxRows, MaxBytes int
	// MaxPayload bounds a message, in bytes.
	MaxPayload int
	// ConfirmLag says how long a message must have been acknowledged before it counts
	// as durable; it is asked whenever that matters, and may answer 0. It need not
	// hold for what a session finds in the stream, which another process, or a server
	// set up in another way, may have stored: until TailLag after a session's
	// beginning nothing counts as durable. BaselineLag is for the end of a baseline.
	ConfirmLag           func() time.Duration
	TailLag, BaselineLag time.Duration
	// MarkEvery is the time between progress marks, for MarkFor after the last
	// step; IdleMarkEvery afterwards.
	MarkEvery, MarkFor, IdleMarkEvery time.Duration
	// Asked says that whoever reads the stream says with Flow.Need when it needs a
	// baseline. Else one is taken whenever the stream has none any more.
	Asked bool
	// Takes says why JetStream takes no messages, ErrFull or ErrAway, or nil when it
	// does or does not say. While it does not, the session waits.
	Takes func(ctx context.Context) error
}
