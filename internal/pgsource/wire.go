package pgsource

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errShort says that a message ends before what it announces.
var errShort = errors.New("message is too short")

// buffer reads a protocol message. The first error sticks; what is read after
// it is zero and must not be used.
type buffer struct {
	data []byte
	err  error
}

func (b *buffer) take(n int) []byte {
	if b.err != nil {
		return nil
	}
	if n < 0 || n > len(b.data) {
		b.err = errShort
		return nil
	}
	taken := b.data[:n]
	b.data = b.data[n:]
	return taken
}

func (b *buffer) byte() byte {
	if v := b.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (b *buffer) uint16() uint16 {
	if v := b.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (b *buffer) uint32() uint32 {
	if v := b.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (b *buffer) uint64() uint64 {
	if v := b.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// text reads a string that ends with a zero byte.
func (b *buffer) text() string {
	if b.err != nil {
		return ""
	}
	for i, c := range b.data {
		if c == 0 {
			s := string(b.data[:i])
			b.data = b.data[i+1:]
			return s
		}
	}
	b.err = errShort
	return ""
}

// end is the first error, or one when something is left over.
func (b *buffer) end() error {
	if b.err == nil && len(b.data) > 0 {
		return fmt.Errorf("%d bytes more than the message should have", len(b.data))
	}
	return b.err
}
