package watch_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/watch"
)

// follower notes what it is told, and how much was published by then.
type follower struct {
	memory *memory
	heard  []string
	early  []string // told before it was published
}

func (f *follower) hear(n watch.News) {
	text := fmt.Sprintf("anew %t", n.Anew)
	for i := range n.Transitions {
		t := &n.Transitions[i]
		text += fmt.Sprintf(" %s %s", t.What, t.Finding.User)
		id := t.Finding.ID + "." + string(t.What)
		if !slices.ContainsFunc(f.memory.events, func(o watch.Outgoing) bool { return o.ID == id }) {
			f.early = append(f.early, text)
		}
	}
	f.heard = append(f.heard, text)
}

func (f *follower) run(t *testing.T) {
	t.Helper()
	flow := watch.New(quietRules(), f.memory, f.memory, f.memory, f.memory, slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)))
	flow.Follow(f.hear)
	f.memory.runFlow(t, flow)
}

func (f *follower) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, f.heard); diff != "" || len(f.early) > 0 {
		t.Errorf("heard (-want +got):\n%s before it was published: %q", diff, f.early)
	}
	f.heard = nil
}

// Who follows the findings hears what is open when the flow has caught up, what
// becomes of it from then on, and that nothing is known when the flow has ended.
func TestFollow(t *testing.T) {
	s := faulty()
	f := &follower{memory: newMemory(s)}
	f.run(t)
	f.want(t, "anew true opened bob", "anew true") // ann's was over by then
	// The stream goes on while it is read.
	before := len(s.records)
	s.commit(s.setPair(1, change.Application, "cid", "approved", true))
	s.clock += 5000
	s.mark(0)
	s.commit(s.setPair(1, change.Participant, "bob", "joined", true), s.setPair(1, change.Participant, "cid", "joined", true))
	f.memory.records, f.memory.late = s.records, len(s.records)-before
	f.run(t)
	f.want(t, "anew true opened bob", "anew false opened cid", "anew false resolved bob resolved cid", "anew true")
	// From the end of the stream on there is nothing to catch up with.
	f.memory.late = 0
	f.run(t)
	f.want(t, "anew true", "anew true")
}

// Interrupted, the flow says so, and says again what is open when it has caught up.
func TestFollowInterrupted(t *testing.T) {
	for call := 1; call <= 3; call++ {
		f := &follower{memory: newMemory(faulty())}
		f.memory.failPublish = call
		f.run(t)
		f.want(t, "anew true", "anew true opened bob", "anew true")
	}
}
