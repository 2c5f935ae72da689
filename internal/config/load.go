package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/peerquest/questwatch/internal/timetable"
)

// Error is a setting that cannot be used. It is the operator's to mend.
type Error struct {
	Where string // the file's name and position, or the variable
	Err   error
}

func (e *Error) Error() string { return e.Where + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Load reads the file, if path is not empty, and the environment over it.
// Variables that start with QUESTWATCH_ and name no setting are returned too: a
// container's platform may have put them there, or somebody misspelt one.
func Load(path string, environ []string) (c Config, unknown []string, err error) {
	c = Default()
	if path != "" {
		if err := readFile(path, &c); err != nil {
			return c, nil, err
		}
	}
	unknown, err = readEnv(environ, &c)
	if c.NATS.URL == "" && c.NATS.Context == "" {
		c.NATS.URL = lookup(environ, natsURL)
	}
	return c, unknown, err
}

const prefix = "QUESTWATCH_"

// natsURL is the variable by which the nats command and others find their server.
const natsURL = "NATS_URL"

func lookup(environ []string, name string) string {
	for _, pair := range environ {
		if key, value, ok := strings.Cut(pair, "="); ok && key == name {
			return value
		}
	}
	return ""
}

// readEnv sets every field whose variable is in environ.
func readEnv(environ []string, c *Config) (unknown []string, err error) {
	values := map[string]string{}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, prefix) {
			values[name] = value
		}
	}
	err = walk(reflect.ValueOf(c).Elem(), prefix[:len(prefix)-1], func(name string, field reflect.Value) error {
		value, ok := values[name]
		if !ok {
			return nil
		}
		delete(values, name)
		if err := set(field, value); err != nil {
			return &Error{Where: name, Err: err}
		}
		return nil
	})
	for name := range values {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	return unknown, err
}

// walk visits every setting with the name of its variable.
func walk(v reflect.Value, name string, visit func(string, reflect.Value) error) error {
	if v.Kind() != reflect.Struct {
		return visit(name, v)
	}
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if err := walk(v.Field(i), name+"_"+strings.ToUpper(key), visit); err != nil {
			return err
		}
	}
	return nil
}

// What a value of a kind looks like, for who wrote another one.
var (
	errWantTime   = errors.New("want " + timetable.Lengths)
	errWantBool   = errors.New("want true or false")
	errWantNumber = errors.New("want a whole number")
	errWantText   = errors.New("want a text")
	errWantList   = errors.New("want a list of texts such as [/usr/local/bin/page, --team, ops]")
)

func set(field reflect.Value, text string) error {
	if field.Type() == reflect.TypeFor[time.Duration]() {
		d, err := timetable.ParseLength(text)
		if err != nil {
			return errWantTime
		}
		field.SetInt(int64(d))
		return nil
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errWantBool
		}
		field.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errWantNumber
		}
		field.SetInt(n)
	case reflect.Slice:
		var list []string
		if err := yaml.Unmarshal([]byte(text), &list); err != nil { // which would repeat the value
			return errWantList
		}
		field.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("cannot be set from the environment")
	}
	return nil
}

// Finish reads the secrets that are in files, and checks what can be checked
// without touching anything. Call it when the flags have been set.
func (c *Config) Finish() error {
	for _, secret := range []struct {
		key         string
		value, file *string
	}{
		{"postgres.dsn", &c.Postgres.DSN, &c.Postgres.DSNFile},
		{"repair.dsn", &c.Repair.DSN, &c.Repair.DSNFile},
		{"nats.password", &c.NATS.Password, &c.NATS.PasswordFile},
		{"alert.webhook.url", &c.Alert.Webhook.URL, &c.Alert.Webhook.URLFile},
		{"alert.webhook.secret", &c.Alert.Webhook.Secret, &c.Alert.Webhook.SecretFile},
		{"alert.slack.url", &c.Alert.Slack.URL, &c.Alert.Slack.URLFile},
		{"alert.discord.url", &c.Alert.Discord.URL, &c.Alert.Discord.URLFile},
		{"alert.alertmanager.url", &c.Alert.Alertmanager.URL, &c.Alert.Alertmanager.URLFile},
		{"alert.email.password", &c.Alert.Email.Password, &c.Alert.Email.PasswordFile},
	} {
		if *secret.file == "" {
			continue
		}
		if *secret.value != "" {
			return &Error{Where: secret.key, Err: fmt.Errorf("is set, and %s_file too: set one of them", secret.key)}
		}
		data, err := os.ReadFile(*secret.file)
		if err != nil {
			return &Error{Where: secret.key + "_file", Err: err}
		}
		*secret.value = strings.TrimSpace(string(data))
	}
	return c.check()
}

var namespacePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,30}$`)

// slotPattern is what Postgres allows in a slot's name, with room for the suffix
// of a temporary one.
var slotPattern = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

func (c *Config) check() error {
	if !namespacePattern.MatchString(c.Namespace) {
		return &Error{Where: "namespace", Err: errors.New("want small letters, digits, - and _, a letter first, at most 31")}
	}
	if c.Data == "" && c.NATS.URL == "" && c.NATS.Context == "" {
		return &Error{Where: "data", Err: errors.New("want a directory")}
	}
	if !slotPattern.MatchString(c.Postgres.Slot) {
		return &Error{Where: "postgres.slot", Err: errors.New("want small letters, digits and _, at most 40")}
	}
	if c.Stream.MaxRows < 1 || c.Stream.MaxBytes < 1 {
		return &Error{Where: "stream", Err: errors.New("max_rows and max_bytes must be above 0")}
	}
	if a := c.Alarm; a.WALKept < 1 || a.DiskFree < 1 || a.SafePercent < 1 || a.SafePercent > 100 || a.Lag < time.Second || a.Heartbeat < time.Second {
		return &Error{Where: "alarm", Err: errors.New("limits must be above 0, lengths of time 1s or more, safe_percent at most 100")}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"stream.confirm_lag", c.Stream.ConfirmLag},
		{"nats.sync_interval", c.NATS.SyncInterval},
		{"watch.verify_every", c.Watch.VerifyEvery},
		{"watch.checkpoint_every", c.Watch.CheckpointEvery},
	} {
		if d.value < 0 {
			return &Error{Where: d.key, Err: errors.New("must not be negative")}
		}
	}
	if n := c.Watch.KeepCheckpoints; n < 0 || n > mostCheckpoints {
		return &Error{Where: "watch.keep_checkpoints", Err: fmt.Errorf("must be 0 to %d", mostCheckpoints)}
	}
	_, err := c.Modes() // of all rules
	return errors.Join(
		err, c.checkRetention(), c.Statuses.check(), c.WaysBack.check(), c.Repair.check(), c.Repair.checkAccess(), c.Alert.check(), c.Audit.check(),
		oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error"),
		oneOf("log.format", c.Log.Format, "text", "json"),
		oneOf("postgres.columns", c.Postgres.Columns, "listed", AllColumns),
		oneOf("nats.manage", c.NATS.Manage, "create", "verify"),
		oneOf("stream.durability", c.Stream.Durability, "interval", "always"),
		webAddresses("nats.monitoring", c.NATS.Monitoring),
		address("http.listen", c.HTTP.Listen, true),
		// With an external server nobody listens there.
		address("nats.listen", c.NATS.Listen, c.NATS.URL != "" || c.NATS.Context != ""),
	)
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return &Error{Where: key, Err: fmt.Errorf("want one of %s", strings.Join(allowed, ", "))}
}

// address refuses what nobody can listen on, by its form alone.
func address(key, value string, optional bool) error {
	if value == "" && optional {
		return nil
	}
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return &Error{Where: key, Err: errors.New("want HOST:PORT, such as 127.0.0.1:8080; port 0 takes a free one")}
	}
	return nil
}

// webAddresses refuses what is no list of URLs, without repeating it: one may hold
// a password.
func webAddresses(key, value string) error {
	if value == "" {
		return nil
	}
	for address := range strings.SplitSeq(value, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return &Error{Where: key, Err: errors.New("want the URL of a NATS server's monitoring, such as http://127.0.0.1:8222; several with commas between")}
		}
	}
	return nil
}
