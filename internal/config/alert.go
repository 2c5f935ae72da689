package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/rule"
)

// Alert is who is told of events, and for how long that is tried. A channel without an
// address is off.
type Alert struct {
	GiveUpAfter  time.Duration     `yaml:"give_up_after"`
	Webhook      AlertWebhook      `yaml:"webhook"`
	Slack        AlertChat         `yaml:"slack"`
	Discord      AlertChat         `yaml:"discord"`
	Email        AlertEmail        `yaml:"email"`
	Alertmanager AlertAlertmanager `yaml:"alertmanager"`
	Command      AlertCommand      `yaml:"command"`
}

// AlertWebhook is the channel to a service. Its Rules and Causes are words with commas
// between; none are all.
type AlertWebhook struct {
	URL        string `yaml:"url"`
	URLFile    string `yaml:"url_file"`
	Secret     string `yaml:"secret"`
	SecretFile string `yaml:"secret_file"`
	Severity   string `yaml:"severity"`
	Rules      string `yaml:"rules"`
	Causes     string `yaml:"causes"`
	Resolved   bool   `yaml:"resolved"`
	PerMinute  int    `yaml:"per_minute"`
	Template   string `yaml:"template"` // a file
	Quiet      string `yaml:"quiet"`    // as of AlertChat
	QuietZone  string `yaml:"quiet_zone"`
}

// AlertChat is a channel to people.
type AlertChat struct {
	URL      string        `yaml:"url"`
	URLFile  string        `yaml:"url_file"`
	Severity string        `yaml:"severity"`
	Rules    string        `yaml:"rules"`
	Causes   string        `yaml:"causes"`
	Resolved bool          `yaml:"resolved"`
	GroupFor time.Duration `yaml:"group_for"`
	Repeat   time.Duration `yaml:"repeat"`   // of what is still open; 0 for never
	Template string        `yaml:"template"` // a file
	// Quiet is a time of the day such as 22:00-07:00 in QuietZone, in which only what is
	// critical is told; "" is none.
	Quiet     string `yaml:"quiet"`
	QuietZone string `yaml:"quiet_zone"`
}

func defaultAlert() Alert {
	chat := AlertChat{Severity: rule.Warning.String(), Resolved: true, GroupFor: 30 * time.Second, QuietZone: utc}
	return Alert{
		GiveUpAfter: 24 * time.Hour,
		Webhook:     AlertWebhook{Severity: rule.Warning.String(), Resolved: true, QuietZone: utc},
		Slack:       chat, Discord: chat,
		Email: defaultEmail(), Alertmanager: defaultAlertmanager(), Command: defaultCommand(),
	}
}

// AlertRoute is which events a channel is told of.
type AlertRoute struct {
	Severity rule.Severity
	Rules    []rule.Rule
	Causes   []rule.Cause
}

// Route is what the webhook is told of.
func (w *AlertWebhook) Route() (AlertRoute, error) {
	return alertRoute("alert.webhook", w.Severity, w.Rules, w.Causes)
}

// Route is what a chat is told of; name is the channel's key.
func (c *AlertChat) Route(name string) (AlertRoute, error) {
	return alertRoute("alert."+name, c.Severity, c.Rules, c.Causes)
}

func alertRoute(key, severity, rules, causes string) (r AlertRoute, err error) {
	if r.Severity, err = rule.ParseSeverity(severity); err != nil {
		return r, &Error{Where: key + ".severity", Err: errors.New("want info, warning or critical")}
	}
	for _, word := range Words(rules) {
		which, err := rule.Parse(word)
		if err != nil {
			return r, &Error{Where: key + ".rules", Err: err}
		}
		r.Rules = append(r.Rules, which)
	}
	for _, word := range Words(causes) {
		cause := rule.Cause(word)
		if !slices.ContainsFunc(rule.Outcomes[:], func(o rule.Outcome) bool { return o.Cause == cause }) {
			return r, &Error{Where: key + ".causes", Err: fmt.Errorf("no rule has the cause %q", word)}
		}
		r.Causes = append(r.Causes, cause)
	}
	return r, nil
}

// check looks at the channels that are on.
func (a *Alert) check() error {
	if a.GiveUpAfter < time.Minute {
		return &Error{Where: "alert.give_up_after", Err: errors.New("must be 1m or more")}
	}
	w := &a.Webhook
	_, err := w.Route()
	_, quietErr := w.QuietHours()
	errs := []error{err, quietErr, alertAddress("alert.webhook", w.URL), a.Email.check(), a.Alertmanager.check(), a.Command.check()}
	if w.PerMinute < 0 {
		errs = append(errs, &Error{Where: "alert.webhook.per_minute", Err: errors.New("must not be negative; 0 is any number")})
	}
	for _, c := range []struct {
		name string
		chat *AlertChat
	}{{"slack", &a.Slack}, {"discord", &a.Discord}} {
		_, err := c.chat.Route(c.name)
		_, quietErr := c.chat.QuietHours(c.name)
		errs = append(errs, err, quietErr, alertAddress("alert."+c.name, c.chat.URL), repeatInterval("alert."+c.name, c.chat.Repeat))
		if c.chat.GroupFor < time.Second {
			errs = append(errs, &Error{Where: "alert." + c.name + ".group_for", Err: errors.New("must be 1s or more")})
		}
	}
	return errors.Join(errs...)
}

func repeatInterval(key string, d time.Duration) error {
	if d < 0 || d > 0 && d < time.Minute {
		return &Error{Where: key + ".repeat", Err: errors.New("must be 1m or more, or 0s for never")}
	}
	return nil
}

// alertAddress refuses what is no URL to post to, without repeating it: the address is
// what lets anybody post there.
func alertAddress(key, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return &Error{Where: key + ".url", Err: errors.New("want a URL such as https://alerts.example/questwatch")}
	}
	return nil
}
