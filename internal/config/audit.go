package config

import (
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/timetable"
)

// Audit is about the audits that a running instance makes.
type Audit struct {
	// Schedule is a cron expression, or off; Zone is by whose clock it goes.
	Schedule string `yaml:"schedule"`
	Zone     string `yaml:"zone"`
	// Within is how long an audit may take: it keeps a snapshot of the database open.
	Within time.Duration `yaml:"within"`
	// Keep is how many reports are kept.
	Keep int `yaml:"keep"`
	// HTML is a file for the newest report as a page, "" for none.
	HTML string `yaml:"html"`
}

// NoAudits is the schedule of no audits.
const NoAudits = "off"

// Timetable is when audits are due, nil for never.
func (a *Audit) Timetable() (*timetable.Timetable, error) {
	if a.Schedule == NoAudits {
		return nil, nil
	}
	t, err := timetable.Parse(a.Schedule, a.Zone)
	if err != nil {
		return nil, &Error{Where: "audit.schedule and audit.zone", Err: err}
	}
	return t, nil
}

func (a *Audit) check() error {
	switch {
	case a.Within < time.Second:
		return &Error{Where: "audit.within", Err: errors.New("must be 1s or more")}
	case a.Keep < 2:
		return &Error{Where: "audit.keep", Err: errors.New("must be 2 or more: each report is compared with the one before")}
	}
	_, err := a.Timetable()
	return err
}
