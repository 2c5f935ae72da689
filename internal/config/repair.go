package config

import (
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/remedy"
)

// Repair is what is done about findings.
type Repair struct {
	// DSN is the database for who repairs, with a role that may; "" is Postgres.DSN.
	DSN     string `yaml:"dsn"`
	DSNFile string `yaml:"dsn_file"`
	// LockTimeout is how long a repair waits for a quest that somebody else has locked.
	LockTimeout time.Duration `yaml:"lock_timeout"`
	// Mode is that of every cause which has none of its own, as far as the cause allows
	// it: off, plan, auto.
	Mode string `yaml:"mode"`
	// Reactivate brings approved people back who dropped out.
	Reactivate bool `yaml:"reactivate"`
	// PerMinute and PerRule are how many automatic repairs there may be in a minute, in
	// all and of one rule.
	PerMinute int     `yaml:"per_minute"`
	PerRule   int     `yaml:"per_rule"`
	Breaker   Breaker `yaml:"breaker"`
}

// Breaker is when automatic repairs stop by themselves: when more findings are opened
// within a minute than Opened, or than Percent of all quests.
type Breaker struct {
	Opened  int `yaml:"opened"`
	Percent int `yaml:"percent"`
}

var errWantMode = errors.New("want off, plan or auto")

// Modes are the modes of all causes. After Finish there is no error.
func (c *Config) Modes() (remedy.Modes, error) {
	general, err := remedy.ParseMode(c.Repair.Mode)
	if err != nil {
		return remedy.Modes{}, &Error{Where: "repair.mode", Err: errWantMode}
	}
	modes := remedy.NewModes(general, c.Repair.Reactivate)
	rules, err := c.Rules.List()
	if err != nil {
		return remedy.Modes{}, err
	}
	for _, s := range rules {
		for cause, mode := range s.Repair {
			if err := modes.Set(s.Rule, cause, mode); err != nil {
				return remedy.Modes{}, &Error{Where: fmt.Sprintf("rules.%s.repair.%s", s.Rule, cause), Err: err}
			}
		}
	}
	return modes, nil
}

func (r *Repair) check() error {
	switch {
	case r.PerMinute < 1 || r.PerRule < 1:
		return &Error{Where: "repair", Err: errors.New("per_minute and per_rule must be above 0: mode plan is for no automatic repairs at all")}
	case r.Breaker.Opened < 1 || r.Breaker.Percent < 1 || r.Breaker.Percent > 100:
		return &Error{Where: "repair.breaker", Err: errors.New("opened and percent must be above 0, and percent at most 100")}
	}
	return nil
}

// checkAccess looks at how the database is reached and how patiently.
func (r *Repair) checkAccess() error {
	if r.LockTimeout < time.Millisecond {
		return &Error{Where: "repair.lock_timeout", Err: errors.New("must be 1ms or more")}
	}
	return nil
}
