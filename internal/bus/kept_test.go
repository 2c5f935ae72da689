package bus

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// filled is a tail of one writer, with so many acknowledged messages of a kibibyte.
func filled(limit int64) (t *localTail, w *window, add func(n int)) {
	t, w = newLocalTail(limit), &window{name: "w"}
	t.begin(w)
	seq := Seq(0)
	return t, w, func(n int) {
		for range n {
			seq++
			data := bytes.Repeat([]byte{byte(seq)}, 1<<10)
			t.add(w, seq, queued{"s", data}, false)
			clear(data)
			t.ack(w, seq, time.Unix(int64(seq), 0))
		}
	}
}

// read takes all that there is from next on, and says where it ends.
func read(t *testing.T, tail *localTail, w *window, r *tailReader, next Seq) Seq {
	t.Helper()
	batch := make([]Message, 0, tailMessages)
	for {
		got, ok := tail.take(w, next, r, batch)
		if !ok {
			t.Fatalf("message %d is not kept", next)
		}
		if len(got) == 0 {
			return next
		}
		for _, m := range got {
			if m.Seq != next || !bytes.Equal(m.Data, bytes.Repeat([]byte{byte(next)}, 1<<10)) {
				t.Fatalf("message %d has sequence %d and begins with %d", next, m.Seq, m.Data[0])
			}
			next++
		}
	}
}

// What all have read is kept in a quarter of the room, what somebody has not in all
// of it.
func TestTailKeepsLittleOfWhatAllHaveRead(t *testing.T) {
	const limit = 4 << 20
	tail, w, add := filled(limit)
	first, second := tail.join(), tail.join()
	want := func(what string, low, high int64) {
		t.Helper()
		if tail.bytes < low || tail.bytes > high {
			t.Errorf("%s: %d bytes, want %d to %d", what, tail.bytes, low, high)
		}
	}
	add(1)
	one, two := read(t, tail, w, first, 1), read(t, tail, w, second, 1)
	for range 100 {
		add(100)
		one, two = read(t, tail, w, first, one), read(t, tail, w, second, two)
	}
	add(1)
	want("both have read", limit/8, limit/4+200<<10)
	for range 100 {
		add(100)
		one = read(t, tail, w, first, one)
	}
	want("one is behind", limit-2<<10, limit)
	if _, ok := tail.take(w, two, second, make([]Message, 0, 1)); ok {
		t.Error("the other has to come from the server, and does not")
	}
	tail.depart(second)
	add(100)
	one = read(t, tail, w, first, one)
	want("one comes from the server", limit-2<<10, limit)
	tail.leave(second)
	add(1)
	want("one has left", limit/8, limit/4+200<<10)
	if len(tail.spare) > spareArenas {
		t.Errorf("%d spare arenas", len(tail.spare))
	}
	if at, ok := tail.stored(one); !ok || at.Unix() != int64(one) {
		t.Errorf("message %d was stored at %s, %t", one, at, ok)
	}
	for _, seq := range []Seq{1, one + 1} {
		if _, ok := tail.stored(seq); ok {
			t.Errorf("message %d is kept", seq)
		}
	}
	tail.leave(first)
	if fmt.Sprint(tail.bytes, len(tail.entries), len(tail.following)) != "0 0 0" {
		t.Errorf("%d bytes are kept for nobody", tail.bytes)
	}
}
