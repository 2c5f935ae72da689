package pgsource

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// MessagePrefix is how the logical messages start that are passed on. Others
// belong to somebody else.
const MessagePrefix = "questwatch."

// Heartbeat is the prefix of our own messages, which say nothing.
const Heartbeat = MessagePrefix + "heartbeat"

// maxContent bounds a logical message's content, in bytes; any role may send one.
const maxContent = 16 << 10

// decoder turns pgoutput messages (protocol version 1) into signals. It has no
// state but the relations and the transaction it is in.
type decoder struct {
	names     *names
	relations map[uint32]*relation
	// known is the last description of each entity, over all relation ids.
	known [change.Participant + 1]*relation
	// xid64 makes a 64-bit id of a 32-bit one.
	xid64 func(uint32) uint64
	types types
	inTx  bool
	tx    change.Transaction
	// committed is when the current or last transaction did, in the protocol's own
	// microseconds.
	committed int64
	rows      arena
	// The current message, and its rows.
	current       buffer
	before, after tuple
	ready         []change.Signal
}

func newDecoder(n *names, xid64 func(uint32) uint64) *decoder {
	return &decoder{names: n, relations: map[uint32]*relation{}, xid64: xid64}
}

// decode reads one message that stands at lsn, and appends what it says to
// ready.
func (d *decoder) decode(lsn change.LSN, data []byte) error {
	b := &d.current
	*b = buffer{data: data}
	kind := b.byte()
	if err := d.message(kind, lsn, b); err != nil {
		return decodeError(kind, cmp.Or(lsn, d.tx.CommitLSN), err) // a relation has no LSN
	}
	return nil
}

func decodeError(kind byte, lsn change.LSN, err error) error {
	var lookup *errLookup
	if errors.Is(err, change.ErrUnreadable) || errors.As(err, &lookup) {
		return fmt.Errorf("decode message %q at %s: %w", kind, lsn, err)
	}
	return &change.Malformed{
		LSN: lsn, What: fmt.Sprintf("message %q", kind),
		Err: fmt.Errorf("%w: decode message %q at %s: %w", change.ErrMalformed, kind, lsn, err),
	}
}

func (d *decoder) message(kind byte, lsn change.LSN, b *buffer) error {
	switch kind {
	case 'B':
		return d.begin(b)
	case 'C':
		return d.commit(b)
	case 'R':
		return d.relation(b)
	case 'I', 'U', 'D':
		return d.row(kind, lsn, b)
	case 'T':
		return d.truncate(b)
	case 'M':
		return d.logical(b)
	case 'O', 'Y': // origin, type: of no concern
		return b.err
	}
	return errors.New("unknown kind of message")
}

func (d *decoder) begin(b *buffer) error {
	if d.inTx {
		return errors.New("transaction within a transaction")
	}
	commit, at := change.LSN(b.uint64()), b.uint64()
	d.tx = change.Transaction{CommitLSN: commit, Time: pgTime(at)}
	d.committed = int64(at)
	xid := b.uint32()
	if err := b.end(); err != nil {
		return err
	}
	d.tx.ID, d.inTx = d.xid64(xid), true
	d.ready = append(d.ready, change.Signal{Kind: change.Began, Transaction: d.tx, WALEnd: d.tx.CommitLSN})
	return nil
}

func (d *decoder) commit(b *buffer) error {
	b.byte() // flags, unused
	lsn, end := change.LSN(b.uint64()), change.LSN(b.uint64())
	b.uint64() // time, as in the begin message
	if err := b.end(); err != nil {
		return err
	}
	if !d.inTx || lsn != d.tx.CommitLSN || end <= lsn {
		return fmt.Errorf("commit of %s up to %s does not close the transaction of %s", lsn, end, d.tx.CommitLSN)
	}
	d.tx.EndLSN, d.inTx = end, false
	d.ready = append(d.ready, change.Signal{Kind: change.Committed, Transaction: d.tx, WALEnd: end})
	return nil
}

// relation notes a table's columns, and says so when they are others than
// before.
func (d *decoder) relation(b *buffer) error {
	id, r, err := d.names.readRelation(b)
	if err != nil {
		return err
	}
	d.relations[id] = r
	if r == nil {
		return nil
	}
	if !d.inTx {
		return errOutside
	}
	if err := d.types.assign(r.columns); err != nil {
		return err
	}
	r.missing = append(r.missing, d.names.unreadable(r.entity, r.columns)...)
	before := d.known[r.entity]
	d.known[r.entity] = r
	if (before == nil && r.missing == nil) || (before != nil && before.sameShape(r)) {
		return nil
	}
	d.note(&change.Control{
		Kind: change.SchemaChanged, Entities: []string{r.entity.String()}, Columns: r.streams(), Missing: r.missing, Retyped: r.retyped(before),
	})
	return nil
}

func (d *decoder) note(c *change.Control) {
	d.ready = append(d.ready, change.Signal{Kind: change.Noted, Control: c, Transaction: d.tx})
}

func (d *decoder) truncate(b *buffer) error {
	count := int(b.uint32())
	options := b.byte()
	c := &change.Control{Kind: change.Truncate}
	for range count {
		id := b.uint32()
		if b.err != nil {
			return b.err
		}
		r, told := d.relations[id]
		if !told {
			return fmt.Errorf("truncate of relation %d, which was not described", id)
		}
		if r != nil {
			c.Entities = append(c.Entities, r.entity.String())
		}
	}
	if options&1 != 0 {
		c.Reason = "cascade"
	}
	if err := b.end(); err != nil {
		return err
	}
	if !d.inTx {
		return errOutside
	}
	if len(c.Entities) > 0 {
		d.note(c)
	}
	return nil
}

var errOutside = errors.New("change outside of a transaction")

// logical reads a message of pg_logical_emit_message. Its content is untrusted.
func (d *decoder) logical(b *buffer) error {
	transactional := b.byte()&1 != 0
	lsn := change.LSN(b.uint64())
	prefix := b.text()
	content := b.take(int(b.uint32()))
	if err := b.end(); err != nil {
		return err
	}
	if transactional != d.inTx {
		return errors.New("logical message on the wrong side of a transaction's border")
	}
	if !strings.HasPrefix(prefix, MessagePrefix) || prefix == Heartbeat || len(prefix) > 200 {
		return nil
	}
	c := &change.Control{Kind: change.Message, Prefix: strings.ToValidUTF8(prefix, "\ufffd")}
	if len(content) > maxContent {
		c.Reason = "content too large, left out"
	} else {
		c.Content = strings.ToValidUTF8(string(content), "\ufffd")
	}
	if transactional {
		d.note(c)
		return nil
	}
	// It stands for itself: nothing commits, nothing may be confirmed by it.
	d.ready = append(d.ready, change.Signal{Kind: change.Noted, Control: c, Transaction: change.Transaction{
		CommitLSN: lsn, Message: 1, Messages: 1,
	}})
	return nil
}

// postgresEpoch is 2000-01-01, from which the protocol counts microseconds.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

func pgTime(micros uint64) change.Millis {
	return change.Millis(int64(micros)/1000 + postgresEpoch)
}
