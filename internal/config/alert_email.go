package config

import (
	"errors"
	"net"
	"net/mail"
	"time"

	"github.com/peerquest/questwatch/internal/rule"
)

// AlertEmail is the channel to people by e-mail. To are addresses with commas between.
type AlertEmail struct {
	Host         string        `yaml:"host"`
	Port         int           `yaml:"port"` // 0 is the usual one
	TLS          string        `yaml:"tls"`  // starttls, tls, none
	CAFile       string        `yaml:"ca_file"`
	Username     string        `yaml:"username"`
	Password     string        `yaml:"password"`
	PasswordFile string        `yaml:"password_file"`
	From         string        `yaml:"from"`
	To           string        `yaml:"to"`
	Severity     string        `yaml:"severity"`
	Rules        string        `yaml:"rules"`
	Causes       string        `yaml:"causes"`
	Resolved     bool          `yaml:"resolved"`
	GroupFor     time.Duration `yaml:"group_for"`
	Repeat       time.Duration `yaml:"repeat"`
	Template     string        `yaml:"template"`
	Quiet        string        `yaml:"quiet"` // as of AlertChat
	QuietZone    string        `yaml:"quiet_zone"`
}

const noTLS = "none"

func defaultEmail() AlertEmail {
	return AlertEmail{TLS: "starttls", Severity: rule.Warning.String(), Resolved: true, GroupFor: 30 * time.Second, QuietZone: utc}
}

// Route is what e-mail tells of.
func (e *AlertEmail) Route() (AlertRoute, error) {
	return alertRoute("alert.email", e.Severity, e.Rules, e.Causes)
}

// check looks at the channel, if it is on.
func (e *AlertEmail) check() error {
	wrong := func(key, text string) error { return &Error{Where: "alert.email." + key, Err: errors.New(text)} }
	if e.Host == "" {
		if e.From != "" || e.To != "" || e.Username != "" {
			return wrong("host", "is missing: the mail server's name")
		}
		return nil
	}
	_, err := e.Route()
	_, quietErr := e.QuietHours()
	errs := []error{err, quietErr, oneOf("alert.email.tls", e.TLS, "starttls", "tls", noTLS), repeatInterval("alert.email", e.Repeat)}
	if e.Port < 0 || e.Port > 65535 {
		errs = append(errs, wrong("port", "want a port, or 0 for the usual one"))
	}
	if ip := net.ParseIP(e.Host); e.TLS == noTLS && e.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		errs = append(errs, wrong("tls", "none is for a mail server on this machine only: host must be localhost or 127.0.0.1"))
	}
	if (e.Username == "") != (e.Password == "") {
		errs = append(errs, wrong("username", "username and password go together"))
	}
	if _, err := mail.ParseAddress(e.From); err != nil {
		errs = append(errs, wrong("from", "want an address such as Questwatch <questwatch@example.org>"))
	}
	if _, err := mail.ParseAddressList(e.To); err != nil {
		errs = append(errs, wrong("to", "want addresses with commas between, such as ops@example.org"))
	}
	if e.GroupFor < time.Second {
		errs = append(errs, wrong("group_for", "must be 1s or more"))
	}
	return errors.Join(errs...)
}
