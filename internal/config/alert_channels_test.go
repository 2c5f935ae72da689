package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCommandIsAList(t *testing.T) {
	want := []string{"/bin/page", "--team", "ops and others", "7"}
	for name, c := range map[string]struct {
		file    string
		environ []string
		want    string
	}{
		"file":        {"alert: {command: {command: [/bin/page, --team, ops and others, 7]}}\n", nil, ""},
		"lines":       {"alert:\n  command:\n    command:\n      - /bin/page\n      - --team\n      - ops and others\n      - 7\n", nil, ""},
		"environment": {"", []string{`QUESTWATCH_ALERT_COMMAND_COMMAND=["/bin/page", --team, "ops and others", 7]`}, ""},
		"a text":      {"alert: {command: {command: /bin/page geheim}}\n", nil, ":1:28: alert.command.command: want a list"},
		"of lists":    {"alert: {command: {command: [[geheim]]}}\n", nil, "alert.command.command: want a text"},
		"nonsense":    {"", []string{`QUESTWATCH_ALERT_COMMAND_COMMAND={geheim`}, "QUESTWATCH_ALERT_COMMAND_COMMAND: want a list"},
		"a map":       {"", []string{`QUESTWATCH_ALERT_COMMAND_COMMAND={geheim: 1}`}, "QUESTWATCH_ALERT_COMMAND_COMMAND: want a list"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := Load(write(t, c.file), c.environ)
			if c.want == "" && (err != nil || !slices.Equal(got.Alert.Command.Command, want)) {
				t.Errorf("%q, %v", got.Alert.Command.Command, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim")) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestChannelLimits(t *testing.T) {
	for want, spoil := range map[string]func(*Alert){
		"alert.command.timeout":       func(a *Alert) { a.Command.Timeout = 0 },
		"alert.command.group_for":     func(a *Alert) { a.Command.GroupFor = -1 },
		"alert.command.rules":         func(a *Alert) { a.Command.Rules = "none" },
		"alert.slack.repeat":          func(a *Alert) { a.Slack.Repeat = time.Second },
		"alert.alertmanager.resend":   func(a *Alert) { a.Alertmanager.Resend = 0 },
		"alert.alertmanager.url":      func(a *Alert) { a.Alertmanager.URL = "http://one:9093, geheim" },
		"alert.alertmanager.severity": func(a *Alert) { a.Alertmanager.Severity = "page" },
	} {
		c := Default()
		spoil(&c.Alert)
		if err := c.Finish(); err == nil || !strings.Contains(err.Error(), want+": ") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("want %s: error %v", want, err)
		}
	}
}
