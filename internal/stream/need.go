package stream

import (
	"errors"

	"github.com/peerquest/questwatch/internal/change"
)

// errNeeded ends a session because a reader needs a baseline.
var errNeeded = errors.New("a baseline is needed")

// Need says that a reader begins at a message and knows nothing: it needs a baseline
// that begins there or later. If the stream has none, the session ends, and the next
// one takes one. 0 says that it needs none.
func (f *Flow) Need(from change.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.need = from
	f.see()
}

// begins notes where the session's baseline begins, 0 while it has none that can be
// used, in a stream that ends at a message. It returns what is needed.
func (f *Flow) begins(baseline, last change.Seq) (need change.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.need > last+1 {
		f.need = 0 // it was said of another stream
	}
	f.noted = baseline
	f.see()
	return f.need
}

// see ends the session when its baseline will not do. One without is about to take
// one.
func (f *Flow) see() {
	if f.noted != 0 && f.noted < f.need && f.end != nil {
		f.end(errNeeded)
	}
}
