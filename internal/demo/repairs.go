package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

// repairAutomatically has the program repair what it finds. A demo's faults come as
// fast as in a catastrophe: the brakes would stop it, and rightly.
func repairAutomatically(c *config.Repair) {
	c.Mode = string(remedy.ModeAuto)
	c.PerMinute, c.PerRule = 100_000, 100_000
	c.Breaker = config.Breaker{Opened: 100_000, Percent: 100}
}

// Repairs is what the demo proved of repairs.
type Repairs struct {
	// Repaired counts them by rule, After is how long after the commit that began a
	// violation the repair's commit was.
	Repaired map[string]int `json:"repaired"`
	After    Latency        `json:"repair_after_commit_ms"`
	// Wrong counts repairs of what was no failure, and those that the journal does not have.
	Wrong int `json:"wrong_repairs"`
	// Given counts what could not be repaired, or had been before and did not last.
	Given int `json:"repairs_given_up"`
	// Left counts by rule what is open at the end at warning or above: that is left to
	// people. Unrepaired counts those of it that should have been repaired.
	Left       map[string]int `json:"left_to_people"`
	Unrepaired int            `json:"unrepaired"`

	// WrongWhat says what was wrong.
	WrongWhat []string `json:"-"`
}

// repaired collects the events of the repair group.
type repaired struct {
	mu      sync.Mutex // the subscription adds while others look
	last    bus.Seq
	applied []event.Repaired
	given   map[string]string // reasons by finding
}

func (s *repaired) take(seq bus.Seq, data []byte) error {
	e, err := event.Parse(data)
	if err != nil {
		return fmt.Errorf("event %d: %w", seq, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = seq
	switch data := e.Data.(type) {
	case event.Repaired:
		if data.Undoes == 0 {
			s.applied = append(s.applied, data)
		}
	case event.NotRepaired:
		if e.What == "failed" {
			s.given[data.Finding] = data.Reason
		}
	}
	return nil
}

func (s *repaired) upTo() bus.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// mended waits until all that is to be repaired has been, and what came of that too.
func (d *demo) mended(running context.Context) error {
	for {
		before := d.app.RepairStatus().Applied
		err := d.until(running, "the repairs did not end", func() bool { return d.app.RepairStatus().Waiting == 0 })
		if err != nil {
			return err
		}
		if err := d.judged(running); err != nil || running.Err() != nil || d.app.RepairStatus().Applied == before {
			return err
		}
	}
}

// proveRepairs holds what was repaired against what is true.
func (d *demo) proveRepairs(ctx context.Context) (*Repairs, error) {
	if err := d.sim.CatchUp(ctx); err != nil {
		return nil, err
	}
	truth, opened := d.sim.Truth(), d.seen.all()
	d.repaired.mu.Lock()
	defer d.repaired.mu.Unlock()
	r := &Repairs{Repaired: map[string]int{}, Left: map[string]int{}, Given: len(d.repaired.given)}
	byID := map[string]*sighting{}
	for i := range opened {
		byID[opened[i].Finding.Finding] = &opened[i]
	}
	var waits []time.Duration
	for i := range d.repaired.applied {
		a := &d.repaired.applied[i]
		r.Repaired[a.Rule.String()]++
		if a.AfterCommitMS != nil {
			waits = append(waits, time.Duration(*a.AfterCommitMS)*time.Millisecond)
		}
		if f := byID[a.Finding]; f == nil || !failure(f, truth) {
			r.WrongWhat = append(r.WrongWhat, fmt.Sprintf("%s quest %d cause %s, entry %d", a.Rule, a.QuestID, a.Cause, a.Entry))
		}
	}
	r.After = latency(waits)
	written, err := d.app.Journalled(ctx)
	if err != nil {
		return nil, err
	}
	if n := len(d.repaired.applied); written != n {
		r.WrongWhat = append(r.WrongWhat, fmt.Sprintf("the journal has %d repairs, %d were told", written, n))
	}
	r.Wrong = len(r.WrongWhat)
	open, err := d.app.OpenRepairs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range open {
		if open[i].Severity >= rule.Warning && open[i].Origin != "baseline" {
			r.Left[open[i].Rule.String()]++
		}
		if _, given := d.repaired.given[open[i].Finding.Finding]; open[i].Automatic && !given {
			r.Unrepaired++
		}
	}
	return r, nil
}

// failure reports whether a finding is of something that failed, as far as that is
// known: nothing that somebody did on purpose.
func failure(f *sighting, truth []peerquest.Expectation) bool {
	return slices.ContainsFunc(truth, func(e peerquest.Expectation) bool {
		return e.Key() == keyOf(f) && e.Kind != peerquest.Legit && answers(f, &e)
	})
}

// good reports whether nothing was repaired that was no failure, and nothing left.
func (r *Repairs) good() bool { return r == nil || r.Wrong == 0 && r.Unrepaired == 0 }

// report is the part about repairs in words.
func (r *Repairs) report(verdict func(good bool, text string), line func(text string)) {
	total := 0
	for _, which := range rule.All {
		if n := r.Repaired[which.String()]; n > 0 {
			total += n
			line(fmt.Sprintf("repaired: %-24s %9d", which, n))
		}
	}
	verdict(r.Wrong == 0, fmt.Sprintf("%d wrong repairs of %d; nobody who left was put back", r.Wrong, total))
	verdict(r.Unrepaired == 0, fmt.Sprintf("%d left that should have been repaired", r.Unrepaired))
	line(fmt.Sprintf("repaired after the commit: p50 %d ms, p99 %d ms, max %d ms (the grace of 3 s included)", r.After.P50, r.After.P99, r.After.Max))
	for _, which := range rule.All {
		if n := r.Left[which.String()]; n > 0 {
			line(fmt.Sprintf("left to people: %-24s %3d", which, n))
		}
	}
	for _, text := range r.WrongWhat {
		line("wrong: " + text)
	}
}
