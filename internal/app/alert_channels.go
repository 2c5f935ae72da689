package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/config"
)

// addOutlet takes a channel that is on.
type addOutlet func(name string, channel alert.Channel, r config.AlertRoute, o alert.Outlet)

// moreOutlets adds the channels that are on and are no webhooks.
func moreOutlets(c *config.Config, logger *slog.Logger, add addOutlet) error {
	if err := emailOutlet(c.Namespace, &c.Alert.Email, add); err != nil {
		return err
	}
	if err := alertmanagerOutlet(c.Namespace, &c.Alert.Alertmanager, logger, add); err != nil {
		return err
	}
	return commandOutlet(&c.Alert.Command, logger, add)
}

func emailOutlet(namespace string, c *config.AlertEmail, add addOutlet) error {
	if c.Host == "" {
		return nil
	}
	r, err := c.Route()
	if err != nil {
		return err
	}
	quiet, err := quietOf(c.QuietHours())
	if err != nil {
		return err
	}
	channel, err := alert.NewMail(alert.MailConfig{Namespace: namespace, From: c.From, To: c.To, MailServer: alert.MailServer{
		Host: c.Host, Port: c.Port, TLS: c.TLS, CAFile: c.CAFile, Username: c.Username, Password: c.Password,
	}})
	if err != nil {
		return &config.Error{Where: "alert.email", Err: err}
	}
	worded, err := readTemplate("email", c.Template, false)
	if err != nil {
		return err
	}
	add("email", channel, r, alert.Outlet{
		Template: worded, GroupFor: c.GroupFor, Repeat: c.Repeat, Quiet: quiet, TryFor: alert.MailTryFor, Route: alert.Route{Resolved: c.Resolved},
	})
	return nil
}

func alertmanagerOutlet(namespace string, c *config.AlertAlertmanager, logger *slog.Logger, add addOutlet) error {
	addresses := c.URLs()
	if len(addresses) == 0 {
		return nil
	}
	r, err := c.Route()
	if err != nil {
		return err
	}
	channel := alert.NewAlertmanager(alert.AlertmanagerConfig{Namespace: namespace, URLs: addresses, Link: c.Link, Resend: c.Resend}, logger)
	add("alertmanager", channel, r, alert.Outlet{
		GroupFor: time.Second, TryFor: alert.AlertmanagerTryFor, Route: alert.Route{Resolved: true},
	})
	return nil
}

func commandOutlet(c *config.AlertCommand, logger *slog.Logger, add addOutlet) error {
	if len(c.Command) == 0 {
		return nil
	}
	r, err := c.Route()
	if err != nil {
		return err
	}
	channel, err := alert.NewCommand(c.Command, logger)
	if err != nil {
		return &config.Error{Where: "alert.command.command", Err: err}
	}
	quiet, err := quietOf(c.QuietHours())
	if err != nil {
		return err
	}
	add("command", channel, r, alert.Outlet{GroupFor: c.GroupFor, Quiet: quiet, TryFor: c.Timeout, Route: alert.Route{Resolved: c.Resolved}})
	return nil
}

// readTemplate reads a channel's template, if it has one.
func readTemplate(channel, path string, makesJSON bool) (*alert.Template, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	var t *alert.Template
	if err == nil {
		t, err = alert.NewTemplate(filepath.Base(path), string(text), makesJSON)
	}
	if err != nil {
		return nil, &config.Error{Where: "alert." + channel + ".template", Err: err}
	}
	return t, nil
}
