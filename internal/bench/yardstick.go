package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
)

// publication is the one that the program makes.
const publication = "questwatch"

// receive drains a slot with pg_recvlogical into nowhere, over TCP.
func (p *postgres) receive(ctx context.Context, slot, end string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, p.program("pg_recvlogical"), "-d", p.dsn, "--slot", slot, "--start", "--no-loop",
		"-o", "proto_version=1", "-o", "publication_names="+publication, "--endpos", end, "-f", os.DevNull)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("run pg_recvlogical: %w: %s", err, out)
	}
	return time.Since(start), nil
}

// Of the raw reader: it stays away until the socket's window has closed, because
// a walsender whose reader keeps up sends every row by itself.
const (
	rawBuffer = 1 << 20
	rawWindow = 128 << 10
	rawPause  = 20 * time.Millisecond
	rawEnough = 32 << 10
)

// read drains a slot with a reader that looks at frames only: what the server can
// give.
func (p *postgres) read(ctx context.Context, slot, end string) (took time.Duration, err error) {
	until, err := pglogrepl.ParseLSN(end)
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", end, err)
	}
	conn, err := pgconn.Connect(ctx, p.dsn+"&replication=database")
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	start := time.Now()
	err = pglogrepl.StartReplication(ctx, conn, slot, 0, pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names '" + publication + "'"},
	})
	if err != nil {
		return 0, closing(fmt.Errorf("start replication: %w", err), func() error { return conn.Close(ctx) })
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return 0, fmt.Errorf("take over the connection: %w", err)
	}
	defer hijacked.Conn.Close()
	if err := hijacked.Conn.(*net.TCPConn).SetReadBuffer(rawWindow); err != nil {
		return 0, fmt.Errorf("take over the connection: %w", err)
	}
	if err := skim(hijacked.Conn, uint64(until)); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

// skim reads frames until a commit, or a keepalive, at or behind a position.
func skim(conn net.Conn, until uint64) error {
	buffer := make([]byte, rawBuffer)
	have := 0
	for {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		n, err := conn.Read(buffer[have:])
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		have += n
		rest := buffer[:have]
		for len(rest) >= 5 {
			size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
			if size > rawBuffer {
				return errors.New("read: a message is larger than the buffer")
			}
			if len(rest) < size {
				break
			}
			if position(rest[5:size]) >= until {
				return nil
			}
			rest = rest[size:]
		}
		have = copy(buffer, rest)
		if n < rawEnough {
			time.Sleep(rawPause)
		}
	}
}

// position is how far a replication message says that the server has read; 0 when
// it does not.
func position(message []byte) uint64 {
	switch {
	case len(message) >= 9 && message[0] == 'k':
		return binary.BigEndian.Uint64(message[1:])
	case len(message) >= 25+18 && message[0] == 'w' && message[25] == 'C':
		return binary.BigEndian.Uint64(message[25+10:])
	}
	return 0
}
