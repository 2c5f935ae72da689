package stream

import "github.com/peerquest/questwatch/internal/change"

// onBranch reports whether all that the stream holds is in the server's log too. If
// not, common is the end of what is in both, or 0 where that is not known.
//
// A standby that takes over goes on with a timeline of its own, from where the
// one that it followed had come to, as far as it knew. What the former primary
// wrote beyond is in the stream and not in the database.
//
// The end of the log alone cannot tell: the new server may have written past our
// tail by now.
func onBranch(t *tail, n Note, timeline uint32, history []Switch) (common change.LSN, ok bool) {
	if n.Timeline == 0 {
		return 0, true // nothing is known to compare with
	}
	// Two standbys that take over from the same primary give their timelines the same
	// number: they differ in where they begin.
	from := forked(history, n.Timeline)
	if n.Forked != 0 && from != 0 && n.Forked != from {
		return min(from, n.Forked), false
	}
	if n.Timeline == timeline {
		return 0, true
	}
	for _, s := range history {
		if s.Timeline == n.Timeline {
			return s.At, t.whole != 0 && t.passed() <= s.At
		}
	}
	return 0, false
}

// forked is where a timeline begins, or 0.
func forked(history []Switch, timeline uint32) (at change.LSN) {
	for _, s := range history {
		if s.Timeline >= timeline {
			break
		}
		at = s.At
	}
	return at
}
