package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEmail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*AlertEmail)
		want   string
	}{
		"fine":                 {func(*AlertEmail) {}, ""},
		"off":                  {func(e *AlertEmail) { *e = defaultEmail() }, ""},
		"password of a file":   {func(e *AlertEmail) { e.Username, e.PasswordFile = "u", file }, ""},
		"no host":              {func(e *AlertEmail) { e.Host = "" }, "alert.email.host"},
		"no sender":            {func(e *AlertEmail) { e.From = "" }, "alert.email.from"},
		"header in sender":     {func(e *AlertEmail) { e.From = "a@b\r\nBcc: c@d" }, "alert.email.from"},
		"no recipient":         {func(e *AlertEmail) { e.To = "" }, "alert.email.to"},
		"no address":           {func(e *AlertEmail) { e.To = "a@b, ops" }, "alert.email.to"},
		"words":                {func(e *AlertEmail) { e.TLS = "yes" }, "alert.email.tls: want one of starttls, tls, none"},
		"in the clear":         {func(e *AlertEmail) { e.TLS = "none" }, "alert.email.tls: none is for"},
		"in the clear to us":   {func(e *AlertEmail) { e.TLS, e.Host = "none", "localhost" }, ""},
		"in the clear to ::1":  {func(e *AlertEmail) { e.TLS, e.Host = "none", "::1" }, ""},
		"password of nobody":   {func(e *AlertEmail) { e.Password = "geheim" }, "alert.email.username"},
		"no such port":         {func(e *AlertEmail) { e.Port = 70000 }, "alert.email.port"},
		"no such severity":     {func(e *AlertEmail) { e.Severity = "fatal" }, "alert.email.severity"},
		"grouped for no time":  {func(e *AlertEmail) { e.GroupFor = 0 }, "alert.email.group_for"},
		"two kinds of secrets": {func(e *AlertEmail) { e.Username, e.Password, e.PasswordFile = "u", "geheim", file }, "alert.email.password"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			cfg.Alert.Email.Host, cfg.Alert.Email.From, cfg.Alert.Email.To = "mail.example.org", "Watch <w@example.org>", "a@example.org, b@example.org"
			c.change(&cfg.Alert.Email)
			err := cfg.Finish()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
