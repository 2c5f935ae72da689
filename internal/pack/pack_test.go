package pack_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/peerquest/questwatch/internal/pack"
)

func reader(b []byte) *pack.Reader { return pack.NewReader(bufio.NewReader(bytes.NewReader(b))) }

func TestRoundTrip(t *testing.T) {
	var b []byte
	numbers := []int64{0, 1, -1, 127, 128, -12345, math.MaxInt64, math.MinInt64}
	long := strings.Repeat("long ", 100_000)
	for _, n := range numbers {
		b = binary.AppendVarint(binary.AppendUvarint(b, uint64(n)), n)
	}
	b = pack.AppendText(pack.AppendText(pack.AppendText(b, ""), "é"), long)
	b = append(b, 1, 0)
	r := reader(b)
	for _, n := range numbers {
		if u, i := r.Uint(), r.Int(); u != uint64(n) || i != n {
			t.Errorf("%d came back as %d and %d", n, u, i)
		}
	}
	if a, b, c := r.Text(0), r.Text(2), r.Text(uint64(len(long))); a != "" || b != "é" || c != long {
		t.Errorf("texts came back as %q, %q and %d bytes", a, b, len(c))
	}
	if one, none := r.Flag(), r.Flag(); !one || none || r.Err() != nil {
		t.Errorf("flags %v and %v, error %v", one, none, r.Err())
	}
	if r.Uint(); !errors.Is(r.Err(), pack.ErrDamaged) {
		t.Errorf("behind the end: error %v", r.Err())
	}
}

func TestWhatCannotBe(t *testing.T) {
	for name, read := range map[string]struct {
		data []byte
		by   func(*pack.Reader)
	}{
		"nothing":           {nil, func(r *pack.Reader) { r.Uint() }},
		"number cut short":  {[]byte{0x80}, func(r *pack.Reader) { r.Int() }},
		"number too long":   {bytes.Repeat([]byte{0xff}, 12), func(r *pack.Reader) { r.Uint() }},
		"text cut short":    {[]byte{3, 'a', 'b'}, func(r *pack.Reader) { r.Text(10) }},
		"text too long":     {[]byte{3, 'a', 'b', 'c'}, func(r *pack.Reader) { r.Text(2) }},
		"flag of two":       {[]byte{2}, func(r *pack.Reader) { r.Flag() }},
		"size too great":    {[]byte{9}, func(r *pack.Reader) { r.Size(8) }},
		"whoever says so":   {[]byte{9}, func(r *pack.Reader) { r.Fail() }},
		"zero after errors": {[]byte{9, 7}, func(r *pack.Reader) { r.Fail(); _ = 1 / (1 - r.Uint()) }},
	} {
		r := reader(read.data)
		if read.by(r); !errors.Is(r.Err(), pack.ErrDamaged) {
			t.Errorf("%s: error %v", name, r.Err())
		}
	}
	r := pack.NewReader(bufio.NewReader(iotest.ErrReader(io.ErrClosedPipe)))
	if r.Uint(); !errors.Is(r.Err(), io.ErrClosedPipe) || errors.Is(r.Err(), pack.ErrDamaged) {
		t.Errorf("the source's own error is %v", r.Err())
	}
}

// A length that is not true costs no memory.
func TestAbsurdLength(t *testing.T) {
	data := append(binary.AppendUvarint(nil, 1<<40), "short"...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := reader(data)
	r.Bytes(1 << 50)
	runtime.ReadMemStats(&after)
	if !errors.Is(r.Err(), pack.ErrDamaged) {
		t.Errorf("error %v", r.Err())
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("took %d bytes", n)
	}
}
