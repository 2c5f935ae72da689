package watch

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/pack"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// A checkpoint's form: the magic, the version, and in frames the header, what the
// checker itself knows, the quests, the findings. Whoever changes any of these forms,
// or what the state means, changes the version.
const (
	checkpointMagic   = "QWCHECK\x00"
	checkpointVersion = 1
	maxHeader         = 64 << 10
)

// Header says which message of which stream a checkpoint was taken behind, and what
// its state depends on.
type Header struct {
	Namespace string `json:"namespace"`
	Anchor    Anchor `json:"anchor"`
	// Events are those that had been published by then.
	Events EventsMark `json:"events"`
	// Depends has a hash for each part of the configuration that shapes the state.
	Depends map[string]string `json:"depends"`
	Quests  int               `json:"quests"`
	Taken   time.Time         `json:"taken"`
}

// Anchor is a message of the stream in a form in which it can be recognised. The
// sequence is not enough, nor the position that the message carries: a stream that
// was made anew counts from 1, and one that lost its end may hold the same
// transaction at the same place, behind other marks.
type Anchor struct {
	// Created is when the stream was.
	Created time.Time  `json:"created"`
	Seq     change.Seq `json:"sequence"`
	// Stored is when the message was, by the server's clock, and Digest a hash of it.
	Stored time.Time `json:"stored"`
	Digest string    `json:"digest"`
}

// EventsMark is how far the events had come.
type EventsMark struct {
	// Created is when their stream was.
	Created time.Time `json:"created"`
	// Last is the position of the checker's newest one; Some is false where there was
	// none. Seq is the sequence of that one, or of a newer one.
	Last event.Position `json:"last"`
	Some bool           `json:"some"`
	Seq  change.Seq     `json:"sequence"`
}

// digestOf is a hash of a message. A step has in it when it was handed to JetStream.
func digestOf(r *change.Record) string {
	h := sha256.New()
	_, _ = io.WriteString(h, r.Subject+"\x00") // hashes take everything
	_, _ = h.Write(r.Data)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Depends has a hash for each part of the rules: all of them shape a state.
func (r *Rules) Depends() (map[string]string, error) {
	judged := struct {
		Drift      drift.Config
		Ways       rule.Ways
		Deleted    bool
		Off        []rule.Rule
		Severities []rule.Severity
	}{Drift: r.Drift, Ways: r.Ways, Deleted: r.Policy.Deleted}
	for _, one := range rule.All {
		if r.Policy.IsOff(one) {
			judged.Off = append(judged.Off, one)
		}
	}
	for _, o := range rule.Outcomes {
		judged.Severities = append(judged.Severities, r.Policy.Severity(o.Rule, o.Cause))
	}
	all := map[string]string{}
	for name, part := range map[string]any{"tables": r.Schema, "statuses": r.Statuses, "rules": judged} {
		data, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("encode the configured %s: %w", name, err)
		}
		sum := sha256.Sum256(data)
		all[name] = hex.EncodeToString(sum[:8])
	}
	return all, nil
}

// Snapshot is a Checker as it was between two messages. It may be written by another
// goroutine while the checker goes on.
type Snapshot struct {
	seen         change.Millis
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
		seen: c.seen, writer: c.writer, known: c.known, blind: c.blind,
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
		return nil, fmt.Errorf("%w: it is of version %d, and this program's are of version %d", ErrUnusable, v, checkpointVersion)
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
	k := &Checker{rules: rules, seen: change.Millis(in.Int())}
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

// unusable tells damage from trouble in reading.
func unusable(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, pack.ErrDamaged) || errors.Is(err, quest.ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	return err
}
