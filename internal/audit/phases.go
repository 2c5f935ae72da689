package audit

import (
	"cmp"
	"math"
	"slices"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// step is one finding on the way through the phases, with the quest as it was
// when it was found.
type step struct {
	violation rule.Violation
	plan      remedy.Plan
	// leftAlone says why there is no plan, when one was asked for.
	leftAlone string
	facts     facts
}

func (s *step) planned() bool { return len(s.plan.Writes) > 0 }

// facts are what a quest's row and participants showed in a phase.
type facts struct {
	status       quest.Status
	assigned     quest.User
	participants int
}

// phases goes through the phases of a quest, one a rule. It decides in the same
// way for a reading, a dry run and a repair.
type phases struct {
	cfg    *Config
	policy remedy.Policy
	userID string // the person the run is confined to, or ""
	// dangling says that rows of quests that do not exist are judged.
	dangling bool
}

func newPhases(cfg *Config, userID string) *phases {
	return &phases{
		cfg:      cfg,
		policy:   remedy.Policy{Original: cfg.Compat, IncludeUnknown: cfg.IncludeUnknown, IncludeCompleted: true},
		userID:   userID,
		dangling: slices.Contains(cfg.judged(), rule.DanglingReference),
	}
}

func (p *phases) judge(q *quest.Quest) []rule.Violation {
	if p.cfg.Compat {
		return rule.Original(nil, q)
	}
	return p.cfg.Rules.Judge(nil, q)
}

// run finds what does not hold in a quest. With repair it goes on from phase to
// phase with what the phase before would repair, and returns the writes too.
func (p *phases) run(c *remedy.Case, repair bool) (steps []step, writes []remedy.Write, err error) {
	if !c.Quest.Exists && !p.dangling {
		return nil, nil, nil
	}
	q := c.Quest
	q.Participants = slices.Clone(q.Participants)
	all := p.inScope(c, &q, p.judge(&q))
	steps = p.missing(c, all)
	if !repair {
		for _, v := range all {
			if v.Rule != rule.MissingParticipant {
				steps = append(steps, step{violation: v, facts: factsOf(&q)})
			}
		}
		return steps, nil, nil
	}
	steps, writes, err = p.repair(&q, nil, steps, nil)
	if err != nil {
		return nil, nil, err
	}
	if len(writes) > 0 {
		all = p.inScope(c, &q, p.judge(&q))
	}
	for _, v := range all {
		if v.Rule == rule.MissingParticipant {
			continue
		}
		if steps, writes, err = p.repair(&q, steps, []step{{violation: v}}, writes); err != nil {
			return nil, nil, err
		}
	}
	return steps, writes, nil
}

// repair plans for the steps in turn and carries the plans out on q. A pair that
// an earlier step has given a participant is no finding any more.
func (p *phases) repair(q *quest.Quest, done, steps []step, writes []remedy.Write) ([]step, []remedy.Write, error) {
	var healed map[quest.User]bool
	for _, s := range steps {
		if s.violation.Rule == rule.MissingParticipant && healed[s.violation.User] {
			continue
		}
		if s.violation.Rule != rule.MissingParticipant {
			s.facts = factsOf(q)
		}
		s.plan, s.leftAlone = remedy.For(q, &s.violation, p.policy)
		if s.planned() {
			if err := remedy.Apply(s.plan.Writes, q); err != nil {
				return nil, nil, err
			}
			writes = append(writes, s.plan.Writes...)
			if healed == nil {
				healed = map[quest.User]bool{}
			}
			healed[s.violation.User] = true
		}
		done = append(done, s)
	}
	return done, writes, nil
}

func factsOf(q *quest.Quest) facts {
	return facts{status: q.Status, assigned: q.Assigned, participants: len(q.Participants)}
}

// missing is phase 1, in its order: by name, the newest application first.
func (p *phases) missing(c *remedy.Case, all []rule.Violation) []step {
	var steps []step
	for _, v := range all {
		if v.Rule == rule.MissingParticipant {
			steps = append(steps, step{violation: v, facts: factsOf(&c.Quest)})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int {
		x, y := &a.violation, &b.violation
		return cmp.Or(
			cmp.Compare(rankOf(c, x.User), rankOf(c, y.User)),
			-cmp.Compare(timesOf(c, x.Application).Applied, timesOf(c, y.Application).Applied),
			cmp.Compare(x.Application, y.Application))
	})
	return steps
}

// inScope leaves what the run is about: of one person, the pairs that are theirs
// and, of a quest where they have a participant row of any status, all of it. The
// original stopped there: being the assignee counts as well, and an application
// for a quest that does not exist.
func (p *phases) inScope(c *remedy.Case, q *quest.Quest, all []rule.Violation) []rule.Violation {
	if p.userID == "" {
		return all
	}
	involved := slices.ContainsFunc(q.Participants, func(r quest.Participant) bool { return p.isUser(c, r.User) }) ||
		!p.cfg.Compat && q.Assigned != 0 && p.isUser(c, q.Assigned) ||
		!q.Exists && slices.ContainsFunc(q.Applications, func(a quest.Application) bool { return p.isUser(c, a.User) })
	return slices.DeleteFunc(all, func(v rule.Violation) bool {
		if v.User == 0 {
			return !involved
		}
		return !p.isUser(c, v.User)
	})
}

func (p *phases) isUser(c *remedy.Case, u quest.User) bool { return c.People[u].ID == p.userID }

// rankOf is a person's place by name; those without a name come last.
func rankOf(c *remedy.Case, u quest.User) int64 {
	if r := c.People[u].Rank; r != 0 {
		return r
	}
	return math.MaxInt64
}

func timesOf(c *remedy.Case, application int64) remedy.ApplicationTimes {
	i, found := slices.BinarySearchFunc(c.Quest.Applications, application, func(a quest.Application, id int64) int {
		return cmp.Compare(a.ID, id)
	})
	if !found {
		return remedy.ApplicationTimes{}
	}
	return c.Times[i]
}
