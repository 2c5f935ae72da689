// Package pack is how states are written to be read again: integers as
// encoding/binary's varints, texts behind their length.
//
// Guarantees. Reading never panics, and whatever a length says, takes no more
// memory than what really comes, and once more. After the first error everything
// reads as zero. What the source itself fails with stays that error; everything else
// is ErrDamaged.
package pack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// ErrDamaged says that what was read is nothing that was written here.
var ErrDamaged = errors.New("data is damaged")

// AppendText appends a text that Reader.Text reads.
func AppendText[T ~string](b []byte, text T) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// Reader reads what was appended with encoding/binary and AppendText.
type Reader struct {
	in     *bufio.Reader
	buffer []byte
	err    error
}

// NewReader reads from where in stands, and no byte more than it is asked for.
func NewReader(in *bufio.Reader) *Reader { return &Reader{in: in} }

// Err is the first error, or nil.
func (r *Reader) Err() error { return r.err }

// Fail says that what was read cannot be.
func (r *Reader) Fail() {
	if r.err == nil {
		r.err = ErrDamaged
	}
}

// Uint reads what binary.AppendUvarint appended.
func (r *Reader) Uint() (n uint64) {
	for shift := 0; shift < 64 && r.err == nil; shift += 7 {
		c, err := r.in.ReadByte()
		if err != nil {
			r.err = torn(err)
			return 0
		}
		if shift == 63 && c > 1 {
			break
		}
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	r.Fail()
	return 0
}

// Int reads what binary.AppendVarint appended.
func (r *Reader) Int() int64 {
	n := r.Uint()
	return int64(n>>1) ^ -int64(n&1)
}

// Size reads a number that is no greater than most.
func (r *Reader) Size(most uint64) int {
	n := r.Uint()
	if n > most {
		r.Fail()
		return 0
	}
	return int(n)
}

// Flag reads 0 or 1.
func (r *Reader) Flag() bool { return r.Size(1) == 1 }

// Bytes reads a text of at most so many bytes; they are valid until the next call.
func (r *Reader) Bytes(most uint64) []byte {
	n := r.Size(most)
	r.buffer = r.buffer[:0]
	for r.err == nil && len(r.buffer) < n {
		from := len(r.buffer)
		r.buffer = slices.Grow(r.buffer, min(n-from, 64<<10))
		r.buffer = r.buffer[:min(cap(r.buffer), n)]
		if _, err := io.ReadFull(r.in, r.buffer[from:]); err != nil {
			r.err = torn(err)
		}
	}
	if r.err != nil {
		return nil
	}
	return r.buffer
}

// Text is Bytes as a string.
func (r *Reader) Text(most uint64) string { return string(r.Bytes(most)) }

// torn tells an end in the middle from an error of the source.
func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrDamaged
	}
	return err
}
