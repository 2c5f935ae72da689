package config

import (
	"errors"
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
	// Mode is that of every cause which has none of its own, as far as it allows it:
	// off, plan, auto.
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

// Modes are the configured modes of all causes. After Finish there is no error.
func (c *Config) Modes() (remedy.Modes, error) { panic("coming") }

// checkAccess looks at how the database is reached and how patiently.
func (r *Repair) checkAccess() error {
	if r.LockTimeout < time.Millisecond {
		return &Error{Where: "repair.lock_timeout", Err: errors.New("must be 1ms or more")}
	}
	return nil
}
