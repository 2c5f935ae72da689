package remedy

import (
	"fmt"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Mode says how far the repair of a violation goes by itself.
type Mode string

// The modes, each of which does what the one before it does, and more.
const (
	// ModeOff: no plan is made.
	ModeOff Mode = "off"
	// ModePlan: a plan is told, and carried out when somebody asks for it.
	ModePlan Mode = "plan"
	// ModeAuto: a plan is carried out as soon as there is one.
	ModeAuto Mode = "auto"
)

// ParseMode reads a mode's name.
func ParseMode(name string) (Mode, error) {
	switch m := Mode(name); m {
	case ModeOff, ModePlan, ModeAuto:
		return m, nil
	}
	return "", fmt.Errorf("unknown mode %q: want off, plan or auto", name)
}

// Modes are the modes of all rules and causes. In the zero Modes all are off.
type Modes struct {
	general    Mode
	reactivate bool
	own        map[subject]Mode
}

// subject is what a mode is set for.
type subject struct {
	rule  rule.Rule
	cause rule.Cause
}

// NewModes gives every cause the same mode, as far as it may have it. With
// reactivate, people who dropped out of what they are approved for have a repair.
func NewModes(general Mode, reactivate bool) Modes {
	return Modes{general: general, reactivate: reactivate, own: map[subject]Mode{}}
}

// Set gives a rule's cause a mode of its own. One that goes further than the cause
// allows is an error that says how far it may go.
func (m *Modes) Set(r rule.Rule, c rule.Cause, mode Mode) error {
	panic("coming")
}

// Of is the mode of a rule's cause: its own, or the general one as far as the cause
// allows it.
func (m *Modes) Of(r rule.Rule, c rule.Cause) Mode {
	panic("coming")
}

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

// Propose is what there is to be done about an open finding, with its quest as the
// checker knows it.
func (m *Modes) Propose(q *quest.Quest, f *drift.Finding) Proposal {
	panic("coming")
}

// Policy is what a repair that somebody asked for may do, or one that nobody did.
func (m *Modes) Policy(asked bool) Policy {
	panic("coming")
}

// OrderFor begins the order for a finding's repair. Whoever gives it adds who asks for
// it, for which instance and why.
func OrderFor(f *drift.Finding, a Action) Order {
	panic("coming")
}

// Decide makes the writes of an order of what a locked quest shows now: the same rule
// is judged anew, for the same person. The rows know no history, so that the cause is
// the order's. ErrHealed says that nothing is violated any more.
func Decide(c *Case, o *Order, judged *rule.Policy, p Policy) (Action, []Write, error) {
	panic("coming")
}
