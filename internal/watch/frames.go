package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// A checkpoint is cut into frames. Each has a checksum over its number and its bytes,
// and the last one is empty: what is cut short, changed, left out, doubled or
// exchanged is noticed before anybody tries to understand it.
const (
	frameSize   = 256 << 10
	frameHeader = 8 // the length and the checksum
)

// ErrDamaged says that a checkpoint is not what was written.
var ErrDamaged = errors.New("it is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameWriter cuts into frames what is written to it, until Close.
type frameWriter struct {
	out    io.Writer
	buffer []byte
	number uint64
}

func newFrameWriter(out io.Writer) *frameWriter {
	return &frameWriter{out: out, buffer: make([]byte, frameHeader)}
}

func (w *frameWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), frameHeader+frameSize-len(w.buffer))
		w.buffer = append(w.buffer, p[:k]...)
		p, n = p[k:], n+k
		if len(w.buffer) == frameHeader+frameSize {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Close writes what is left, and the last frame.
func (w *frameWriter) Close() error {
	if len(w.buffer) > frameHeader {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return w.flush()
}

func (w *frameWriter) flush() error {
	payload := w.buffer[frameHeader:]
	binary.BigEndian.PutUint32(w.buffer, uint32(len(payload)))
	binary.BigEndian.PutUint32(w.buffer[4:], frameSum(w.number, payload))
	_, err := w.out.Write(w.buffer)
	w.number, w.buffer = w.number+1, w.buffer[:frameHeader]
	return err
}

func frameSum(number uint64, payload []byte) uint32 {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], number)
	return crc32.Update(crc32.Checksum(n[:], castagnoli), castagnoli, payload)
}

// frameReader is what was written to a frameWriter. It gives nothing that it has not
// checked, and ends only where the last frame, and what it reads from, end.
type frameReader struct {
	in     io.Reader
	buffer []byte
	rest   []byte // of the frame
	number uint64
	err    error
}

func newFrameReader(in io.Reader) *frameReader {
	return &frameReader{in: in}
}

func (r *frameReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *frameReader) next() error {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return cutShort(err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > frameSize {
		return fmt.Errorf("%w: frame %d has no length", ErrDamaged, r.number)
	}
	r.buffer = slices.Grow(r.buffer[:0], int(size))
	frame := r.buffer[:size]
	if _, err := io.ReadFull(r.in, frame); err != nil {
		return cutShort(err)
	}
	if frameSum(r.number, frame) != binary.BigEndian.Uint32(head[4:]) {
		return fmt.Errorf("%w: frame %d has another checksum", ErrDamaged, r.number)
	}
	r.rest = frame
	r.number++
	if size > 0 {
		return nil
	}
	switch _, err := io.ReadFull(r.in, head[:1]); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: something follows its end", ErrDamaged)
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut short", ErrDamaged)
	}
	return err
}
