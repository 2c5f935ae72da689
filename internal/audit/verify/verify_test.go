package verify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/quest"
)

// verified makes a comparison.
func verified(t interface {
	Helper()
	Fatalf(string, ...any)
}, v *Verifier,
) *Result {
	t.Helper()
	result, err := v.Verify(context.Background(), func(Progress) {})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return result
}

// TestNothingDiffers: whatever goes on while state and database are compared, in
// whatever order commits come to the checker and are seen by others, they do not
// differ; and what was damaged before is found if it can be decided, and nothing
// else.
func TestNothingDiffers(t *testing.T) {
	undecided, found, beyond := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rapid.Uint64().Draw(rt, "seed"), rapid.SampledFrom([]int{0, 1, 40, 700}).Draw(rt, "quests"))
		w.late = rapid.SampledFrom([]float64{0, 0, 0.2}).Draw(rt, "late")
		for range rapid.IntRange(0, 200).Draw(rt, "before") {
			w.move()
		}
		if rapid.Bool().Draw(rt, "baseline") { // which has all, and nobody knows whose it is
			w.settleState()
			w.view.Recent.Forget()
		}
		damaged := map[int64]bool{}
		for range rapid.IntRange(0, 3).Draw(rt, "damage") {
			// Ids that no transaction writes.
			id := rapid.SampledFrom([]int64{-5, 10_001, 10_002, 10_003}).Draw(rt, "id")
			damaged[id] = true
			w.put(id, "damaged")
		}
		v := w.verifier(Config{})
		result := inBubble(t, rt, v)
		for _, m := range result.Mismatches {
			if !damaged[m.QuestID] {
				rt.Fatalf("quest %d was not damaged: %s", m.QuestID, result)
			}
			delete(damaged, m.QuestID)
		}
		for id := range damaged {
			if result.Undecided <= undecidedListed && !slices.Contains(result.UndecidedIDs, id) {
				rt.Fatalf("quest %d was damaged and is not found: %s", id, result)
			}
		}
		found, undecided, beyond = found+result.Mismatched, undecided+result.Undecided, beyond+result.Beyond
		// When all has ended, all is decided.
		w.settle()
		w.restful = true
		if again := inBubble(t, rt, v); again.Undecided != 0 || again.Mismatched != result.Mismatched+len(damaged) {
			rt.Fatalf("nothing is in the way, and yet: %s", again)
		}
	})
	t.Logf("%d damages found, %d quests undecided, %d left to another snapshot", found, undecided, beyond)
	if found == 0 || undecided == 0 || beyond == 0 {
		t.Error("the test is too easy")
	}
}

// inBubble makes a comparison in fake time.
func inBubble(t *testing.T, rt *rapid.T, v *Verifier) (result *Result) {
	t.Helper()
	var err error
	synctest.Test(t, func(t *testing.T) { result, err = v.Verify(t.Context(), func(Progress) {}) })
	if err != nil {
		rt.Fatalf("verify: %v", err)
	}
	return result
}

// settleState lets the checker have all that has committed.
func (w *world) settleState() {
	for w.applied < len(w.log) {
		w.apply()
	}
}

// quiet is a world in which nothing happens any more.
func quiet(quests int) *world {
	w := newWorld(1, quests)
	w.restful = true
	return w
}

// TestLargeStates: many ranges, no rows read, and the checker never waits for more
// than a few hundred quests.
func TestLargeStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := quiet(50_000)
		v := w.verifier(Config{})
		if r := verified(t, v); !r.Equal() || r.Quests != 50_000 || r.Ranges != 196 || r.Differing != 0 {
			t.Errorf("%+v", r)
		}
		// One damaged quest costs the rows of its range.
		w.put(30_000, "damaged")
		r := verified(t, v)
		if r.Mismatched != 1 || r.Differing != 1 || r.Mismatches[0].String() != "quest 30000: quest 30000 title differs" {
			t.Errorf("%s", r)
		}
		if len(w.published) != 2 || w.restated != 1 {
			t.Errorf("%d events, %d baselines asked for", len(w.published), w.restated)
		}
	})
}

// TestWorthlessState: where nearly everything differs the comparison ends early, in
// bounded memory, whichever side has the quests.
func TestWorthlessState(t *testing.T) {
	for name, w := range map[string]*world{"nothing in the state": quiet(0), "nothing in the database": quiet(20_000), "all others": quiet(20_000)} {
		synctest.Test(t, func(t *testing.T) {
			switch name {
			case "nothing in the state":
				w.database = quiet(20_000).database
			case "nothing in the database":
				w.database = nil
			default:
				for id := range w.database {
					w.database[id] = "other"
				}
			}
			r := verified(t, w.verifier(Config{}))
			if !r.Truncated || r.Mismatched < maxMismatched || len(r.Mismatches) != mismatchesListed || len(w.published) != mismatchesListed+1 {
				t.Errorf("%s: %.300s", name, r)
			}
			// The database is asked three times at the most for what could be read at once.
			if w.read > 3*maxPending {
				t.Errorf("%s: %d quests were read: too many were pending", name, w.read)
			}
		})
	}
}

// TestManyPending: more quests than may be pending at once, which turn out to be
// equal after all, are all compared.
func TestManyPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := quiet(20_000)
		v := w.verifier(Config{})
		rest := w.database
		w.database = map[int64]string{} // the first snapshots see nothing
		looks := 0
		w.lists = func() {
			if looks++; w.moments == 2 {
				w.database = rest
			}
		}
		if r := verified(t, v); !r.Equal() {
			t.Errorf("%.300s", r)
		}
	})
}

// TestNotCompared: what keeps a comparison from being made is said, and never taken
// for a difference.
func TestNotCompared(t *testing.T) {
	gone := errors.New("the database is gone")
	for name, c := range map[string]struct {
		world func(w *world)
		want  error
		says  string
	}{
		"unknown":          {func(w *world) { w.view.Known = false }, errUnknown, "unknown"},
		"catching up":      {func(w *world) { w.view.CaughtUp = false }, errBehind, ""},
		"behind":           {func(w *world) { w.lsn = 2000; w.lists = func() { w.view.Passed = 1000 } }, errBehind, "0/3E8 after 1m0s"},
		"a gap meanwhile":  {func(w *world) { w.lists = func() { w.view.Known = w.moments == 0 } }, errUnknown, ""},
		"always replaced":  {func(w *world) { w.lists = func() { w.view.Generation.Run++ } }, errReplaced, ""},
		"nothing streams":  {func(w *world) { w.stalled = true }, errStalled, ""},
		"stalled later":    {func(w *world) { w.lists = func() { w.stalled = w.moments == 3 } }, errStalled, ""},
		"no database":      {func(w *world) { w.lists = func() { panic(gone) } }, gone, ""},
		"never a baseline": {func(w *world) { w.view.Recent.Forget(); w.view.Known = false }, errUnknown, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := quiet(1000)
			w.put(30, "damaged")
			c.world(w)
			v := w.verifier(Config{})
			if c.want == gone {
				w.lists = func() {}
				v.database = away{w, gone}
			}
			result, err := v.Verify(t.Context(), func(Progress) {})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, %v", name, result, err)
			}
			if s := v.Status(); s.Err == nil || s.Result != nil || s.Mismatched != 0 || len(w.published) != 0 || w.restated != 0 {
				t.Errorf("%s: %+v", name, s)
			}
			if name == "behind" && hint.Of(err) == "" {
				t.Errorf("%s: no advice", name)
			}
		})
	}
}

// away is a database that cannot be reached.
type away struct {
	*world
	err error
}

func (a away) Moment(context.Context, func(At, Rows) error) error { return a.err }

// TestReplacedOnce: a baseline that ends in the middle begins the comparison anew.
func TestReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := quiet(1000)
		w.lists = func() {
			if w.moments == 1 {
				w.view.Generation.Baseline = 2
				w.view.Recent.Forget()
			}
		}
		if r := verified(t, w.verifier(Config{})); !r.Equal() || r.Quests != 1000 {
			t.Errorf("%s", r)
		}
	})
}

// TestRestatesOnce: a difference asks for a baseline, once; that it did not help is
// not answered with another one.
func TestRestatesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := quiet(100)
		v := w.verifier(Config{})
		w.put(30, "damaged")
		step := func(restated, mismatched int) {
			t.Helper()
			r := verified(t, v)
			if w.restated != restated || r.Mismatched != mismatched || v.Status().Mismatched != mismatched {
				t.Errorf("%d baselines asked for, want %d; %+v", w.restated, restated, v.Status())
			}
		}
		step(1, 1)
		step(1, 1) // it has not come yet
		w.view.Generation.Baseline++
		step(1, 1) // it has, and did not help
		w.view.Generation = Generation{2, 1}
		step(2, 1) // the stream was read anew: perhaps the baseline never came
		w.put(30, "old")
		step(2, 0)
		w.put(30, "damaged")
		step(3, 1)
	})
}

// TestBackground: comparisons are made now and then, sooner after trouble, and give
// way to one that is asked for.
func TestBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := quiet(100)
		v := w.verifier(Config{Every: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- v.Run(ctx) }()
		passes := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			w.with(func() {
				if w.moments != want {
					t.Errorf("%d snapshots, want %d", w.moments, want)
				}
			})
		}
		passes(5*time.Minute, 0)
		passes(2*time.Minute, 1)
		passes(50*time.Minute, 1)
		passes(10*time.Minute, 2)
		w.with(func() { w.view.Known = false })
		passes(70*time.Minute, 2) // it fails, and is tried every minute
		if s := v.Status(); !errors.Is(s.Err, errUnknown) || time.Since(s.At) > 2*time.Minute {
			t.Errorf("%+v", s)
		}
		w.with(func() { w.view.Known = true })
		passes(2*time.Minute, 3)
		w.with(func() { w.put(30, "damaged") })
		passes(70*time.Minute, 9) // a snapshot each for the sums, the range, and what differs; and all again a minute later
		w.with(func() { w.put(30, "old") })
		passes(3*time.Hour, 12)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestAskedForMeanwhile: who asks does not wait for a gentle comparison.
func TestAskedForMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := quiet(100_000)
		v := w.verifier(Config{Every: time.Hour})
		slow := slowDatabase{w}
		v.database = slow
		go func() { _ = v.Run(t.Context()) }()
		time.Sleep(6*time.Minute + 5*time.Second) // in the middle of the first one
		began := time.Now()
		told := 0
		r, err := v.Verify(t.Context(), func(p Progress) {
			if told++; p.Quests != 100_000 || p.Done == 0 {
				t.Errorf("progress is %+v", p)
			}
		})
		if err != nil || !r.Equal() || told == 0 {
			t.Errorf("%v, %v, told %d times", r, err, told)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %s", took)
		}
		if s := v.Status(); s.Err != nil || s.Result != r {
			t.Errorf("the one that gave way counts: %+v", s)
		}
		// Two that ask take turns; one who gives up is gone at once.
		gone, cancel := context.WithCancel(t.Context())
		results := make(chan error, 2)
		go func() { _, err := v.Verify(t.Context(), func(Progress) {}); results <- err }()
		synctest.Wait()
		go func() { _, err := v.Verify(gone, func(Progress) {}); results <- err }()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up: %v", err)
		}
		if err := <-results; err != nil {
			t.Errorf("the other one: %v", err)
		}
		time.Sleep(2 * time.Hour)
		if s := v.Status(); s.Err != nil || time.Since(s.At) > time.Hour+10*time.Minute {
			t.Errorf("the next one: %+v", s)
		}
	})
}

// slowDatabase takes its time.
type slowDatabase struct{ *world }

func (d slowDatabase) Moment(ctx context.Context, fn func(At, Rows) error) error {
	return d.world.Moment(ctx, func(at At, rows Rows) error { return fn(at, slowRows{rows}) })
}

type slowRows struct{ Rows }

func (r slowRows) Digests(ctx context.Context, starts []int64, last int64) ([]quest.Digest, error) {
	if err := sleep(ctx, time.Second); err != nil {
		return nil, err
	}
	return r.Rows.Digests(ctx, starts, last)
}

// TestResultAsText: each way in which a comparison can end has its sentence.
func TestResultAsText(t *testing.T) {
	at := Position{Sequence: 815, LSN: 0x16B374D848}
	some := []Mismatch{{QuestID: 7, Differences: []quest.Difference{{Entity: "quest", ID: 7, Column: "title"}}, More: 2}}
	for want, r := range map[string]Result{
		"The state equals the database: 1 quest.\nCompared at 16/B374D848, message 815: 1 ranges (0 of them row by row), snapshots: 2, took 1.5s.\n":                                                                                      {Quests: 1, Ranges: 1, Rounds: 2, Position: at, Took: 1500},
		"No difference was found, but 2 quests could not be compared: transactions were in the way all the time.\n  not compared: [3 4]\nCompared at 16/B374D848, message 815: 0 ranges (0 of them row by row), snapshots: 0, took 0s.\n": {Undecided: 2, UndecidedIDs: []int64{3, 4}, Position: at},
		"The state differs from the database in 3 quests.\n  quest 7: quest 7 title differs; and 2 more\n  and 2 quests more\nCompared at 16/B374D848, message 815: 0 ranges (0 of them row by row), snapshots: 0, took 0s.\n":            {Mismatched: 3, Mismatches: some, Position: at},
		"The state differs from the database in 3000 quests and more; the rest was not compared.\n  and 3000 quests more\nCompared at 16/B374D848, message 815: 0 ranges (0 of them row by row), snapshots: 0, took 0s.\n":                {Mismatched: 3000, Truncated: true, Position: at},
	} {
		if got := r.String(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
