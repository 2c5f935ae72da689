package django

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

// pythonEnv names a Python with Django and psycopg other than Debian's.
const pythonEnv = "QUESTWATCH_TEST_PYTHON"

func TestMain(m *testing.M) { testkit.Main(m) }

// TestReport runs the module's own tests. A slot of ours stands beside them and hears all that the module says.
func TestReport(t *testing.T) {
	python := cmp.Or(os.Getenv(pythonEnv), "/usr/bin/python3")
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import django.db.backends.postgresql.base").CombinedOutput(); err != nil {
		t.Fatalf("%s has no Django: install python3-django and python3-psycopg2, or name another in %s\n%s", python, pythonEnv, out)
	}
	dsns := [2]string{testkit.Database(t, testkit.LoadAudit001), testkit.Database(t, testkit.LoadAudit001)}
	for _, dsn := range dsns {
		query[string](t, dsn, `CREATE PUBLICATION go`)
		query[string](t, dsn, `SELECT pg_create_logical_replication_slot('go_' || current_database(), 'pgoutput')::text`)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-B", "-W", "error::ResourceWarning", "-m", "unittest", "test_questwatch_report")
	main, other := config(t, dsns[0]), config(t, dsns[1])
	cmd.Env = append(os.Environ(), "QUESTWATCH_TEST_HOST="+main.Host, "QUESTWATCH_TEST_PORT="+strconv.Itoa(int(main.Port)),
		"QUESTWATCH_TEST_DATABASE="+main.Database, "QUESTWATCH_TEST_OTHER="+other.Database)
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^Ran [1-9]\d+ tests`).Match(out) {
		t.Fatalf("Python's tests: %v\n%s", err, out)
	}
	said := 0
	for _, dsn := range dsns {
		for _, data := range query[[]byte](t, dsn, `SELECT data FROM pg_logical_slot_get_binary_changes('go_' || current_database(), NULL, NULL,
			'proto_version', '1', 'publication_names', 'go', 'messages', 'true')`) {
			if data[0] == 'M' {
				said++
				keepsContract(t, data)
			}
		}
	}
	if said < 15 {
		t.Errorf("the slots had %d messages", said)
	}
}

// keepsContract checks what the module promises to whoever reads the slot.
func keepsContract(t *testing.T, data []byte) {
	t.Helper()
	decoded, err := pglogrepl.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	m := decoded.(*pglogrepl.LogicalDecodingMessage)
	t.Logf("%s, transactional %t: %s", m.Prefix, m.Transactional, m.Content)
	if m.Prefix != change.ReportPrefix || !m.Transactional || len(m.Content) > 4096 {
		t.Errorf("prefix %q, transactional %t, %d bytes", m.Prefix, m.Transactional, len(m.Content))
	}
	// The checker's own reading of it.
	r, err := change.ParseReport(string(m.Content))
	if err != nil || r.QuestID != 1 || r.ApplicationID < 1 || len(r.UserID) != 36 {
		t.Errorf("read as %+v, %v", r, err)
	}
	var all map[string]any
	if err := json.Unmarshal(m.Content, &all); err != nil {
		t.Fatal(err)
	}
	for key := range all {
		if !slices.Contains([]string{"quest_id", "application_id", "user_id", "error"}, key) {
			t.Errorf("%q is said too", key)
		}
	}
}

func config(t *testing.T, dsn string) *pgx.ConnConfig {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// query runs a statement on a connection of its own and returns the rows of its only column.
func query[T any](t *testing.T, dsn, sql string) []T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return values
}
