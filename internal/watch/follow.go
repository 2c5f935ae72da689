package watch

import "github.com/peerquest/questwatch/internal/drift"

// News is what became of the findings, for somebody who follows them.
type News struct {
	// Anew says that what was told before is void. When the flow has caught up with the
	// stream, the transitions open all that is open then. When it is interrupted there
	// are none, and nothing is known until it has caught up again.
	Anew bool
	// Transitions are in their order, and those who follow may keep them.
	Transitions []drift.Transition
}

// Follow has fn told what becomes of the findings, each time when that has been
// published; it is called before Run. The flow calls fn and waits for it: fn must take
// the news and return, and must not look at the checker.
func (f *Flow) Follow(fn func(News)) { f.follow = fn }

// followed tells what was found at a message, once the flow has caught up. The
// transitions are the checker's, who uses them again.
func (f *Flow) followed(found []Found) {
	var news News
	for i := range found {
		if t := found[i].Transition; t != nil {
			news.Transitions = append(news.Transitions, *t)
		}
	}
	if len(news.Transitions) > 0 {
		f.follow(news)
	}
}

// followAnew tells what is open when the flow has caught up.
func (f *Flow) followAnew() {
	news := News{Anew: true}
	for _, open := range f.checker.Open() {
		news.Transitions = append(news.Transitions, drift.Transition{What: drift.Opened, Finding: open, At: open.Due})
	}
	f.follow(news)
}
