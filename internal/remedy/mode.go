package remedy

import (
	"errors"
	"fmt"

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

// rank orders the modes.
func (m Mode) rank() int {
	switch m {
	case ModePlan:
		return 1
	case ModeAuto:
		return 2
	case ModeOff:
	}
	return 0
}

// atMost is the mode, or the other one where that goes less far.
func (m Mode) atMost(limit Mode) Mode {
	if m.rank() > limit.rank() {
		return limit
	}
	return m
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

// NewModes gives every cause the same mode, as far as the cause allows it. With
// reactivate, people who dropped out of what they are approved for have a repair.
func NewModes(general Mode, reactivate bool) Modes {
	return Modes{general: general, reactivate: reactivate, own: map[subject]Mode{}}
}

// Set gives a rule's cause a mode of its own. One that goes further than the cause
// allows is an error that says how far it may go.
func (m *Modes) Set(r rule.Rule, c rule.Cause, mode Mode) error {
	limit := m.limit(r, c)
	switch {
	case mode.rank() <= limit.rank():
		m.own[subject{r, c}] = mode
		return nil
	case limit == ModePlan:
		return errors.New("is never repaired automatically: want off or plan")
	case r == rule.ApprovedButDropped:
		return errors.New("is repaired only where repair.reactivate is true: want off")
	}
	return errors.New("has no repair: want off")
}

// Of is the mode of a rule's cause: its own, or the general one as far as the cause
// allows it. Nobody is brought back automatically by the general mode alone.
func (m *Modes) Of(r rule.Rule, c rule.Cause) Mode {
	if own, set := m.own[subject{r, c}]; set {
		return own
	}
	limit := m.limit(r, c)
	if r == rule.ApprovedButDropped {
		limit = limit.atMost(ModePlan)
	}
	if m.general == "" {
		return ModeOff
	}
	return m.general.atMost(limit)
}

// limit is how far a rule's cause allows a repair to go.
func (m *Modes) limit(r rule.Rule, c rule.Cause) Mode {
	switch action := rule.ActionFor(r, c); {
	case action == rule.Repair, r == rule.ApprovedButDropped && m.reactivate:
		return ModeAuto
	case action == rule.OnRequest:
		return ModePlan
	}
	return ModeOff
}

// Policy is what a repair may do that somebody asked for, or one that nobody did.
func (m *Modes) Policy(asked bool) Policy {
	return Policy{IncludeUnknown: asked, IncludeReleased: asked, IncludeCompleted: asked, Reactivate: m.reactivate}
}
