package pgsource

import (
	"testing"

	"github.com/jackc/pglogrepl"
)

// firstTransaction is a captured transaction of an update and an insert, with
// their relations known to the decoder already.
func firstTransaction(tb testing.TB) (d *decoder, messages [][]byte) {
	tb.Helper()
	d = testDecoder(tb)
	for _, m := range seeds(tb) {
		if err := d.decode(1, m); err != nil {
			tb.Fatal(err)
		}
		if m[0] != 'R' {
			messages = append(messages, m)
		}
		if m[0] == 'C' {
			return d, messages
		}
	}
	tb.Fatal("no commit among the captured messages")
	return nil, nil
}

// rows counts the row messages.
func rows(messages [][]byte) (n int) {
	for _, m := range messages {
		if m[0] == 'I' || m[0] == 'U' || m[0] == 'D' {
			n++
		}
	}
	return n
}

// decodeAll decodes as a Stream does.
func decodeAll(tb testing.TB, st *Stream, messages [][]byte) {
	tb.Helper()
	for i := range messages {
		if err := st.copyData(messages[i]); err != nil {
			tb.Fatal(err)
		}
		clear(st.decoder.ready)
		st.decoder.ready = st.decoder.ready[:0]
	}
}

// replicated wraps messages as the server sends them.
func replicated(messages [][]byte) (wrapped [][]byte) {
	for _, m := range messages {
		wrapped = append(wrapped, append(append([]byte{'w'}, make([]byte, 24)...), m...))
	}
	return wrapped
}

// BenchmarkDecode decodes a transaction of two rows.
func BenchmarkDecode(b *testing.B) {
	d, messages := firstTransaction(b)
	st := &Stream{decoder: d, frames: &frames{}}
	n, wrapped := rows(messages), replicated(messages)
	b.ReportAllocs()
	for b.Loop() {
		decodeAll(b, st, wrapped)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
}

// BenchmarkDecodeLibrary is a part of that: the library takes the messages apart
// and leaves the values as they are.
func BenchmarkDecodeLibrary(b *testing.B) {
	_, messages := firstTransaction(b)
	n := rows(messages)
	b.ReportAllocs()
	for b.Loop() {
		for _, m := range messages {
			if _, err := pglogrepl.Parse(m); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
}

// Rows are put many to an allocation.
func TestDecodingAllocatesNothingARow(t *testing.T) {
	d, messages := firstTransaction(t)
	st := &Stream{decoder: d, frames: &frames{}}
	wrapped := replicated(messages)
	decodeAll(t, st, wrapped)
	if n := testing.AllocsPerRun(2000, func() { decodeAll(t, st, wrapped) }); n != 0 {
		t.Errorf("%v allocations for %d rows", n, rows(messages))
	}
}
