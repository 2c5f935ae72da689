package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

// TestJournal goes through a journal's life by the commands: made, written by an audit,
// read, undone, and what stops automatic repairs.
func TestJournal(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	expect := func(status int, want string, args ...string) outcome {
		t.Helper()
		got := command(t, append(args, "--dsn", dsn)...)
		if got.status != status || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("%q: want %d with %q: %+v", args, status, want, got)
		}
		return got
	}
	expect(exitUsage, "run questwatch setup", "repair", "log")
	expect(exitFine, "is set up", "setup")
	expect(exitFine, "nothing to do", "setup")
	expect(exitFine, "", "repair", "log")
	expect(exitFine, "", "audit", "--fix", "--include-unknown", "--actor", "the night watch", "--reason", "ticket 4711")
	text := expect(exitFine, "", "repair", "log").stdout
	for _, want := range []string{
		"quest 1 student2  missing_participant, create_participant  by the night watch: ticket 4711\n    participant ",
		" created\n    quest 1  assigned_to_id null -> 22222222-2222-4222-8222-222222222222, status open -> in-progress, updated_at ",
		"quest 8  unassigned, assign_earliest  by the night watch",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
	var log struct{ Entries []loggedEntry }
	if err := json.Unmarshal([]byte(expect(exitFine, "", "repair", "log", "--quest", "1", "--output", "json").stdout), &log); err != nil || len(log.Entries) != 1 {
		t.Fatalf("quest 1 has %d entries: %v", len(log.Entries), err)
	}
	if n := strings.Count(expect(exitFine, "", "repair", "log", "--rule", "missing_participant", "--limit", "2", "--since", "1h").stdout, "entry "); n != 2 {
		t.Errorf("%d entries within the limit of 2", n)
	}
	expect(exitFine, "undoes entry 1  by somebody", "repair", "undo", "1", "--actor", "somebody")
	expect(exitFailure, "it has been undone already, by entry 6", "repair", "undo", "1")
	expect(exitUsage, "the journal has no such entry", "repair", "undo", "99")
	expect(exitUsage, "no entry's number", "repair", "undo", "first")
	expect(exitFine, "(undone by entry 6)", "repair", "log")
	expect(exitFine, "paused by somebody since", "repair", "pause", "--actor", "somebody", "--reason", "maintenance")
	expect(exitFine, "maintenance", "repair", "pause", "--actor", "another", "--reason", "for fun")
	expect(exitFine, "paused", "repair", "pause", "--namespace", "other")
	expect(exitFine, "Nothing stops", "repair", "resume")
	expect(exitFine, "Nothing stops", "repair", "resume")
}

// TestSetupPrintNeedsNoDatabase: the script is for the configured tables.
func TestSetupPrintNeedsNoDatabase(t *testing.T) {
	t.Setenv("QUESTWATCH_TABLES_QUEST_TABLE", `site.The "Quests"`)
	got := command(t, "setup", "--print")
	if got.status != exitFine || !strings.Contains(got.stdout, `"site"."The ""Quests"""`) || !strings.Contains(got.stdout, "\nCOMMIT;\n") {
		t.Errorf("%+v", got)
	}
}
