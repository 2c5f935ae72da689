package watch

import "github.com/peerquest/questwatch/internal/drift"

// News is what became of the findings, for somebody who follows them.
type News struct {
	// Anew says that what was told before is void. The transitions then open all that
	// is open: the flow has caught up with the stream. Without any it may be that the
	// flow has been interrupted, and what is open is not known.
	Anew        bool
	Transitions []drift.Transition
}

// Follow has fn told what becomes of the findings from when the flow has caught up on,
// after their events have been published; it is called before Run. fn is called by the
// flow, which waits for it: it must take the news and return.
func (f *Flow) Follow(fn func(News)) { f.follow = fn }
