package config

import (
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/rule"
)

// AlertCommand is the channel to a program: its name and arguments. Timeout is how long
// it may run.
type AlertCommand struct {
	Command   []string      `yaml:"command"`
	Severity  string        `yaml:"severity"`
	Rules     string        `yaml:"rules"`
	Causes    string        `yaml:"causes"`
	Resolved  bool          `yaml:"resolved"`
	GroupFor  time.Duration `yaml:"group_for"`
	Timeout   time.Duration `yaml:"timeout"`
	Quiet     string        `yaml:"quiet"` // as of AlertChat
	QuietZone string        `yaml:"quiet_zone"`
}

func defaultCommand() AlertCommand {
	return AlertCommand{Severity: rule.Warning.String(), Resolved: true, GroupFor: 30 * time.Second, Timeout: 15 * time.Second, QuietZone: utc}
}

// Route is what the program is told of.
func (c *AlertCommand) Route() (AlertRoute, error) {
	return alertRoute("alert.command", c.Severity, c.Rules, c.Causes)
}

func (c *AlertCommand) check() error {
	_, err := c.Route()
	_, quietErr := c.QuietHours()
	err = errors.Join(err, quietErr)
	if c.GroupFor < 0 {
		err = errors.Join(err, &Error{Where: "alert.command.group_for", Err: errors.New("must not be negative; 0s is a run for each event")})
	}
	if c.Timeout < time.Second {
		err = errors.Join(err, &Error{Where: "alert.command.timeout", Err: errors.New("must be 1s or more")})
	}
	return err
}
