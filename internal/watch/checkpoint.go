package watch

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/pack"
	"github.com/peerquest/questwatch/internal/quest"
)

// A checkpoint's form: the magic, the version, and in frames the header, what the
// checker itself knows, the quests, the findings. Whoever changes any of these forms,
// or what the state means, changes the version.
const (
	checkpointMagic   = "QWCHECK\x00"
	checkpointVersion = 1
	maxHeader         = 64 << 10
)

// Snapshot is a Checker as it was between two messages. It may be written by another
// goroutine while the checker goes on.
type Snapshot struct {
	seen         change.Millis
	passed       change.LSN
	writer       Writer
	known, blind bool
	quests       *quest.Snapshot
	findings     *drift.Snapshot
}

// Snapshot is the checker as it is now; false in the middle of a baseline or of a
// transaction, when there is none. It costs nothing to take.
func (c *Checker) Snapshot() (*Snapshot, bool) {
	if c.reading || c.inside || len(c.large.touched) > 0 || c.large.emptied {
		return nil, false
	}
	return &Snapshot{
		seen: c.seen, passed: c.passed, writer: c.writer, known: c.known, blind: c.blind,
		quests: c.state.Snapshot(), findings: c.tracker.Snapshot(),
	}, true
}

// Quests is the number of quests.
func (p *Snapshot) Quests() int { return p.quests.Len() }

// Write writes a checkpoint. Checkers that would go on alike give the same bytes
// behind the header.
func (p *Snapshot) Write(w io.Writer, h Header) error {
	head, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode a checkpoint's header: %w", err)
	}
	if _, err := w.Write(binary.BigEndian.AppendUint32([]byte(checkpointMagic), checkpointVersion)); err != nil {
		return err
	}
	frames := newFrameWriter(w)
	b := pack.AppendText(nil, string(head))
	b = binary.AppendVarint(b, int64(p.seen))
	b = binary.AppendUvarint(b, uint64(p.passed))
	b = binary.AppendUvarint(b, p.writer.Epoch)
	b = pack.AppendText(b, p.writer.Instance)
	b = append(b, flag(p.known), flag(p.blind))
	if _, err := frames.Write(b); err != nil {
		return err
	}
	if err := p.quests.Write(frames); err != nil {
		return err
	}
	if err := p.findings.Write(frames); err != nil {
		return err
	}
	return frames.Close()
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// Checkpoint is one that is being read.
type Checkpoint struct {
	Header Header
	in     *bufio.Reader
}

// OpenCheckpoint reads a checkpoint as far as its header. What is none, or not of this
// version, or damaged, is ErrUnusable.
func OpenCheckpoint(r io.Reader) (*Checkpoint, error) {
	var start [len(checkpointMagic) + 4]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, unusable(cutShort(err))
	}
	if string(start[:len(checkpointMagic)]) != checkpointMagic {
		return nil, unusable(fmt.Errorf("%w: it does not begin as a checkpoint", ErrDamaged))
	}
	if v := binary.BigEndian.Uint32(start[len(checkpointMagic):]); v != checkpointVersion {
		return nil, refuse("it is of version %d, and this program's are of version %d", v, checkpointVersion)
	}
	c := &Checkpoint{in: bufio.NewReaderSize(newFrameReader(r), 64<<10)}
	in := pack.NewReader(c.in)
	head := in.Bytes(maxHeader)
	err := in.Err()
	if err == nil {
		if err = json.Unmarshal(head, &c.Header); err != nil {
			err = fmt.Errorf("%w: its header: %w", ErrDamaged, err)
		}
	}
	return c, unusable(err)
}

// Checker reads the rest: a checker that goes on as the one did of which the
// checkpoint was taken. Whether it belongs to this stream and to these rules has been
// found out before.
func (c *Checkpoint) Checker(rules Rules) (*Checker, error) {
	in := pack.NewReader(c.in)
	k := &Checker{rules: rules, seen: change.Millis(in.Int()), passed: change.LSN(in.Uint())}
	k.writer = Writer{Epoch: in.Uint(), Instance: in.Text(maxHeader)}
	k.known, k.blind = in.Flag(), in.Flag()
	if err := in.Err(); err != nil {
		return nil, unusable(err)
	}
	k.state = quest.NewState(rules.Schema, rules.Statuses)
	if err := k.state.Read(c.in); err != nil {
		return nil, unusable(err)
	}
	k.tracker = drift.NewTracker(rules.Drift, k.state.Users())
	if err := k.tracker.Read(c.in); err != nil {
		return nil, unusable(err)
	}
	switch _, err := c.in.ReadByte(); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, unusable(err)
	default:
		return nil, unusable(fmt.Errorf("%w: it says more than it can", ErrDamaged))
	}
	if k.state.Len() != c.Header.Quests {
		return nil, unusable(fmt.Errorf("%w: it has %d quests and not %d", ErrDamaged, k.state.Len(), c.Header.Quests))
	}
	return k, nil
}

// ErrUnusable says that a checkpoint can never be used, as long as the stream and the
// configuration are what they are.
var ErrUnusable = errors.New("checkpoint cannot be used")

// refusal is an ErrUnusable that says nothing but the reason.
type refusal struct{ error }

func (refusal) Is(target error) bool { return target == ErrUnusable }
func (r refusal) Unwrap() error      { return r.error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// unusable tells damage from trouble in reading.
func unusable(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, pack.ErrDamaged) || errors.Is(err, quest.ErrDamaged) {
		return refusal{err}
	}
	return err
}
