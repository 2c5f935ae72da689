package stream

import (
	"context"
	"errors"
	"sync"

	"github.com/peerquest/questwatch/internal/change"
)

// errNeeded ends a session because a reader needs a baseline.
var errNeeded = errors.New("a baseline is needed")

// Need says that a reader begins at a message and knows nothing: it needs a baseline
// that begins there or later. If the stream has none, the session ends, and the next
// one takes one. 0 says that it needs none.
func (f *Flow) Need(from change.Seq) { f.needs.ask(from) }

// needs is where a reader and the sessions of a flow meet.
type needs struct {
	mu sync.Mutex // the reader asks while a session runs
	// from is where the reader begins, on where the session's baseline does; 0 while
	// nobody needs one, and while the session is about to take one.
	from, on change.Seq
	end      context.CancelCauseFunc // of the session
}

func (n *needs) ask(from change.Seq) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.from = from
	n.see()
}

// start notes how to end the session that begins.
func (n *needs) start(end context.CancelCauseFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on, n.end = 0, end
}

// open notes where the baseline begins that a session finds in a stream with such an
// end, and returns what is needed: if that is more, the session is about to take one.
func (n *needs) open(on, last change.Seq) (from change.Seq) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.from > last+1 {
		n.from = 0 // it was said of another stream
	}
	if on >= n.from {
		n.on = on
	}
	return n.from
}

// rest notes where a session's new baseline begins, 0 while it is being taken.
func (n *needs) rest(on change.Seq) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on = on
	n.see()
}

// see ends the session when its baseline will not do.
func (n *needs) see() {
	if n.on != 0 && n.on < n.from && n.end != nil {
		n.end(errNeeded)
	}
}
