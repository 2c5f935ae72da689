package bus

import "bytes"

const (
	arenaBytes  = 256 << 10 // of an arena
	spareArenas = 4         // that wait to be used again
)

// arena holds the data of many messages. When the last of them is no longer kept
// it is written over: at a hundred megabytes a second there is no leaving that to
// the garbage collector. So readers get copies.
type arena struct {
	data     []byte
	messages int
}

// keep copies an entry's data. It needs mu.
func (t *localTail) keep(e *tailEntry) {
	if len(e.data) > arenaBytes/8 {
		e.data = bytes.Clone(e.data)
		return
	}
	if t.arena == nil || len(e.data) > cap(t.arena.data)-len(t.arena.data) {
		t.arena = t.empty()
	}
	a := t.arena
	n := len(a.data)
	a.data = append(a.data, e.data...)
	a.messages++
	e.data, e.arena = a.data[n:len(a.data):len(a.data)], a
}

// empty is an arena with room. It needs mu.
func (t *localTail) empty() *arena {
	if last := len(t.spare) - 1; last >= 0 {
		a := t.spare[last]
		t.spare = t.spare[:last]
		return a
	}
	return &arena{data: make([]byte, 0, arenaBytes)}
}

// release is told of a message in an arena that is not kept any more. It needs mu.
func (t *localTail) release(a *arena) {
	if a == nil {
		return
	}
	if a.messages--; a.messages == 0 {
		a.data = a.data[:0]
		if a != t.arena && len(t.spare) < spareArenas {
			t.spare = append(t.spare, a)
		}
	}
}
