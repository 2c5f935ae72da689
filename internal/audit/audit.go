package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Run audits a database. Without an error the result says how the run ends; it
// must be closed. A repair that is broken off has a result too, with what was
// done until then.
func Run(ctx context.Context, db Database, cfg Config, progress Progress) (*Result, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Fix && !cfg.DryRun {
		if err := db.Writable(ctx); err != nil {
			return nil, err
		}
	}
	a := &auditor{cfg: &cfg, db: db, result: newResult(cfg)}
	err := db.Survey(ctx, remedy.Scope{User: cfg.User, Assignees: !cfg.Compat}, func(c remedy.Census) error {
		a.result.Stats.UsersAudited = c.People
		a.total = c.Quests
		a.phases = newPhases(&cfg, c.UserID)
		return nil
	}, func(c *remedy.Case) error {
		if err := a.quest(ctx, c); err != nil {
			return err
		}
		if progress != nil {
			progress(a.result.Quests, a.total)
		}
		return nil
	})
	if err != nil {
		if a.result.Stats.IssuesFixed == 0 {
			return nil, errors.Join(err, a.result.Close())
		}
		a.result.Incomplete = fmt.Errorf("audit broken off after %s: %w", count(a.result.Stats.IssuesFixed, "repair"), err)
	}
	if err := a.result.findTops(); err != nil {
		return nil, errors.Join(err, a.result.Close())
	}
	return a.result, nil
}

// auditor is one run.
type auditor struct {
	cfg    *Config
	db     Database
	phases *phases
	result *Result
	total  int64
	undone int64 // statements that take repairs back, so far
}

func (a *auditor) quest(ctx context.Context, c *remedy.Case) error {
	a.count(c)
	if a.cfg.Fix && !a.cfg.DryRun {
		return a.mend(ctx, c)
	}
	steps, _, err := a.phases.run(c, false)
	if err != nil {
		return err
	}
	if err := a.found(c, steps, nil, false, ""); err != nil {
		return err
	}
	if !a.cfg.DryRun || len(steps) == 0 {
		return nil
	}
	meant, _, err := a.phases.run(c, true)
	if err != nil {
		return err
	}
	return a.meant(c, meant)
}

// count adds a quest's rows to the statistics.
func (a *auditor) count(c *remedy.Case) {
	q, st := &c.Quest, &a.result.Stats
	mine := func(u quest.User) bool { return a.phases.userID == "" || a.phases.isUser(c, u) }
	switch {
	case q.Exists:
		a.result.Quests++
	case !a.phases.dangling:
		a.result.Dangling += int64(len(q.Applications) + len(q.Participants))
	}
	for i := range q.Applications {
		if p := &q.Applications[i]; p.Status == quest.Approved && mine(p.User) {
			st.Applications++
		}
	}
	for i := range q.Participants {
		if mine(q.Participants[i].User) {
			st.Participants++
		}
	}
}

// found takes a quest's findings down. With mended those that have a plan are
// done; trouble says why they are not.
func (a *auditor) found(c *remedy.Case, steps []step, inserted []int64, mended bool, trouble string) error {
	for i := range steps {
		r := a.recordOf(c, &steps[i])
		if err := a.keep(&r, inserted, mended, trouble); err != nil {
			return err
		}
	}
	if len(steps) > 0 {
		a.result.QuestsAffected++
	}
	return nil
}

// keep takes one finding down.
func (a *auditor) keep(r *record, inserted []int64, mended bool, trouble string) error {
	res := a.result
	r.finish(inserted)
	if r.step.planned() && trouble != "" {
		r.finding.Detail += "; not repaired: " + trouble
	}
	r.finding.Fixed = mended && r.step.planned()
	res.Stats.IssuesFound++
	res.Stats.ByRule.add(r.finding.Rule)
	res.found[r.notes.Severity]++
	if r.finding.Fixed {
		res.Stats.IssuesFixed++
		res.FixedByRule.add(r.finding.Rule)
	} else {
		res.remaining[r.notes.Severity]++
	}
	if r.finding.Rule == rule.MissingParticipant {
		res.evidence.add(r)
	}
	for i := range r.people {
		p := &r.people[i]
		p.Fixed = r.finding.Fixed
		text, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encode affected person: %w", err)
		}
		if err := res.people.add(key{p.Rank, personKey(p), p.Quest}, text); err != nil {
			return err
		}
	}
	payload, err := r.payload()
	if err != nil {
		return err
	}
	return res.findings.add(r.key, payload)
}

// personKey keeps people without a name apart: they share a rank.
func personKey(p *affected) int64 {
	var h uint64 = 14695981039346656037
	for i := range len(p.ID) {
		h = (h ^ uint64(p.ID[i])) * 1099511628211
	}
	return int64(h)
}

func (a *auditor) meant(c *remedy.Case, steps []step) error {
	for i := range steps {
		if !steps[i].planned() {
			continue
		}
		r := a.recordOf(c, &steps[i])
		r.finish(nil)
		payload, err := r.planned()
		if err != nil {
			return err
		}
		if err := a.result.planned.add(r.key, payload); err != nil {
			return err
		}
		a.result.PlannedByRule.add(r.finding.Rule)
	}
	return nil
}

func (e *evidence) add(r *record) {
	e.patterns[patternOf(r.step)]++
	at := r.notes.Reviewed
	if at == 0 {
		return
	}
	if e.reviewed == 0 || at < e.first {
		e.first = at
	}
	if e.reviewed == 0 || at > e.last {
		e.last = at
	}
	e.reviewed++
}

// findTops counts the people affected and finds out who has most of a rule.
func (r *Result) findTops() error {
	return r.Affected(func(p *Affected) error {
		r.PeopleAffected++
		for _, rl := range rule.All {
			if n := p.ByRule.Of(rl); n > r.evidence.top[rl].count {
				r.evidence.top[rl].name, r.evidence.top[rl].count = p.Name, n
			}
		}
		return nil
	})
}
