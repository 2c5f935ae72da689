package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/rule"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "questwatch.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEnvironmentOverFileOverDefault(t *testing.T) {
	path := write(t, "postgres:\n  slot: from_file\n  publication: p\nrules:\n  unassigned:\n    grace: 7s\n")
	c, unknown, err := Load(path, []string{
		"QUESTWATCH_POSTGRES_SLOT=from_env", "QUESTWATCH_RULES_ORPHAN_PARTICIPANT_ENABLED=false",
		"QUESTWATCH_PORT=tcp://10.0.0.1:80", "HOME=/",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Postgres.Slot != "from_env" || c.Postgres.Publication != "p" || c.Namespace != "questwatch" {
		t.Errorf("wrong precedence: %+v", c.Postgres)
	}
	if c.Rules.Unassigned.Grace != 7*time.Second || !c.Rules.Unassigned.Enabled || c.Rules.OrphanParticipant.Enabled {
		t.Errorf("rules: %+v", c.Rules)
	}
	if len(unknown) != 1 || unknown[0] != "QUESTWATCH_PORT" {
		t.Errorf("unknown variables: %q", unknown)
	}
}

func TestLengthsOfTimeMayNameDays(t *testing.T) {
	path := write(t, "stream:\n  keep_for: 14d\nwatch: {verify_every: 1d12h}\n")
	c, _, err := Load(path, []string{"QUESTWATCH_STREAM_KEEP_EVENTS_FOR=52w"})
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	if c.Stream.KeepFor != 14*day || c.Watch.VerifyEvery != 36*time.Hour || c.Stream.KeepEvents != 364*day {
		t.Errorf("%+v, compared every %s", c.Stream, c.Watch.VerifyEvery)
	}
}

func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	for name, test := range map[string]struct{ file, want string }{
		"unknown key":    {"postgres:\n  dsn: postgres://u:geheim@h/d\n  slott: x\n", ":3:3: "},
		"known keys":     {"log:\n  levle: info\n", `:2:3: unknown key "log.levle": known here are level, format`},
		"bare number":    {"rules:\n  unassigned:\n    grace: 10\n", ":3:12: rules.unassigned.grace: want a length of time such as 3s"},
		"no section":     {"log: info\n", ":1:6: log: want keys with values: known here are level, format"},
		"not a setting":  {"hello\n", ":1:1: want keys with values: known here are namespace"},
		"not a switch":   {"postgres:\n  setup: maybe\n", ":2:10: postgres.setup: want true or false"},
		"no text":        {"data: [geheim]\n", "data: want a text"},
		"huge":           {"stream:\n  keep_bytes: 18446744073709551615\n", "stream.keep_bytes: want a whole number"},
		"unknown cause":  {"rules:\n  unassigned:\n    severity: {departed: info}\n", `:3:16: unknown key "rules.unassigned.severity.departed": known here are assignment_lost, released`},
		"unknown role":   {"statuses:\n  quest: {archived: old}\n", `:2:11: unknown key "statuses.quest.archived": known here are open, in_progress, completed`},
		"words as list":  {"statuses:\n  quest:\n    open: [open, new]\n", ":3:11: statuses.quest.open: want a text"},
		"unknown rule":   {"rules:\n  no_such_rule:\n    grace: 1s\n", ":2:3: "},
		"wrong type":     {"stream:\n  max_rows: many\n", ":2:"},
		"not YAML":       {"postgres: [\n", "questwatch.yaml"},
		"wrong duration": {"rules:\n  unassigned:\n    grace: soon\n", "questwatch.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(write(t, test.file), nil)
			var mistake *Error
			if !errors.As(err, &mistake) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want an *Error with %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("a secret is in the error: %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "Go ") || strings.Contains(err.Error(), "int64")) {
				t.Errorf("the error speaks of the program's types: %v", err)
			}
		})
	}
}

func TestServerOfTheNATSCommand(t *testing.T) {
	environ := []string{"NATS_URL=nats://theirs:4222"}
	if c, _, err := Load("", environ); err != nil || c.NATS.URL != "nats://theirs:4222" {
		t.Errorf("url %q, error %v", c.NATS.URL, err)
	}
	for _, ours := range []string{"QUESTWATCH_NATS_URL=nats://ours:4222", "QUESTWATCH_NATS_CONTEXT=ours"} {
		if c, _, err := Load("", append(environ, ours)); err != nil || c.NATS.URL == "nats://theirs:4222" {
			t.Errorf("%s: url %q, error %v", ours, c.NATS.URL, err)
		}
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	c := Default()
	c.Postgres.DSNFile = write(t, "postgres://u:p@h/d\n")
	if err := c.Finish(); err != nil || c.Postgres.DSN != "postgres://u:p@h/d" {
		t.Errorf("dsn %q, error %v", c.Postgres.DSN, err)
	}
	if err := c.Finish(); err == nil {
		t.Error("a secret that is set twice was taken")
	}
}

func TestUnusableSettings(t *testing.T) {
	for key, spoil := range map[string]func(*Config){
		"namespace":                       func(c *Config) { c.Namespace = "Quest.Watch" },
		"postgres.slot":                   func(c *Config) { c.Postgres.Slot = "no-dash" },
		"log.level":                       func(c *Config) { c.Log.Level = "loud" },
		"stream.durability":               func(c *Config) { c.Stream.Durability = "never" },
		"postgres.columns":                func(c *Config) { c.Postgres.Columns = "some" },
		"nats.manage":                     func(c *Config) { c.NATS.Manage = "maybe" },
		"rules.missing_participant.grace": func(c *Config) { c.Rules.MissingParticipant.Grace = -1 },
		"rules.dangling_reference.grace":  func(c *Config) { c.Rules.DanglingReference.Grace = -1 },
		"stream":                          func(c *Config) { c.Stream.MaxRows = 0 },
		"watch.keep_checkpoints":          func(c *Config) { c.Watch.KeepCheckpoints = 1001 },
		"watch.checkpoint_every":          func(c *Config) { c.Watch.CheckpointEvery = -1 },
		"repair.lock_timeout":             func(c *Config) { c.Repair.LockTimeout = 0 },
		"alarm":                           func(c *Config) { c.Alarm.SafePercent = 101 },
		"repair.mode":                     func(c *Config) { c.Repair.Mode = "maybe" },
		"repair: per_minute":              func(c *Config) { c.Repair.PerRule = 0 },
		"repair.breaker":                  func(c *Config) { c.Repair.Breaker.Percent = 101 },
	} {
		c := Default()
		spoil(&c)
		if err := c.Finish(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v", key, err)
		}
	}
}

// TestUnusableWords: what a word, a severity or a way back cannot be, with the
// setting's key.
func TestUnusableWords(t *testing.T) {
	for file, want := range map[string]string{
		"statuses: {quest: {completed: \"done, open\"}}":                         `statuses.quest.completed: "open" stands for open already: a word has one role`,
		"statuses: {application: {approved: \"yes, yes\"}}":                      `statuses.application.approved: "yes" stands for approved already`,
		"statuses: {participant: {dropped: \" , \"}}":                            "statuses.participant.dropped: want at least one word",
		"rules: {idle_in_progress: {severity: {idle: loud}}}":                    "rules.idle_in_progress.severity.idle: want info, warning or critical",
		"rules: {assignee_not_participant: {severity: {never_joined: Warning}}}": "rules.assignee_not_participant.severity.never_joined: want info",
		"ways_back: {completed_to_open: sometimes}":                              "ways_back.completed_to_open: want never, released or always",
	} {
		c, _, err := Load(write(t, file+"\n"), nil)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var mistake *Error
		if err := c.Finish(); !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}

// TestRulesAndWords: what is set holds, and what is not is as it was.
func TestRulesAndWords(t *testing.T) {
	c, _, err := Load(write(t, "rules: {idle_in_progress: {enabled: false, severity: {idle: critical}}}\nstatuses: {quest: {open: \" new ,open\"}}\n"),
		[]string{"QUESTWATCH_RULES_UNASSIGNED_SEVERITY_RELEASED=warning", "QUESTWATCH_WAYS_BACK_COMPLETED_TO_OPEN=always"})
	if err == nil {
		err = c.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Rules.List()
	if err != nil || len(all) != len(rule.All) {
		t.Fatalf("%d rules, %v", len(all), err)
	}
	severities := 0
	for i, s := range all {
		if s.Rule != rule.All[i] || s.Enabled == (s.Rule == rule.IdleInProgress) || s.Grace != rule.DefaultGrace {
			t.Errorf("%+v", s)
		}
		for cause, severity := range s.Severity {
			severities++
			want := rule.SeverityOf(s.Rule, cause)
			switch {
			case s.Rule == rule.IdleInProgress:
				want = rule.Critical
			case s.Rule == rule.Unassigned && cause == rule.Released:
				want = rule.Warning
			}
			if severity != want || rule.ActionFor(s.Rule, cause) == "" {
				t.Errorf("%s by %s is %s, want %s", s.Rule, cause, severity, want)
			}
		}
	}
	if severities != len(rule.Outcomes) {
		t.Errorf("%d causes can be set, of %d", severities, len(rule.Outcomes))
	}
	if got := Words(c.Statuses.Quest.Open); !slices.Equal(got, []string{"new", "open"}) || c.WaysBack.CompletedToOpen != "always" {
		t.Errorf("words %q, ways %+v", got, c.WaysBack)
	}
}

func TestAlarmLimits(t *testing.T) {
	for name, spoil := range map[string]func(*Alarm){
		"wal_kept": func(a *Alarm) { a.WALKept = 0 }, "disk_free": func(a *Alarm) { a.DiskFree = -1 },
		"safe_percent": func(a *Alarm) { a.SafePercent = 0 }, "lag": func(a *Alarm) { a.Lag = time.Millisecond },
		"heartbeat": func(a *Alarm) { a.Heartbeat = 0 },
	} {
		c := Default()
		spoil(&c.Alarm)
		if err := c.Finish(); err == nil || !strings.Contains(err.Error(), "alarm: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if c, _, err := Load("", []string{"QUESTWATCH_ALARM_WAL_KEPT=5", "QUESTWATCH_ALARM_LAG=9s"}); err != nil || c.Alarm.WALKept != 5 || c.Alarm.Lag != 9*time.Second {
		t.Errorf("alarm %+v, error %v", c.Alarm, err)
	}
}

// What a file does not say stays as it is, whatever it says around that.
func TestEmptyMeansTheDefaults(t *testing.T) {
	for name, file := range map[string]string{
		"nothing": "", "lines": "\n\n", "comment": "# nothing yet\n", "document": "---\n", "null": "null\n", "end": "---\n# nothing\n...\n",
		"section": "log:\n", "commented section": "rules:\n  unassigned:\n    # grace: 9s\nlog:\n  level: info\n", "value": "namespace:\n",
		"null value": "rules:\n  unassigned:\n    grace: ~\n", "braces": "{}\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := Load(write(t, file), nil)
			if err != nil || !reflect.DeepEqual(c, Default()) {
				t.Errorf("error %v, settings %+v", err, c)
			}
		})
	}
}

func TestYAMLReferencesStillWork(t *testing.T) {
	c, _, err := Load(write(t, "rules:\n  unassigned: &slow\n    grace: 9s\n  orphan_participant: *slow\n  duplicate_participant:\n    <<: *slow\n    enabled: false\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Rules; r.Unassigned.Grace != 9*time.Second || r.OrphanParticipant.Grace != 9*time.Second || r.DuplicateParticipant.Grace != 9*time.Second {
		t.Errorf("rules %+v", r)
	}
}

func TestAddresses(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(*Config)
		want string
	}{
		"http nonsense":     {func(c *Config) { c.HTTP.Listen = "nonsense" }, "http.listen: want HOST:PORT"},
		"http port":         {func(c *Config) { c.HTTP.Listen = "localhost:99999" }, "http.listen: want HOST:PORT"},
		"http none":         {func(c *Config) { c.HTTP.Listen = "" }, ""},
		"http all":          {func(c *Config) { c.HTTP.Listen = ":8080" }, ""},
		"http IPv6":         {func(c *Config) { c.HTTP.Listen = "[::1]:0" }, ""},
		"nats nonsense":     {func(c *Config) { c.NATS.Listen = "nonsense" }, "nats.listen: want HOST:PORT"},
		"nats none":         {func(c *Config) { c.NATS.Listen = "" }, "nats.listen: want HOST:PORT"},
		"nats not embedded": {func(c *Config) { c.NATS.Listen, c.NATS.URL = "", "nats://h" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := Default()
			test.set(&c)
			err := c.Finish()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestMonitoringAddresses(t *testing.T) {
	for value, fine := range map[string]bool{
		"": true, "http://127.0.0.1:8222": true, "https://h/base": true, "http://a:1, http://b:2": true, "http://u:geheim@h:8222": true,
		"127.0.0.1:8222": false, "nats://h:4222": false, "http://": false, "http://a:1,": false, "http://geheim h": false,
		"http://h/varz?geheim": false, "h": false,
	} {
		c := Default()
		c.NATS.Monitoring = value
		err := c.Finish()
		if (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "nats.monitoring") {
			t.Errorf("%q: %v", value, err)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("the error repeats the value: %v", err)
		}
	}
}

// TestREADMEShowsTheDefaults: its settings are all of them, and what holds without a
// file. Tables' names are filled in later: see Default.
func TestREADMEShowsTheDefaults(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```yaml\n")
	block, _, end := strings.Cut(block, "```\n")
	if !found || !end {
		t.Fatal("README has no settings")
	}
	c, _, err := Load(write(t, block), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Tables == (Tables{}) {
		t.Error("README shows no tables")
	}
	c.Tables = Tables{}
	if len(c.Alert.Command.Command) == 0 { // the README shows an empty list
		c.Alert.Command.Command = nil
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("README shows\n%+v\nand the defaults are\n%+v", c, want)
	}
	for _, section := range []any{Config{}, Postgres{}, NATS{}, Stream{}, Watch{}, Alarm{}, Statuses{}, WaysBack{}, Repair{}, Breaker{}, Alert{}, AlertWebhook{}, AlertChat{}, AlertEmail{}, AlertAlertmanager{}, AlertCommand{}} {
		for name := range strings.SplitSeq(keys(reflect.TypeOf(section)), ", ") {
			if !strings.Contains(block, name) {
				t.Errorf("README lacks %s", name)
			}
		}
	}
}
