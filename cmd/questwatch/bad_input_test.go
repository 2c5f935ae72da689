package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

// asMain makes a copy of this program the real one.
const asMain = "QUESTWATCH_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		os.Unsetenv(asMain)
		main()
	}
	testkit.Main(m)
}

// outcome is how a command line ended.
type outcome struct {
	status         int
	stdout, stderr string
}

// command runs a command line as main does. A command that does not end by
// itself is ended after a while, so that it fails the test.
func command(t *testing.T, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err := cmd.ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		errs.WriteString(explain(err))
	}
	return outcome{exitStatus(err), out.String(), errs.String()}
}

// refused checks that a command line fails with a status, says all that it
// should, and keeps the secret.
func refused(t *testing.T, got outcome, status int, says ...string) {
	t.Helper()
	if got.status != status {
		t.Errorf("status %d, want %d; stderr: %s", got.status, status, got.stderr)
	}
	for _, want := range says {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, got.stderr)
		}
	}
	if strings.Contains(got.stderr+got.stdout, secret) {
		t.Errorf("a secret was shown:\n%s", got.stderr)
	}
}

const secret = "geh3im"

// untouched fails when the database has anything of ours.
func untouched(t *testing.T, dsn string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var traces int
	err = conn.QueryRow(t.Context(), `SELECT
		(SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_class WHERE relreplident = 'f') +
		(SELECT count(*) FROM pg_replication_slots WHERE database = current_database())`).Scan(&traces)
	if err != nil || traces != 0 {
		t.Errorf("%d traces in the database, error %v", traces, err)
	}
}

func with(dsn string, args ...string) []string { return append(args, "--dsn", dsn) }

// runArgs is run on free ports with a data directory that must not come to be.
func runArgs(t *testing.T, dsn string, more ...string) (args []string, data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	args = with(dsn, "run", "--http", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--data", data)
	return append(args, more...), data
}

func execute(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"unknown command":  {[]string{"wacth"}, "unknown command"},
		"unknown flag":     {[]string{"run", "--nope"}, "unknown flag"},
		"argument":         {[]string{"run", "now"}, "unknown command"},
		"no database":      {[]string{"run"}, "no database is named"},
		"audit's format":   {[]string{"audit", "--output", "xml"}, "xml"},
		"dry run alone":    {[]string{"audit", "--dry-run"}, "--fix"},
		"other command":    {[]string{"audit", "--compat", "rails"}, "django"},
		"demo's length":    {[]string{"demo", "--for", "-1s"}, "--for"},
		"demo's format":    {[]string{"demo", "--output", "html"}, "--output"},
		"nobody":           {[]string{"audit", "--fix", "--user", ""}, "--user is empty"},
		"compat's limit":   {[]string{"audit", "--compat", "django", "--fail-on", "never"}, "knows no --fail-on"},
		"compat's scope":   {[]string{"audit", "--compat", "django", "--fix", "--include-unknown"}, "knows no --include-unknown"},
		"unknown ending":   {[]string{"audit", "--report", "a.pdf"}, ".txt, .html and .json; or say --output"},
		"flag's help":      {[]string{"run", "--nope"}, "see questwatch run --help"},
		"value's help":     {[]string{"audit", "--output", "xml"}, "see questwatch audit --help"},
		"argument's help":  {[]string{"demo", "now"}, "see questwatch demo --help"},
		"setting's help":   {[]string{"run"}, "see questwatch run --help"},
		"program's help":   {[]string{"wacth"}, "see questwatch --help"},
		"no rate":          {[]string{"demo", "--rate", "nan"}, "--rate"},
		"endless rate":     {[]string{"demo", "--rate", "inf"}, "--rate"},
		"kept over others": {[]string{"demo", "--keep", full}, "not empty"},
		"http's place":     {[]string{"run", "--http", "nonsense"}, "http.listen: want HOST:PORT"},
		"nats's place":     {[]string{"run", "--nats-listen", "nonsense"}, "nats.listen: want HOST:PORT"},
		"no such group":    {[]string{"tail", "--group", "drifts"}, "want alert, approval, audit, drift"},
		"no such rule":     {[]string{"tail", "--rule", "missing"}, "--rule: "},
		"no such severity": {[]string{"tail", "--severity", "error"}, "want info, warning or critical"},
		"no time":          {[]string{"tail", "--since", "yesterday"}, "nor a length of time"},
		"a future time":    {[]string{"tail", "--since", "2999-01-01T00:00:00Z"}, "is in the future"},
		"a future length":  {[]string{"tail", "--since", "+1h"}, "is in the future"},
		"no past":          {[]string{"tail", "--no-follow"}, "without --since"},
		"tail's format":    {[]string{"tail", "--output", "xml"}, "want text or json"},
		"no such settings": {[]string{"run", "--config", "no/such.yaml"}, "no/such.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, command(t, test.args...), exitUsage, test.says)
		})
	}
}

func TestVersion(t *testing.T) {
	flag, named := command(t, "--version"), command(t, "version")
	if flag.status != exitFine || flag != named || !strings.HasPrefix(flag.stdout, "questwatch ") {
		t.Errorf("--version is %+v, version %+v", flag, named)
	}
}

func TestCompletion(t *testing.T) {
	for flag, want := range map[string]string{
		"audit --output": "text\njson\nhtml\n:4", "audit --fail-on": "info\nwarning\ncritical\nnever\n:4", "audit --compat": "django\n:4",
		"audit --log-level": "debug\ninfo\nwarn\nerror\n:4", "run --log-format": "text\njson\n:4", "demo --output": "text\njson\n:4",
	} {
		args := append([]string{"__complete"}, strings.Fields(flag)...)
		if got := command(t, append(args, "")...).stdout; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", flag, got, want)
		}
	}
}

func TestUnknownSettingIsNamedWithItsPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "questwatch.yaml")
	if err := os.WriteFile(file, []byte("postgres:\n  dsn: postgres://me:"+secret+"@h/d\n  slots: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, command(t, "run", "--config", file), exitUsage, file+":3:3", "slots")
}

func TestUnusableRulesAndWordsAreNamedWithTheirPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "questwatch.yaml")
	for settings, says := range map[string]string{
		"statuses: {quest: {in_progress: \"open\"}}":                 "statuses.quest.in_progress: \"open\" stands for open already",
		"statuses: {participant: {joined: \"\"}}":                    "statuses.participant.joined: want at least one word",
		"rules: {missing_participant: {severity: {departed: none}}}": "rules.missing_participant.severity.departed: want info, warning or critical",
		"rules: {missing_participant: {severity: {released: info}}}": file + ":1:42: unknown key \"rules.missing_participant.severity.released\"",
		"rules: {missing_participants: {enabled: false}}":            file + ":1:9: unknown key \"rules.missing_participants\"",
		"ways_back: {in_progress_to_open: soon}":                     "ways_back.in_progress_to_open: want never, released or always",
		"watch: {deleted: some}":                                     file + ":1:18: watch.deleted: want true or false",
		"tables: {quest: {columns: {deleted: none}}}":                file + ":1:28: unknown key \"tables.quest.columns.deleted\"",
	} {
		if err := os.WriteFile(file, []byte(settings+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"run", "audit"} {
			refused(t, command(t, with("postgres://localhost:1/none", name, "--config", file)...), exitUsage, says)
		}
	}
}

// TestAuditJudgesAsConfigured: another site's tables, and rules by the file alone.
func TestAuditJudgesAsConfigured(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadOtherSite)
	execute(t, dsn, `INSERT INTO "My App"."Task" VALUES (1, 'in Arbeit', NULL)`)
	execute(t, dsn, `INSERT INTO "My App".members (task, person, state, note) VALUES (1, 8, 'aktiv', '')`)
	file := filepath.Join(t.TempDir(), "questwatch.yaml")
	for text, status := range map[string]int{
		testkit.OtherSiteYAML: exitFindings,
		strings.Replace(testkit.OtherSiteYAML, "direct_join: critical", "direct_join: info", 1) +
			"  unassigned: {severity: {assignment_lost: info}}\n": exitFine,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := command(t, with(dsn, "audit", "--config", file)...)
		if got.status != status || !strings.Contains(got.stdout, "switched off: idle_in_progress") || !strings.Contains(got.stdout, "user alice") {
			t.Errorf("status %d, want %d; %s\n%s", got.status, status, got.stderr, got.stdout)
		}
	}
}

func TestUnreachableDatabase(t *testing.T) {
	dsn := testkit.Database(t)
	cluster := testkit.Postgres(t)
	if err := cluster.CreatePasswordRole(t.Context(), "knows", "right", "REPLICATION"); err != nil {
		t.Fatal(err)
	}
	free := listen(t)
	free.Close()
	for name, test := range map[string]struct {
		dsn    string
		status int
		says   []string
	}{
		"garbage":        {"postgres://u:" + secret + "@@h:x", exitUsage, []string{"connection string", "postgres://"}},
		"wrong password": {cluster.DSNAs("postgres", "knows", secret), exitUsage, []string{"PGPASSFILE"}},
		"no database":    {cluster.DSN("nowhere"), exitUsage, []string{`"nowhere" does not exist`}},
		"server down":    {"postgres://me:" + secret + "@" + free.Addr().String() + "/d", exitFailure, []string{"refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			args, data := runArgs(t, test.dsn)
			refused(t, command(t, args...), test.status, test.says...)
			refused(t, command(t, with(test.dsn, "audit")...), test.status)
			if _, err := os.Stat(data); err == nil {
				t.Error("the data directory was made")
			}
		})
	}
	untouched(t, dsn)
}

// TestInstanceThatIsNotThere: one sentence says why, and one what to do.
func TestInstanceThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "left")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	owner := `{"user": "questwatch", "password": "` + secret + `", "url": "nats://127.0.0.1:1"}`
	if err := os.WriteFile(filepath.Join(left, "nats-owner.json"), []byte(owner), 0o600); err != nil {
		t.Fatal(err)
	}
	for data, says := range map[string]string{
		filepath.Join(dir, "nowhere"): "there is none", file: "it is a file", dir: "none has ever", left: "nobody answers at nats://127.0.0.1:1",
	} {
		want := fmt.Sprintf("questwatch: no instance runs with the data directory %q: %s\n"+
			"  start questwatch run, or say which instance is meant: --data DIR, or --nats URL for an external server\n", data, says)
		for _, line := range []string{"status", "tail", "show quest 4", "audit now", "audit --at -2h", "repair show b47c15"} {
			got := command(t, append(strings.Fields(line), "--data", data)...)
			if got.status != exitFailure || got.stderr != want {
				t.Errorf("%s: %d, %s", line, got.status, got.stderr)
			}
		}
	}
	got := command(t, "status", "--nats", "nats://me:"+secret+"@127.0.0.1:1")
	refused(t, got, exitFailure, "connect to nats at 127.0.0.1:1: no nats server is reachable\n  check the address")
	refused(t, command(t, "status", "--data", ""), exitUsage, "data: want a directory")
}

// TestErrorOfALine: pgx tells of each address that it tried, twice.
func TestErrorOfALine(t *testing.T) {
	for _, name := range []string{"run", "audit"} {
		got := command(t, with("postgres://me@nowhere.invalid/site", name)...)
		refused(t, got, exitFailure, "nowhere.invalid:5432")
		if lines := strings.Count(got.stderr, "\n"); lines != 2 || strings.Count(got.stderr, "postgres://me@") > 1 {
			t.Errorf("%s: %d lines: %s", name, lines, got.stderr)
		}
	}
}

func TestUnsuitableDatabase(t *testing.T) {
	for name, test := range map[string]struct {
		prepare string
		args    []string
		says    []string
	}{
		"missing table":  {"DROP TABLE quests_questparticipant", nil, []string{"public.quests_questparticipant", "does not exist"}},
		"missing column": {"ALTER TABLE quests_quest RENAME COLUMN assigned_to_id TO owner", nil, []string{"assigned_to_id", "tables.quest.columns"}},
		"no set-up":      {"", []string{"--no-setup"}, []string{"REPLICA IDENTITY FULL", "CREATE PUBLICATION"}},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := testkit.Database(t)
			if test.prepare != "" {
				execute(t, dsn, test.prepare)
			}
			args, _ := runArgs(t, dsn, test.args...)
			refused(t, command(t, args...), exitUsage, test.says...)
			untouched(t, dsn)
		})
	}
}

func TestWithoutTheRight(t *testing.T) {
	dsn := testkit.Database(t)
	cluster := testkit.Postgres(t)
	if err := cluster.CreatePasswordRole(t.Context(), "plain", secret); err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	args, _ := runArgs(t, cluster.DSNAs(config.Database, "plain", secret))
	refused(t, command(t, args...), exitUsage, `ALTER ROLE "plain" REPLICATION`)
	untouched(t, dsn)
}

func TestServerWithoutLogicalDecoding(t *testing.T) {
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{Settings: map[string]string{"wal_level": "replica"}})
	args, _ := runArgs(t, cluster.DSN("postgres"))
	refused(t, command(t, args...), exitUsage, "wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'")
}

func TestUnknownUser(t *testing.T) {
	dsn := testkit.Database(t)
	refused(t, command(t, with(dsn, "audit", "--user", "nobody")...), exitUsage, `"nobody"`)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestPortInUse(t *testing.T) {
	dsn := testkit.Database(t)
	taken := listen(t).Addr().String()
	for _, flag := range []string{"--http", "--nats-listen"} {
		args, data := runArgs(t, dsn, flag, taken)
		refused(t, command(t, args...), exitFailure, "in use", "choose another")
		if _, err := os.Stat(data); err == nil {
			t.Errorf("%s: the data directory was made", flag)
		}
	}
	untouched(t, dsn)
}

func TestExternalServerThatCannotServe(t *testing.T) {
	dsn := testkit.Database(t)
	for name, test := range map[string]struct {
		options testkit.NATSOptions
		says    []string
	}{
		"no JetStream": {testkit.NATSOptions{NoJetStream: true}, []string{"jetstream is not enabled", "nats-server -js"}},
		"full":         {testkit.NATSOptions{JetStream: "max_file_store: 1K, max_memory_store: 1K"}, []string{"limit"}},
		"forbidden": {testkit.NATSOptions{Config: `authorization { users = [ {user: a, password: ` + secret + `,
			permissions: {publish: ["$JS.API.INFO"], subscribe: ["_INBOX.>"]}} ] }`}, []string{"$JS.API", "allow"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := testkit.NewNATS(t, test.options)
			url := server.URL()
			if name == "forbidden" {
				url = strings.Replace(url, "nats://", "nats://a:"+secret+"@", 1)
			}
			args, _ := runArgs(t, dsn, "--nats", url)
			refused(t, command(t, args...), exitFailure, test.says...)
			untouched(t, dsn)
		})
	}
}

func TestSecretsOnTheCommandLineDrawAWarning(t *testing.T) {
	free := listen(t)
	free.Close()
	down := "postgres://me:" + secret + "@" + free.Addr().String() + "/d"
	args, _ := runArgs(t, down, "--nats", "nats://me:"+secret+"@127.0.0.1:1")
	refused(t, command(t, args...), exitFailure, "a password on the command line", "credentials on the command line")
}
