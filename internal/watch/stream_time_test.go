package watch_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/watch"
)

// timeline is a story with one quest, at a time from 0 on.
type timeline struct {
	*story
	zero change.Millis
}

// newTimeline has a quest 1 for which ann and bob have applied, and a mark at 0.
func newTimeline() *timeline {
	s := newStory()
	s.setPair(1, change.Application, "ann", "pending", true)
	s.setPair(1, change.Application, "bob", "pending", true)
	s.assign(1, "", "open")
	s.baseline()
	s.mark(0)
	return &timeline{s, s.clock}
}

// at sets the database's clock, forward or back.
func (l *timeline) at(ms change.Millis) *timeline {
	l.clock = l.zero + ms
	return l
}

// The pieces of an approval, a transaction each.
func (l *timeline) approve(user string) {
	l.commit(l.setPair(1, change.Application, user, "approved", false))
}

func (l *timeline) join(user string) {
	l.commit(l.setPair(1, change.Participant, user, "joined", false))
}
func (l *timeline) take(user string) { l.commit(l.assign(1, user, "in-progress")) }

// told lists what is told of findings: behind which message, what, and when.
func (l *timeline) told(t *testing.T) (all []string) {
	t.Helper()
	c := watch.NewChecker(defaultRules())
	for _, r := range l.records {
		found, err := c.Take(r)
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			if tr := found[i].Transition; tr != nil {
				all = append(all, fmt.Sprintf("%s %s %s since %d at %d", tr.What, tr.Finding.Violation.Rule, tr.Finding.User, tr.Finding.Since-l.zero, tr.At-l.zero))
			}
		}
	}
	return all
}

// Time is the stream's: what was committed, and what the marks say, in the order in which they stand there.
func TestStreamTime(t *testing.T) {
	const opened, resolved = "opened missing_participant ann since 100 at 3100", "resolved missing_participant ann since 100 at "
	for name, test := range map[string]struct {
		write func(l *timeline)
		want  []string
	}{
		"a stream that lags opens nothing": {func(l *timeline) {
			// A minute of log comes at once, the marks of that minute do not.
			for ms := change.Millis(100); ms < 60_000; ms += 8500 {
				l.at(ms).approve("ann")
				l.at(ms + 2900).join("ann")
				l.at(ms + 5700).take("ann")
				l.at(ms + 5800).commit(append(l.removePair(1, change.Participant, "ann"), l.removePair(1, change.Application, "ann")...)...)
				l.at(ms+5900).commit(l.assign(1, "", "open"), l.setPair(1, change.Application, "ann", "pending", true))
			}
			l.at(60_000).mark(0)
		}, nil},
		"a mark that is late opens nothing early": {func(l *timeline) {
			l.at(100).approve("ann")
			l.at(9000).mark(9000)
			l.mark(5901) // 3099
			l.join("ann")
			l.at(9100).take("ann")
			l.at(20_000).mark(0)
		}, nil},
		"a lag does not hide what lasted": {func(l *timeline) {
			l.at(100).approve("ann")
			l.at(50_000).mark(0)
		}, []string{opened}},
		"an idle stream opens on time": {func(l *timeline) {
			l.at(100).approve("ann")
			for _, ms := range []change.Millis{1000, 3099, 3100, 3101, 10_000} {
				l.at(ms).mark(0)
			}
		}, []string{opened}},
		"an idle stream with marks far apart": {func(l *timeline) {
			l.at(100).approve("ann")
			l.at(10_000).mark(0)
			l.at(20_000).mark(0)
		}, []string{opened}},
		"ended just before the mark": {func(l *timeline) {
			l.at(100).approve("ann")
			l.at(3099).mark(0)
			l.at(3100).join("ann")
			l.take("ann")
			l.mark(0)
		}, nil},
		"ended just after the mark": {func(l *timeline) {
			l.at(100).approve("ann")
			l.at(3100).mark(0)
			l.join("ann")
			l.take("ann")
		}, []string{opened, resolved + "3100"}},
		"two equal times": {func(l *timeline) {
			l.at(100).approve("ann")
			l.approve("bob")
			l.at(3100).mark(0)
			l.mark(0)
		}, []string{opened, "opened missing_participant bob since 100 at 3100"}},
		"the clock steps back between pieces": {func(l *timeline) {
			l.at(100).approve("ann")
			l.at(200).mark(0)
			l.at(-60_000).join("ann")
			l.at(-59_000).take("ann")
			l.at(-58_000).mark(0)
		}, nil},
		"the clock steps back under a violation": {func(l *timeline) {
			// Nothing opens before the clock is again where the stream was, and the grace has passed.
			l.at(5000).mark(0)
			l.at(1000).approve("ann")
			for _, ms := range []change.Millis{1100, 4000, 4999, 5001, 7999} {
				l.at(ms).mark(0)
			}
			l.at(8000).mark(0)
		}, []string{"opened missing_participant ann since 5000 at 8000"}},
		"the clock steps back, and the end is older than the beginning": {func(l *timeline) {
			l.at(100).approve("ann")
			l.at(3200).mark(0)
			l.at(50).join("ann")
			l.at(60).take("ann")
		}, []string{opened, resolved + "3200"}},
		"marks that go back": {func(l *timeline) {
			l.at(2000).mark(0)
			l.at(1500).mark(0)
			l.at(1600).approve("ann") // in stream time it is still 2000
			l.at(4999).mark(0)
			l.at(4000).mark(0)
			l.at(5000).mark(0)
		}, []string{"opened missing_participant ann since 2000 at 5000"}},
		"commits that are older than those before them": {func(l *timeline) {
			l.at(110).approve("ann")
			l.at(100).approve("bob")
			l.at(3105).mark(0)
			l.at(3110).mark(0)
		}, []string{"opened missing_participant bob since 100 at 3100", "opened missing_participant ann since 110 at 3110"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTimeline()
			test.write(l)
			if diff := cmp.Diff(test.want, l.told(t)); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}
