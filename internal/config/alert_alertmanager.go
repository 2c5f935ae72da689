package config

import (
	"errors"
	"time"

	"github.com/peerquest/questwatch/internal/rule"
)

// AlertAlertmanager is the channel to an Alertmanager, or to several that are one cluster,
// with commas between. Resend is how often it is told of what is open, Link where the
// source of an alert leads.
type AlertAlertmanager struct {
	URL      string        `yaml:"url"`
	URLFile  string        `yaml:"url_file"`
	Link     string        `yaml:"link"`
	Severity string        `yaml:"severity"`
	Rules    string        `yaml:"rules"`
	Causes   string        `yaml:"causes"`
	Resend   time.Duration `yaml:"resend"`
}

func defaultAlertmanager() AlertAlertmanager {
	return AlertAlertmanager{Severity: rule.Warning.String(), Resend: time.Minute}
}

// URLs are the addresses.
func (a *AlertAlertmanager) URLs() []string { return Words(a.URL) }

// Route is what the Alertmanager is told of.
func (a *AlertAlertmanager) Route() (AlertRoute, error) {
	return alertRoute("alert.alertmanager", a.Severity, a.Rules, a.Causes)
}

func (a *AlertAlertmanager) check() error {
	_, err := a.Route()
	if a.Resend < time.Second {
		err = errors.Join(err, &Error{Where: "alert.alertmanager.resend", Err: errors.New("must be 1s or more")})
	}
	for _, address := range a.URLs() {
		err = errors.Join(err, alertAddress("alert.alertmanager", address))
	}
	return err
}
