package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/config"
)

// outlets are the channels of alerts that are on.
func outlets(all *config.Config, logger *slog.Logger) (list []alert.Outlet, err error) {
	c := &all.Alert
	for _, open := range []func() (*alert.Outlet, error){
		func() (*alert.Outlet, error) { return webhookOutlet(&c.Webhook) },
		func() (*alert.Outlet, error) { return chatOutlet("slack", &c.Slack, alert.NewSlack(c.Slack.URL)) },
		func() (*alert.Outlet, error) {
			return chatOutlet("discord", &c.Discord, alert.NewDiscord(c.Discord.URL))
		},
		func() (*alert.Outlet, error) { return emailOutlet(all.Namespace, &c.Email) },
		func() (*alert.Outlet, error) { return alertmanagerOutlet(all.Namespace, &c.Alertmanager, logger) },
		func() (*alert.Outlet, error) { return commandOutlet(&c.Command, logger) },
	} {
		o, err := open()
		if err != nil {
			return nil, err
		}
		if o != nil {
			o.GiveUpAfter = c.GiveUpAfter
			list = append(list, *o)
		}
	}
	return list, nil
}

// common is what channels are set up with alike; quiet is nil where there are no such hours.
type common struct {
	route     func() (config.AlertRoute, error)
	quiet     func() (*config.QuietHours, error)
	template  string
	makesJSON bool
}

// complete gives an outlet what is common.
func (k common) complete(o *alert.Outlet) (*alert.Outlet, error) {
	r, err := k.route()
	if err != nil {
		return nil, err
	}
	o.Route.Severity, o.Route.Rules, o.Route.Causes = r.Severity, r.Rules, r.Causes
	if k.quiet != nil {
		q, err := k.quiet()
		if err != nil {
			return nil, err
		}
		if q != nil {
			o.Quiet = &alert.Quiet{From: q.From, To: q.To, Zone: q.Zone}
		}
	}
	o.Template, err = readTemplate(o.Name, k.template, k.makesJSON)
	return o, err
}

func webhookOutlet(c *config.AlertWebhook) (*alert.Outlet, error) {
	if c.URL == "" {
		return nil, nil
	}
	channel, err := alert.NewWebhook(c.URL, c.Secret)
	if err != nil {
		return nil, &config.Error{Where: "alert.webhook.secret", Err: err}
	}
	return common{c.Route, c.QuietHours, c.Template, true}.complete(&alert.Outlet{
		Name: "webhook", Channel: channel, PerMinute: c.PerMinute, Route: alert.Route{Resolved: c.Resolved, Each: true},
	})
}

func chatOutlet(name string, c *config.AlertChat, channel alert.Channel) (*alert.Outlet, error) {
	if c.URL == "" {
		return nil, nil
	}
	route := func() (config.AlertRoute, error) { return c.Route(name) }
	quiet := func() (*config.QuietHours, error) { return c.QuietHours(name) }
	return common{route, quiet, c.Template, false}.complete(&alert.Outlet{
		Name: name, Channel: channel, GroupFor: c.GroupFor, Repeat: c.Repeat, Route: alert.Route{Resolved: c.Resolved},
	})
}

func emailOutlet(namespace string, c *config.AlertEmail) (*alert.Outlet, error) {
	if c.Host == "" {
		return nil, nil
	}
	channel, err := alert.NewMail(alert.MailConfig{Namespace: namespace, From: c.From, To: c.To, MailServer: alert.MailServer{
		Host: c.Host, Port: c.Port, TLS: c.TLS, CAFile: c.CAFile, Username: c.Username, Password: c.Password,
	}})
	if err != nil {
		return nil, &config.Error{Where: "alert.email", Err: err}
	}
	return common{c.Route, c.QuietHours, c.Template, false}.complete(&alert.Outlet{
		Name: "email", Channel: channel, GroupFor: c.GroupFor, Repeat: c.Repeat, TryFor: alert.MailTryFor, Route: alert.Route{Resolved: c.Resolved},
	})
}

func alertmanagerOutlet(namespace string, c *config.AlertAlertmanager, logger *slog.Logger) (*alert.Outlet, error) {
	addresses := c.URLs()
	if len(addresses) == 0 {
		return nil, nil
	}
	channel := alert.NewAlertmanager(alert.AlertmanagerConfig{Namespace: namespace, URLs: addresses, Link: c.Link, Resend: c.Resend}, logger)
	return common{route: c.Route}.complete(&alert.Outlet{
		Name: "alertmanager", Channel: channel, GroupFor: time.Second, TryFor: alert.AlertmanagerTryFor, Route: alert.Route{Resolved: true},
	})
}

func commandOutlet(c *config.AlertCommand, logger *slog.Logger) (*alert.Outlet, error) {
	if len(c.Command) == 0 {
		return nil, nil
	}
	channel, err := alert.NewCommand(c.Command, logger)
	if err != nil {
		return nil, &config.Error{Where: "alert.command.command", Err: err}
	}
	return common{route: c.Route, quiet: c.QuietHours}.complete(&alert.Outlet{
		Name: "command", Channel: channel, GroupFor: c.GroupFor, TryFor: c.Timeout, Route: alert.Route{Resolved: c.Resolved},
	})
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
