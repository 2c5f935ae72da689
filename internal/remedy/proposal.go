package remedy

import (
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Proposal is what there is to be done about a finding.
type Proposal struct {
	// Plan has no writes where there is none.
	Plan
	// LeftAlone says why there is no plan, "" where there is one.
	LeftAlone string
	// Automatic says that the plan is carried out without anybody asking. Waits says,
	// of a plan that is not, why somebody has to ask.
	Automatic bool
	Waits     string
}

// The reasons for which there is no plan, or somebody has to ask for it.
const (
	switchedOff  = "left alone: the repair of this cause is switched off"
	waitsForMode = "not carried out by itself: repair.mode, or the cause's own, is plan"
	waitsAsDated = "not carried out by itself: it was there before anybody watched"
)

// Propose is what there is to be done about an open finding, with its quest as the
// checker knows it. A finding keeps the cause that it was opened for when what happened
// since gives it a milder one: somebody may have released a quest on purpose whose
// status had been lost before. So both causes must allow what nobody asks for.
func (m *Modes) Propose(q *quest.Quest, f *drift.Finding) Proposal {
	v := &f.Violation
	plan, leftAlone := For(q, v, m.Policy(true))
	mode := m.Of(v.Rule, v.Cause)
	switch {
	case leftAlone != "":
		return Proposal{LeftAlone: leftAlone}
	case mode == ModeOff:
		return Proposal{LeftAlone: switchedOff}
	}
	p := Proposal{Plan: plan, Waits: waitsForMode}
	now := present(q, v)
	_, refusal := For(q, v, m.Policy(false))
	if refusal == "" {
		_, refusal = For(q, now, m.Policy(false))
	}
	switch {
	case refusal != "":
		p.Waits = refusal
	case f.Where.Origin == drift.FromBaseline:
		p.Waits = waitsAsDated
	case mode.atMost(m.Of(now.Rule, now.Cause)) == ModeAuto:
		p.Automatic, p.Waits = true, ""
	}
	return p
}

// present is a violation as the quest shows it now.
func present(q *quest.Quest, v *rule.Violation) *rule.Violation {
	all := rule.Policy{Deleted: true}
	for _, now := range all.Judge(nil, q) {
		if now.Rule == v.Rule && now.User == v.User {
			return &now
		}
	}
	return v
}

// OrderFor begins the order for a finding's repair. Whoever gives it adds who asks for
// it, why, and for which instance.
func OrderFor(f *drift.Finding, a Action) Order {
	o := Order{
		Finding: f.ID, Rule: f.Violation.Rule, Cause: f.Violation.Cause, Action: a, Quest: f.Quest, User: f.User,
	}
	if f.Where.Origin == drift.FromStream {
		o.Violated = f.Where.Transaction.Time
	}
	return o
}

// Decide makes the writes of an order of what a locked quest shows now: the same rule
// is judged anew, for the same person. Rows alone know no history, so that the cause is
// the order's. ErrHealed says that nothing is violated any more; a LeftAlone that it must
// be left alone as it is now.
func Decide(c *Case, o *Order, judged *rule.Policy, p Policy) (Action, []Write, error) {
	for _, v := range judged.Judge(nil, &c.Quest) {
		if v.Rule != o.Rule || c.People[v.User].ID != o.User {
			continue
		}
		v.Cause = o.Cause
		plan, leftAlone := For(&c.Quest, &v, p)
		if leftAlone != "" {
			return "", nil, LeftAlone(leftAlone)
		}
		return plan.Action, plan.Writes, nil
	}
	return "", nil, ErrHealed
}

// LeftAlone says why a violation is left alone by whoever asks for its repair, or by
// those that nobody asks for.
type LeftAlone string

func (l LeftAlone) Error() string { return string(l) }
