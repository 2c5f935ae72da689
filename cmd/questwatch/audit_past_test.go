package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// pairs are an audit's findings without what only one of the sources knows.
func pairs(t *testing.T, got outcome) (all []string) {
	t.Helper()
	var report struct {
		Findings []struct {
			Rule  string
			Quest int64   `json:"quest_id"`
			User  *string `json:"user_id"`
		}
	}
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &report); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	for _, f := range report.Findings {
		user := ""
		if f.User != nil {
			user = *f.User
		}
		all = append(all, fmt.Sprint(f.Rule, " ", f.Quest, " ", user))
	}
	slices.Sort(all)
	return all
}

// TestAuditOfThePast audits the stream as it was before and after a change, beside what the
// database says at each.
func TestAuditOfThePast(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, data := instance(t, dsn)
	openFindings(t, a, 5)
	last := func() (seq int) {
		t.Helper()
		var sums struct{ Last struct{ Sequence int } }
		got := command(t, "replay", "--data", data, "--dry-run", "--output", "json")
		if err := json.Unmarshal([]byte(got.stdout), &sums); err != nil {
			t.Fatalf("%v: %+v", err, got)
		}
		return sums.Last.Sequence
	}
	database := func() []string { return pairs(t, command(t, "audit", "--dsn", dsn, "--output", "json")) }
	past := func(at string, more ...string) outcome {
		return command(t, append([]string{"audit", "--at", at, "--data", data, "--output", "json"}, more...)...)
	}
	before, was := last(), database()
	execute(t, dsn, `UPDATE quests_quest SET assigned_to_id = '22222222-2222-4222-8222-222222222222' WHERE id = 8`)
	testkit.Eventually(t, 20*time.Second, func() error {
		if keys, err := a.Bus().Findings().Keys(t.Context()); err != nil || len(keys) != 4 {
			return fmt.Errorf("open: %q, %w", keys, err)
		}
		return nil
	})
	after, is := last(), database()
	if len(was) != 5 || len(is) != 4 {
		t.Fatalf("the database has %q, then %q", was, is)
	}
	for at, want := range map[int][]string{before: was, after: is} {
		if got := past(fmt.Sprint(at)); got.status != exitFindings || !slices.Equal(pairs(t, got), want) {
			t.Errorf("at %d: %+v, want %q", at, got, want)
		}
	}
	one := past(fmt.Sprint(before), "--user", "22222222-2222-4222-8222-222222222222")
	if got := pairs(t, one); len(got) != 3 { // as for --user student2
		t.Errorf("of one user: %q", got)
	}
	for _, who := range []string{"student2", "22222222-2222-4222-8222-22222222222"} { // not their ids
		refused(t, past(fmt.Sprint(before), "--user", who), exitUsage, fmt.Sprintf("nothing of a person %q", who), "give the id")
	}
	text := command(t, "audit", "--at", fmt.Sprint(before), "--data", data).stdout
	if !strings.Contains(text, "for a moment a little later") || strings.Contains(text, "Run the audit again") {
		t.Errorf("the note is about now: %s", text)
	}
	refused(t, past("1"), exitUsage, "before the first baseline was whole", "the earliest possible time is 2")
	refused(t, past("999999"), exitUsage, "behind the end of the stream")
	refused(t, past("2001-01-01T00:00:00Z"), exitUsage, "before the beginning of the stream")
	refused(t, past(time.Now().Add(time.Hour).Format(time.RFC3339)), exitUsage, "is in the future")
	refused(t, past("0/x"), exitUsage, "is no position")
	refused(t, past("baseline"), exitUsage, "is no moment")
	refused(t, past("9", "--fix"), exitUsage, "--at looks at the past in the stream, and --fix is about the database")
	refused(t, past("9", "--dsn", dsn), exitUsage, "--dsn")
	refused(t, command(t, "audit", "--at", "9", "--data", t.TempDir()), exitFailure, "no instance runs")
}
