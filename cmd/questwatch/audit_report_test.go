package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

// broken counts what the fixture's five findings leave to repair.
func broken(t *testing.T, dsn string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	err = conn.QueryRow(t.Context(), `SELECT count(*) FROM applications_application a WHERE status = 'approved' AND NOT EXISTS
		(SELECT FROM quests_questparticipant p WHERE p.quest_id = a.quest_id AND p.user_id = a.applicant_id)`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func fixArgs(dsn string, more ...string) []string {
	return with(dsn, append([]string{"audit", "--fix", "--compat", "django"}, more...)...)
}

func TestNothingIsRepairedThatCannotBeReported(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadAudit001)
	before := broken(t, dsn)
	dir := t.TempDir()
	file := filepath.Join(dir, "file.txt")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, says string }{
		"no directory":  {filepath.Join(dir, "none", "a.html"), "no such file or directory"},
		"no such place": {filepath.Join(file, "a.html"), "not a directory"},
		"a directory":   {dir, "is a directory"},
		"not writable":  {"/proc/a.txt", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, fixArgs(dsn, "--report", test.path, "--output", "text")...)
			refused(t, got, exitUsage, "write report "+test.path+": ", test.says, "name a file in a directory that exists")
			if strings.Contains(got.stderr, "/.") {
				t.Errorf("a hidden file is named: %s", got.stderr)
			}
		})
	}
	if n := broken(t, dsn); n != before || n == 0 {
		t.Errorf("%d applications to repair, before %d", n, before)
	}
}

// undoes runs the statements that a program printed, and wants the old state.
func undoes(t *testing.T, dsn, stderr string, want int) {
	t.Helper()
	_, sql, ok := strings.Cut(stderr, "BEGIN;\n")
	sql, _, end := strings.Cut(sql, "COMMIT;\n")
	if !ok || !end {
		t.Fatalf("no undo statements:\n%s", stderr)
	}
	if n := broken(t, dsn); n != 0 {
		t.Errorf("%d applications were not repaired", n)
	}
	execute(t, dsn, "DO $do$ BEGIN "+sql+" END $do$")
	if n := broken(t, dsn); n != want {
		t.Errorf("%d applications after the undo, want %d", n, want)
	}
}

// TestReaderOfTheReportGoesAway is questwatch audit --fix | true.
func TestReaderOfTheReportGoesAway(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadAudit001)
	before := broken(t, dsn)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	read.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], fixArgs(dsn)...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = write, &stderr
	var ended *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &ended) || ended.ExitCode() != exitFailure {
		t.Errorf("ended with %v:\n%s", err, stderr.String())
	}
	if !strings.Contains(stderr.String(), "broken pipe") {
		t.Errorf("stderr does not say why:\n%s", stderr.String())
	}
	undoes(t, dsn, stderr.String(), before)
}

func TestAuditPage(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>`
	execute(t, dsn, `UPDATE quests_quest SET title = '`+hostile+`' WHERE id = 8`)
	got := command(t, with(dsn, "audit", "--output", "html", "--detailed")...)
	seen(t, got.stdout, "student2", hostile)
}
