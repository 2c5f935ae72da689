package pgsource

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// socket is both ends of a TCP connection.
func socket(t *testing.T) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if here, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close() })
	return here, there
}

func framesOn(conn net.Conn) *frames {
	f := &frames{from: conn, buffer: make([]byte, readBuffer)}
	f.stream(conn, 10*time.Second)
	return f
}

func message(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

func send(t *testing.T, conn net.Conn, data ...[]byte) {
	t.Helper()
	if _, err := conn.Write(bytes.Join(data, nil)); err != nil {
		t.Fatal(err)
	}
}

// Whoever sets the connection up reads no further than the message that it waits
// for.
func TestFramesGiveOneMessageAtATime(t *testing.T) {
	here, there := socket(t)
	f := framesOn(here)
	first, second := message('R', []byte("first")), message('d', []byte("second"))
	send(t, there, first, second)
	got := make([]byte, 100)
	n, err := io.ReadAtLeast(f, got, len(first))
	if err != nil || !bytes.Equal(got[:n], first) {
		t.Errorf("read %q, %v", got[:n], err)
	}
	kind, body, err := f.next()
	if err != nil || kind != 'd' || string(body) != "second" {
		t.Errorf("next is %q %q, %v", kind, body, err)
	}
}

// Messages come whole, however large, and however the network cuts them.
func TestFramesOfAnySize(t *testing.T) {
	here, there := socket(t)
	f := framesOn(here)
	sizes := []int{0, 1, readBuffer - headerSize, readBuffer, 3 * readBuffer, 7, 2*readBuffer + 1, 100}
	written := make(chan error, 1)
	go func() {
		for i, size := range sizes {
			m := message('d', bytes.Repeat([]byte{byte('a' + i)}, size))
			for len(m) > 0 {
				n := min(len(m), 70_001)
				if _, err := there.Write(m[:n]); err != nil {
					written <- err
					return
				}
				m = m[n:]
			}
		}
		written <- nil
	}()
	for i, size := range sizes {
		f.lazy = i%2 == 0
		_, body, err := f.next()
		if err != nil || len(body) != size || bytes.Count(body, []byte{byte('a' + i)}) != size {
			t.Fatalf("message %d has %d bytes of %d, %v", i, len(body), size, err)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if len(f.buffer) != readBuffer {
		t.Errorf("the buffer stays at %d bytes", len(f.buffer))
	}
}

func TestFramesRefuseImpossibleSizes(t *testing.T) {
	for _, size := range []uint32{0, 3, largest, 1<<32 - 1} {
		here, there := socket(t)
		send(t, there, binary.BigEndian.AppendUint32([]byte{'d'}, size))
		if _, _, err := framesOn(here).next(); err == nil {
			t.Errorf("a message of %d bytes", size)
		}
	}
}

func TestFramesCutShort(t *testing.T) {
	here, there := socket(t)
	send(t, there, message('d', []byte("whole")), message('d', []byte("cut"))[:6])
	there.Close()
	f := framesOn(here)
	if _, body, err := f.next(); err != nil || string(body) != "whole" {
		t.Fatalf("%q, %v", body, err)
	}
	if _, _, err := f.next(); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

func TestFramesEndASilentConnection(t *testing.T) {
	here, _ := socket(t)
	f := framesOn(here)
	f.silence, f.lazy = 50*time.Millisecond, true
	if _, _, err := f.next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
