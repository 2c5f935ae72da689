package repair

import (
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/rule"
)

func atOnce(rule.Rule) time.Duration { return 0 }

func takeFrom(t *testing.T, q *queue, now time.Time, wait func(rule.Rule) time.Duration, want string) *item {
	t.Helper()
	it, sleep := q.take(now, wait)
	switch {
	case want == "" && it != nil:
		t.Fatalf("took %s, want nothing", it.finding)
	case want != "" && it == nil:
		t.Fatalf("took nothing for %s, want %s", sleep, want)
	case want != "" && it.finding != want:
		t.Fatalf("took %s, want %s", it.finding, want)
	}
	return it
}

func TestQueueTakesWhatIsDueTheLongest(t *testing.T) {
	q, now := newQueue(), time.Now()
	q.add("c", 3, rule.Unassigned, now.Add(time.Second))
	q.add("b", 2, rule.MissingParticipant, now)
	q.add("a", 1, rule.Unassigned, now.Add(-time.Second))
	q.add("a", 1, rule.Unassigned, now.Add(-time.Hour)) // it is in line already
	takeFrom(t, q, now, atOnce, "a")
	takeFrom(t, q, now, atOnce, "b")
	if it, sleep := q.take(now, atOnce); it != nil || sleep != time.Second {
		t.Errorf("took %v, else to wait %s; want a second", it, sleep)
	}
	takeFrom(t, q, now.Add(time.Second), atOnce, "c")
}

// A rule whose budget is spent holds up no other, and says when it has some again.
func TestQueuePassesOverASpentRule(t *testing.T) {
	q, now := newQueue(), time.Now()
	q.add("spent", 1, rule.MissingParticipant, now.Add(-time.Minute))
	q.add("other", 2, rule.Unassigned, now)
	wait := func(r rule.Rule) time.Duration {
		if r == rule.MissingParticipant {
			return 7 * time.Second
		}
		return 0
	}
	takeFrom(t, q, now, wait, "other")
	if it, sleep := q.take(now, wait); it != nil || sleep != 7*time.Second {
		t.Errorf("took %v, else to wait %s", it, sleep)
	}
	// What was carried out has spent its part.
	(*q.lines[rule.MissingParticipant])[0].carried = true
	takeFrom(t, q, now, wait, "spent")
}

// Two of one quest would wait for each other's lock.
func TestQueueWorksOnAQuestOnce(t *testing.T) {
	q, now := newQueue(), time.Now()
	q.add("first", 1, rule.MissingParticipant, now.Add(-2*time.Second))
	q.add("second", 1, rule.Unassigned, now.Add(-time.Second))
	q.add("elsewhere", 2, rule.MissingParticipant, now)
	first := takeFrom(t, q, now, atOnce, "first")
	takeFrom(t, q, now, atOnce, "elsewhere")
	takeFrom(t, q, now, atOnce, "")
	q.done(first)
	takeFrom(t, q, now.Add(aside), atOnce, "second")
}

func TestQueueForgetsWhatIsRemoved(t *testing.T) {
	q, now := newQueue(), time.Now()
	q.add("gone", 1, rule.Unassigned, now)
	q.add("working", 2, rule.Unassigned, now.Add(time.Millisecond))
	q.remove("gone")
	it := takeFrom(t, q, now.Add(time.Second), atOnce, "working")
	q.remove("working")
	q.done(it)
	q.again(it, now)
	takeFrom(t, q, now.Add(time.Hour), atOnce, "")
}

func TestBudgetAllowsSoManyWithinAnyMinute(t *testing.T) {
	b, now := newBudget(4, 2), time.Now()
	spend := func(r rule.Rule, after, want time.Duration) {
		t.Helper()
		if got := b.wait(r, now.Add(after)); got != want {
			t.Fatalf("%s at %s has to wait %s, want %s", r, after, got, want)
		}
		if want == 0 {
			b.spend(r, now.Add(after))
		}
	}
	spend(rule.Unassigned, 0, 0)
	spend(rule.Unassigned, 10*time.Second, 0)
	spend(rule.Unassigned, 20*time.Second, 40*time.Second)
	spend(rule.MissingParticipant, 20*time.Second, 0)
	spend(rule.OpenWithParticipants, 30*time.Second, 0)
	spend(rule.MissingParticipant, 40*time.Second, 20*time.Second) // all four are spent
	spend(rule.Unassigned, 60*time.Second, 0)
	spend(rule.Unassigned, 65*time.Second, 5*time.Second)
	unlimited := newBudget(0, 0)
	for range 1000 {
		unlimited.spend(rule.Unassigned, now)
	}
	if unlimited.wait(rule.Unassigned, now) != 0 {
		t.Error("0 is a limit")
	}
}

func TestBreaker(t *testing.T) {
	const second = change.Millis(1000)
	for name, c := range map[string]struct {
		limits Limits
		quests int
		every  change.Millis
		trips  int // at the nth finding, 0 for never
	}{
		"too many at once":       {Limits{Opened: 50}, 0, 0, 51},
		"as many in a long time": {Limits{Opened: 50}, 0, 2 * second, 0},
		"just within a minute":   {Limits{Opened: 50}, 0, second, 51},
		"percent of the quests":  {Limits{Opened: 50, Percent: 1}, 2000, 0, 21},
		"a handful of quests":    {Limits{Opened: 50, Percent: 1}, 30, 0, atLeast + 1},
		"many quests":            {Limits{Opened: 50, Percent: 1}, 1_000_000, 0, 51},
		"no limit":               {Limits{}, 30, 0, 0},
	} {
		b := newBreaker(c.limits)
		b.quests = c.quests
		tripped := 0
		for n := 1; n <= 100 && tripped == 0; n++ {
			for range 2 { // hearing of it twice is harmless
				b.add(string(rune('0'+n)), 1_000_000+c.every*change.Millis(n))
			}
			if b.tripped != "" {
				tripped = n
			}
		}
		if tripped != c.trips {
			t.Errorf("%s: trips at %d, want %d", name, tripped, c.trips)
		}
	}
}

// Who resumes repairs knows of what had opened by then.
func TestBreakerBeginsAnewAfterAReset(t *testing.T) {
	b := newBreaker(Limits{Opened: 2})
	for n := range 3 {
		b.add(string(rune('a'+n)), 1000)
	}
	if b.tripped == "" {
		t.Fatal("it has not tripped")
	}
	b.reset()
	for n := range 10 {
		b.add(string(rune('d'+n)), 1000)
	}
	if b.tripped != "" {
		t.Errorf("it tripped again by what had opened before: %s", b.tripped)
	}
	for n := range 3 {
		b.add(string(rune('p'+n)), 1001)
	}
	if b.tripped == "" {
		t.Error("it does not trip any more")
	}
}
