package pgsource

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/pgjson"
)

// Stream is a running replication connection. Receive is for one goroutine;
// Status and Hold may be called from another at the same time.
type Stream struct {
	conn    net.Conn
	frames  *frames
	decoder *decoder
	// next is a recent next transaction id of the server, by which 32-bit ids get
	// their upper half.
	next   atomic.Uint64
	cancel func()
	ready  int // signals of decoder.ready already given out

	writing sync.Mutex // guards writes to conn: a frame must not be cut by another
}

// Start streams what committed at or after from, which must be an end_lsn or a
// baseline's consistent point. next is the server's next transaction id. The
// slot being in use is ErrBusy; its being gone or invalidated is ErrNoSlot.
func (s *Source) Start(ctx context.Context, from change.LSN, next uint64) (*Stream, error) {
	conn, err := s.replicate(ctx)
	if err != nil {
		return nil, err
	}
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = pglogrepl.StartReplication(brief, conn, quote(s.config.Slot), pglogrepl.LSN(from), pglogrepl.StartReplicationOptions{
		PluginArgs: []string{
			"proto_version '1'",
			"publication_names " + literal(quote(s.config.Publication)),
			"messages 'true'",
		},
	})
	if err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, s.startError(err)
	}
	return s.newStream(ctx, conn, next)
}

// newStream takes the connection over. Looking up types ends with ctx, or with
// Close.
func (s *Source) newStream(ctx context.Context, conn *pgconn.PgConn, next uint64) (*Stream, error) {
	raw, err := conn.Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the replication connection: %w", err)
	}
	st := &Stream{conn: raw.Conn, frames: raw.CustomData[framesKey].(*frames)}
	st.frames.stream(raw.Conn, 3*s.config.SenderTimeout)
	st.next.Store(next)
	st.decoder = newDecoder(&s.names, st.xid64)
	ctx, st.cancel = context.WithCancel(ctx)
	st.decoder.types.ask = func(oids []uint32) (map[uint32]*pgjson.Type, error) { return s.lookUp(ctx, oids) }
	return st, nil
}

func (s *Source) startError(err error) error {
	wrapped := fmt.Errorf("start replication from slot %q: %w", s.config.Slot, err)
	switch codeOf(err) {
	case codeInUse:
		return fmt.Errorf("%w: %w", ErrBusy, wrapped)
	case codeUndefinedObject, codeNotPrerequisite:
		return fmt.Errorf("%w: %w", ErrNoSlot, wrapped)
	case codeLimit, codeTooManyConns:
		return hint.Wrap(wrapped, "raise max_wal_senders and restart the server")
	}
	return wrapped
}

// xid64 extends a transaction id by the epoch of the newest one known. It is
// right as long as the two are less than 2^31 transactions apart, which Postgres
// itself guarantees for ids in use.
func (st *Stream) xid64(xid uint32) uint64 {
	next := st.next.Load()
	return next + uint64(int64(int32(xid-uint32(next))))
}

// NextXID tells the stream the server's next transaction id; once a day is often
// enough.
func (st *Stream) NextXID(next uint64) { st.next.Store(next) }

// Receive gives the next signal. It returns when the connection is closed, or
// when the server has been silent for so long that it must be gone.
func (st *Stream) Receive(sig *change.Signal) error {
	for st.ready >= len(st.decoder.ready) {
		clear(st.decoder.ready)
		st.decoder.ready, st.ready = st.decoder.ready[:0], 0
		if err := st.read(); err != nil {
			return err
		}
	}
	*sig = st.decoder.ready[st.ready]
	st.ready++
	return nil
}

// read takes one message off the connection.
func (st *Stream) read() error {
	kind, body, err := st.frames.next()
	if err != nil {
		return fmt.Errorf("read from Postgres: %w", err)
	}
	switch kind {
	case 'd':
		return st.copyData(body)
	case 'E':
		var m pgproto3.ErrorResponse
		if err := m.Decode(body); err != nil {
			return fmt.Errorf("read an error from Postgres: %w", err)
		}
		return serverError(&m)
	case 'c', 'C', 'Z':
		return errors.New("read from Postgres: the server ended the stream")
	case 'N', 'S', 'A', 'W': // notices, parameter changes, what comes before the stream
		return nil
	}
	return fmt.Errorf("read from Postgres: unknown message %q", kind)
}

func serverError(m *pgproto3.ErrorResponse) error {
	err := fmt.Errorf("read from Postgres: the server ended the stream: %w", pgconn.ErrorResponseToPgError(m))
	if m.Code == codeNotPrerequisite || strings.HasPrefix(m.Code, "58P") {
		return fmt.Errorf("%w: %w", ErrNoSlot, err)
	}
	if m.Code == codeUndefinedObject { // the publication was not there when it was written
		return fmt.Errorf("%w: %w", change.ErrUnreadable, err)
	}
	return err
}

// farBehind is how old a transaction is, by the server's clock when it sends it,
// that nobody waits for to the millisecond any more.
const farBehind = int64(time.Second / time.Microsecond)

func (st *Stream) copyData(data []byte) error {
	b := &buffer{data: data}
	switch kind := b.byte(); kind {
	case 'w':
		lsn := change.LSN(b.uint64())
		b.uint64() // where the server's log ends, or so
		sent := int64(b.uint64())
		if b.err != nil {
			return fmt.Errorf("read from Postgres: %w", b.err)
		}
		err := st.decoder.decode(lsn, b.data)
		st.frames.lazy = sent-st.decoder.committed > farBehind
		return err
	case 'k':
		end := change.LSN(b.uint64())
		b.take(8) // the server's clock, which says nothing of what was sent
		reply := b.byte()
		if err := b.end(); err != nil {
			return fmt.Errorf("read keepalive: %w", err)
		}
		st.frames.lazy = false
		st.decoder.ready = append(st.decoder.ready, change.Signal{Kind: change.Alive, WALEnd: end, Reply: reply != 0})
		return nil
	default:
		return fmt.Errorf("read from Postgres: unknown replication message %q", kind)
	}
}

// Status tells the server what is durable: confirmed is the newest end_lsn that
// may be forgotten. With ask the server answers at once how far it has read, unless
// nobody receives at present: its answers would fill the socket. While nobody
// receives the server hears from us until maxAhead bytes wait to be received.
func (st *Stream) Status(confirmed change.LSN, ask bool) error {
	idle := st.frames.relieve(true)
	return st.status(confirmed, ask && !idle)
}

// Hold is Status for a stream that nothing will be received from any more: what
// comes is thrown away, a little with each call, so that the server goes on hearing
// from us for as long as Hold is called.
func (st *Stream) Hold(confirmed change.LSN) error {
	st.frames.relieve(false)
	return st.status(confirmed, false)
}

func (st *Stream) status(confirmed change.LSN, ask bool) error {
	var frame [39]byte
	frame[0] = 'd'
	binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-1))
	frame[5] = 'r'
	for i := range 3 { // written, flushed, applied
		binary.BigEndian.PutUint64(frame[6+8*i:], uint64(confirmed))
	}
	now := time.Now().UnixMicro() - postgresEpoch*1000
	binary.BigEndian.PutUint64(frame[30:], uint64(now))
	if ask {
		frame[38] = 1
	}
	st.writing.Lock()
	defer st.writing.Unlock()
	if err := st.conn.SetWriteDeadline(time.Now().Add(st.frames.silence)); err != nil {
		return fmt.Errorf("write to Postgres: %w", err)
	}
	if _, err := st.conn.Write(frame[:]); err != nil {
		return fmt.Errorf("write to Postgres: %w", err)
	}
	return nil
}

// Close ends the connection at once; the server frees the slot when it notices.
func (st *Stream) Close() error {
	st.cancel()
	return st.conn.Close()
}
