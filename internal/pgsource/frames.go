package pgsource

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Of reading from the server, in bytes.
const (
	// readBuffer is how much is read at once.
	readBuffer = 1 << 20
	// enough is how much a read must bring for more to be waiting.
	enough = 32 << 10
	// largest bounds a message; the server allows none of 1 GiB.
	largest = 1 << 30
	// headerSize is that of a message: its kind, and its length without the kind.
	headerSize = 5
)

// A reader that is behind stays away, and then takes all that has come. The
// walsender writes every row to its socket by itself. While the reader's window is
// open each is sent by itself, which costs the server as much again as the row
// does; while it is closed the kernel puts them together. On the machine itself a
// small window closes soon. 3 ms are enough for that: of 20 a reader with much else to
// do waits for most in vain (a drain takes a third longer; scripts/bench drain).
const (
	away        = 3 * time.Millisecond
	localWindow = 128 << 10
)

// A socket that nobody reads from must not stay full. When many small segments use
// its memory up before the window that it has promised, Linux drops what comes
// then, and with it, unseen, the acknowledgements of what we send. So our own
// messages wait for acknowledgements too, and the server, which hears nothing, ends
// the connection. Taking a little out from time to time lets them through.
const (
	// unread is how long nobody reads before something is taken out, and again. Both
	// kernels wait twice as long before each new attempt, so that it must be short.
	unread = 200 * time.Millisecond
	// relief is how much that is at once: a window opens when a sixteenth of it is
	// free, and a whole segment.
	relief = 128 << 10
	// maxAhead bounds what is kept of it.
	maxAhead = 64 * relief
	// glance is how long to wait for what is there already.
	glance = 2 * time.Millisecond
)

// frames reads the server's messages. While a connection is set up it is a reader
// that gives one message at a time, so that nobody else has read ahead when the
// connection is taken over.
type frames struct {
	conn net.Conn
	from io.Reader // conn, by way of pgconn's own reader
	// silence is how long the server may say nothing before it counts as gone.
	silence time.Duration
	// lazy says that there is much to read, and no hurry for its first bytes.
	lazy bool
	tcp  *net.TCPConn // nil where there is no window
	near bool         // the server is on this machine, and the window is as it was

	buffer     []byte
	start, end int // what of buffer has not been given out
	left       int // bytes of the current message that Read has not given out
	came       int // by the last read from the network

	taking         sync.Mutex // whoever reads from the network may meet whoever relieves it
	ahead          []byte     // relieve has taken it off the network, and fill has not got it yet
	taken          []byte     // by relieve, before it gets there
	last, relieved time.Time  // when the last read ended, and when something was taken out last
}

// stream prepares for reading a stream from a connection that is set up.
func (f *frames) stream(conn net.Conn, silence time.Duration) {
	f.conn, f.silence, f.last = conn, silence, time.Now()
	below := conn
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		below = tls.NetConn()
	}
	f.tcp, _ = below.(*net.TCPConn)
	if f.tcp != nil {
		peer, ok := f.tcp.RemoteAddr().(*net.TCPAddr)
		f.near = ok && peer.IP.IsLoopback()
	}
}

// stayAway lets the server go on for a while.
func (f *frames) stayAway() error {
	if f.near {
		f.near = false
		if err := f.tcp.SetReadBuffer(localWindow); err != nil {
			return err
		}
	}
	time.Sleep(away)
	return nil
}

// Read gives bytes of the current message only.
func (f *frames) Read(p []byte) (int, error) {
	if f.left == 0 {
		if err := f.have(headerSize); err != nil {
			return 0, err
		}
		size, err := f.size()
		if err != nil {
			return 0, err
		}
		f.left = size
	}
	if f.start == f.end {
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.buffer[f.start:min(f.end, f.start+f.left)])
	f.start, f.left = f.start+n, f.left-n
	return n, nil
}

// next gives the kind and the body of the next message. The body is valid until
// the next call.
func (f *frames) next() (kind byte, body []byte, err error) {
	if err := f.have(headerSize); err != nil {
		return 0, nil, err
	}
	size, err := f.size()
	if err != nil {
		return 0, nil, err
	}
	if err := f.have(size); err != nil {
		return 0, nil, err
	}
	message := f.buffer[f.start : f.start+size]
	f.start += size
	return message[0], message[headerSize:], nil
}

// size is that of the message whose header is there.
func (f *frames) size() (int, error) {
	n := int(binary.BigEndian.Uint32(f.buffer[f.start+1:]))
	if n < headerSize-1 || n >= largest {
		return 0, fmt.Errorf("message of %d bytes", n)
	}
	return 1 + n, nil
}

// have reads until n bytes are there.
func (f *frames) have(n int) error {
	for f.end-f.start < n {
		if n > len(f.buffer)-f.start {
			f.shift(n)
		}
		if err := f.fill(); err != nil {
			return err
		}
	}
	return nil
}

// shift moves what is left to the front of a buffer with room for n bytes, of the
// usual size where that will do.
func (f *frames) shift(n int) {
	to := f.buffer
	if size := max(n, readBuffer); size != len(to) {
		to = make([]byte, size)
	}
	f.end = copy(to, f.buffer[f.start:f.end])
	f.buffer, f.start = to, 0
}

// fill reads once from the network.
func (f *frames) fill() error {
	if f.start == f.end {
		f.start, f.end = 0, 0
	}
	if f.end == len(f.buffer) {
		f.shift(readBuffer)
	}
	if f.lazy && f.tcp != nil && f.came < enough {
		if err := f.stayAway(); err != nil {
			return err
		}
	}
	n, err := f.take(f.buffer[f.end:])
	f.end, f.came = f.end+n, n
	switch {
	case n > 0:
		return nil // an error comes again
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("nothing for %s: %w", f.silence, err)
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// take reads what comes next.
func (f *frames) take(into []byte) (n int, err error) {
	f.taking.Lock()
	defer f.taking.Unlock()
	if len(f.ahead) > 0 {
		n = copy(into, f.ahead)
		f.ahead = f.ahead[n:]
		return n, nil
	}
	f.ahead = nil
	if f.silence > 0 {
		if err := f.conn.SetReadDeadline(time.Now().Add(f.silence)); err != nil {
			return 0, err
		}
	}
	n, err = f.from.Read(into)
	f.last = time.Now()
	return n, err
}

// relieve takes a little off the network when nobody has read from it for a while,
// and reports whether that is so. Without keep, what it takes is lost, and nothing
// can be read any more. An error is left for others to meet.
func (f *frames) relieve(keep bool) (idle bool) {
	if !f.taking.TryLock() {
		return false
	}
	defer f.taking.Unlock()
	if time.Since(f.last) < unread {
		return false
	}
	room := relief
	if keep {
		room = min(room, maxAhead-len(f.ahead))
	}
	if room == 0 || time.Since(f.relieved) < unread || f.conn.SetReadDeadline(time.Now().Add(glance)) != nil {
		return true
	}
	f.relieved = time.Now()
	if f.taken == nil {
		f.taken = make([]byte, relief)
	}
	n, _ := io.ReadFull(f.from, f.taken[:room])
	if keep {
		f.ahead = append(f.ahead, f.taken[:n]...)
	}
	return true
}
