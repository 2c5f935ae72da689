package repair

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

func TestRepairsWhatOpens(t *testing.T) {
	w := newWorld()
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, finding(1), finding(2))
		after(0)
		want(t, "carried", w.done(), "f0001", "f0002")
		w.resolves(r, "f0001")
		w.resolves(r, "f0002")
		after(time.Hour)
		want(t, "carried an hour later", w.done(), "f0001", "f0002")
		want(t, "told", w.words())
		if s := r.Status(); s.Waiting != 0 || s.Applied != 2 {
			t.Errorf("the status is %+v", s)
		}
	})
}

// Of what a baseline shows, of what somebody did, and of what has no repair nothing is
// touched.
func TestLeavesAloneWhatNobodyAskedFor(t *testing.T) {
	dated, released, orphan := finding(1), finding(2), finding(3)
	dated.Where.Origin = drift.FromBaseline
	released.Violation.Cause = rule.Released
	orphan.Violation = rule.Violation{Rule: rule.OrphanParticipant, Cause: rule.Revoked, Severity: rule.Warning}
	w := newWorld()
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, dated, released, orphan)
		after(time.Hour)
		want(t, "carried", w.done())
	})
	in(t, newWorld(), func(c *Config) { c.Modes = remedy.NewModes(remedy.ModePlan, false) }, func(r *Repairer) {
		w.opens(r, finding(4))
		after(time.Hour)
		want(t, "carried in mode plan", w.done())
	})
}

// A finding that ends while its quest is being locked is told as healed; one that had
// ended before needs no word.
func TestWhatEndsIsNotRepaired(t *testing.T) {
	w := newWorld()
	w.outcome = func(*remedy.Order, int) error { return remedy.ErrHealed }
	in(t, w, nil, func(r *Repairer) {
		f := finding(1)
		r.Hear(false, []drift.Transition{{What: drift.Opened, Finding: f}}) // the checker has it no more
		w.opens(r, finding(2))
		after(time.Hour)
		want(t, "carried", w.done())
		want(t, "told", w.words(), "skipped healed f0002")
	})
}

// A quest that somebody releases on purpose while it is being locked is left alone,
// though its finding stays open for what it was opened for.
func TestReleaseMeetsTheLock(t *testing.T) {
	w := newWorld()
	w.beats = func() {
		s := change.Step{QuestID: 1, Transaction: change.Transaction{CommitLSN: 1000, Messages: 1, Message: 1}, Changes: []change.Change{{
			Op: change.Update, Entity: change.Quest, After: change.Row(`{"id":1,"title":"t","status":"open","assigned_to_id":null}`),
		}}}
		if _, err := w.view.State.Apply(&s); err != nil {
			panic(err)
		}
	}
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, finding(1))
		after(time.Hour)
		want(t, "carried", w.done())
		want(t, "told", w.words(), "skipped left_alone f0001")
	})
}

func TestTriesAgainWhatMetSomebodyElse(t *testing.T) {
	w := newWorld()
	busy := errors.New("somebody else holds a lock")
	w.outcome = func(o *remedy.Order, try int) error {
		if o.Finding == "f0001" && try < tries || o.Finding == "f0002" {
			return busy
		}
		return nil
	}
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, finding(1), finding(2), finding(3))
		after(0)
		want(t, "carried at once", w.done(), "f0003")
		after(time.Hour)
		w.set(func() {
			for id := range w.open {
				delete(w.open, id)
			}
		})
		want(t, "carried", w.done(), "f0001", "f0003")
		if n := w.tries["f0002"]; n != tries {
			t.Errorf("tried %d times, want %d", n, tries)
		}
		if told := w.words(); !slices.Contains(told, "failed refused f0002") {
			t.Errorf("told %q", told)
		}
	})
}

// The stream's delay is no failure of the finding: it is waited for.
func TestWaitsForTheStream(t *testing.T) {
	w := newWorld()
	late := time.Now()
	w.outcome = func(*remedy.Order, int) error {
		if time.Now().Before(late) {
			return remedy.ErrBehind
		}
		return nil
	}
	in(t, w, nil, func(r *Repairer) {
		late = time.Now().Add(10 * time.Minute)
		w.opens(r, finding(1))
		after(9 * time.Minute)
		want(t, "carried", w.done())
		after(2 * time.Minute)
		want(t, "carried when the stream is there", w.done(), "f0001")
	})
}

// While the checker cannot be relied upon nothing is tried; then all of it is.
func TestWaitsForTheChecker(t *testing.T) {
	w := newWorld()
	w.view.Fit = false
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, finding(1))
		after(time.Hour)
		if len(w.tries) > 0 {
			t.Errorf("tried %v", w.tries)
		}
		w.set(func() { w.view.Fit = true })
		after(2 * overseeEvery)
		want(t, "carried", w.done(), "f0001")
	})
}

// What was repaired before, and did not last, is for people.
func TestDoesNotRepeat(t *testing.T) {
	w := newWorld()
	w.outcome = func(*remedy.Order, int) error { return fmt.Errorf("repair quest: %w", remedy.ErrRepeated) }
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, finding(1))
		after(time.Hour)
		want(t, "told", w.words(), "failed repeated f0001")
		if n := w.tries["f0001"]; n != 1 {
			t.Errorf("tried %d times", n)
		}
		// Even when the checker begins anew with the finding open.
		r.Hear(true, []drift.Transition{{What: drift.Opened, Finding: w.open["f0001"]}})
		after(time.Hour)
		if n := w.tries["f0001"]; n != 1 {
			t.Errorf("tried %d times after the checker began anew", n)
		}
	})
}

// A repair after which the stream shows the violation still is told, once.
func TestTellsARepairWithoutEffect(t *testing.T) {
	w := newWorld()
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, finding(1))
		after(proof - time.Second)
		want(t, "told too soon", w.words())
		after(time.Hour)
		want(t, "told", w.words(), "failed no_effect f0001")
		want(t, "carried", w.done(), "f0001")
	})
}

// After a crash between commit and stream the journal knows.
func TestFindsItRepaired(t *testing.T) {
	w := newWorld()
	w.outcome = func(*remedy.Order, int) error { return remedy.ErrRepaired }
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, finding(1))
		after(time.Second)
		w.resolves(r, "f0001")
		after(time.Hour)
		want(t, "told", w.words())
	})
}

func TestKeepsToItsBudget(t *testing.T) {
	w := newWorld()
	in(t, w, func(c *Config) { c.PerMinute, c.PerRule, c.Breaker = 10, 4, Limits{} }, func(r *Repairer) {
		for n := range 9 {
			w.opens(r, finding(n+1))
		}
		other := finding(50)
		other.Violation = rule.Violation{Rule: rule.Unassigned, Cause: rule.AssignmentLost, Severity: rule.Warning}
		w.opens(r, other)
		after(0)
		if n := len(w.done()); n != 5 {
			t.Errorf("repaired %d at once, want 4 of one rule and the one of another", n)
		}
		w.set(func() { // what is repaired has ended
			for _, id := range w.carried {
				delete(w.open, id)
			}
		})
		after(59 * time.Second)
		if n := len(w.done()); n != 5 {
			t.Errorf("repaired %d within a minute", n)
		}
		after(2 * time.Second)
		if n := len(w.done()); n != 9 {
			t.Errorf("repaired %d after a minute, want four more", n)
		}
	})
}

// A batch that is too large stops repairs before its first is repaired.
func TestHaltsWhenTooMuchOpens(t *testing.T) {
	w := newWorld()
	in(t, w, nil, func(r *Repairer) {
		var many []drift.Finding
		for n := range 60 {
			many = append(many, finding(n+1))
		}
		w.opens(r, many...)
		after(time.Hour)
		want(t, "carried", w.done())
		want(t, "told", w.words(), "halted breaker")
		if w.brake == nil || !w.brake.Halted || w.stops != 1 {
			t.Fatalf("the brake is %+v, set %d times", w.brake, w.stops)
		}
		w.set(func() { w.brake = nil }) // repair resume
		after(time.Minute)
		if n := len(w.done()); n != 60 {
			t.Errorf("repaired %d after it was resumed", n)
		}
		want(t, "told", w.words()[:2], "halted breaker", "resumed breaker")
		first, last := w.told[0].Data.(event.Halt), w.told[1].Data.(event.Halt)
		if first.Since != last.Since || last.Until <= first.Since || last.Actor != "ada" {
			t.Errorf("it was halted %+v and resumed %+v", first, last)
		}
	})
}

// A halt that the database cannot keep, or that cannot be told, stops us all the same.
func TestHaltsThoughNobodyHears(t *testing.T) {
	w := newWorld()
	w.deaf = errors.New("nobody is there")
	in(t, w, func(c *Config) { c.Breaker.Opened = 3 }, func(r *Repairer) {
		w.opens(r, finding(1), finding(2), finding(3), finding(4))
		after(time.Hour)
		want(t, "carried", w.done())
		if w.stops != 1 {
			t.Errorf("stopped %d times", w.stops)
		}
		w.set(func() { w.deaf = nil })
		after(blockedFor)
		want(t, "told", w.words(), "halted breaker")
	})
}

// After a restart the end of a halt is told all the same.
func TestTellsTheEndOfAnEarlierHalt(t *testing.T) {
	w := newWorld()
	w.halted = &event.Halt{Reason: tooMany, Severity: event.Critical, Since: 4711}
	w.brake = &remedy.Brake{Halted: true}
	in(t, w, nil, func(r *Repairer) {
		w.opens(r, finding(1))
		after(time.Minute)
		want(t, "carried", w.done())
		want(t, "told", w.words())
		w.set(func() { w.brake = nil })
		after(2 * overseeEvery)
		want(t, "carried", w.done(), "f0001")
		want(t, "told", w.words(), "resumed breaker")
		if d := w.told[0].Data.(event.Halt); d.Since != 4711 {
			t.Errorf("it was halted since %d", d.Since)
		}
	})
}

// A pause is no news to tell, and is seen within a second or two.
func TestPauses(t *testing.T) {
	w := newWorld()
	in(t, w, nil, func(r *Repairer) {
		w.set(func() { w.brake = &remedy.Brake{Actor: "ada", Reason: "maintenance"} })
		after(2 * overseeEvery)
		w.opens(r, finding(1))
		after(time.Hour)
		want(t, "carried", w.done())
		if s := r.Status(); s.Brake == nil || s.Brake.Actor != "ada" || s.Waiting != 1 {
			t.Errorf("the status is %+v", s)
		}
		w.set(func() { w.brake = nil })
		after(2 * overseeEvery)
		want(t, "carried", w.done(), "f0001")
		want(t, "told", w.words())
	})
}

// A restart that finds much open, from within the last minute, counts it; what is
// older was counted then.
func TestCountsWhatOpenedJustBeforeAStart(t *testing.T) {
	for name, c := range map[string]struct {
		age   time.Duration
		halts bool
	}{"just now": {time.Second, true}, "long ago": {time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			in(t, w, nil, func(r *Repairer) {
				var news []drift.Transition
				for n := range 60 {
					f := finding(n + 1)
					f.Due = f.Due.Add(-c.age)
					w.set(func() { w.open[f.ID] = f })
					news = append(news, drift.Transition{What: drift.Opened, Finding: f})
				}
				r.Hear(true, news)
				after(time.Second)
				if halted := w.brake != nil; halted != c.halts {
					t.Errorf("halted %t, want %t; told %q", halted, c.halts, w.words())
				}
			})
		})
	}
}
