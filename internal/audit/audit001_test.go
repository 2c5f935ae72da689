package audit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

const (
	student1 = "11111111-1111-4111-8111-111111111111"
	student2 = "22222222-2222-4222-8222-222222222222"
	student3 = "33333333-3333-4333-8333-333333333333"
)

func TestAudit001(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	db, conn := open(t, dsn), connect(t, dsn)
	r := run(t, db, audit.Config{Compat: true})
	want := []line{
		{Rule: rule.MissingParticipant, Quest: 1, User: student2, Application: 1},
		{Rule: rule.MissingParticipant, Quest: 2, User: student2, Application: 2},
		{Rule: rule.MissingParticipant, Quest: 3, User: student3, Application: 3},
		{Rule: rule.Unassigned, Quest: 8, Suggested: student2},
		{Rule: rule.Unassigned, Quest: 4, Suggested: student1},
	}
	if diff := gocmp.Diff(want, lines(r.Findings)); diff != "" {
		t.Errorf("findings (-want +have):\n%s", diff)
	}
	if s := r.Stats; s.UsersAudited != 4 || s.Applications != 11 || s.Participants != 8 || s.IssuesFound != 5 || s.IssuesFixed != 0 {
		t.Errorf("statistics are %+v", s)
	}
	if r := run(t, db, audit.Config{Compat: true, User: "student2"}); r.Stats.IssuesFound != 3 || *r.User != "student2" {
		t.Errorf("student2 has %d issues, want 3", r.Stats.IssuesFound)
	}
	before := tablesHash(t, conn)
	dry := run(t, db, audit.Config{Compat: true, Fix: true, DryRun: true})
	if tablesHash(t, conn) != before || dry.Mode != "dry_run" || len(dry.WouldFix) != 5 || dry.Stats.IssuesFixed != 0 {
		t.Errorf("dry run: mode %s, would fix %d, statistics %+v", dry.Mode, len(dry.WouldFix), dry.Stats)
	}
	fix := run(t, db, audit.Config{Compat: true, Fix: true})
	if fix.Stats.Participants != 11 || fix.Stats.IssuesFixed != 5 || fix.Status != "healthy" || fix.Err != nil {
		t.Errorf("fix: %+v, %s, %v", fix.Stats, fix.Status, fix.Err)
	}
	if r := run(t, db, audit.Config{Compat: true}); r.Stats.IssuesFound != 0 || r.Err != nil || len(r.Findings) != 0 {
		t.Errorf("after the fix: %d issues, %v", r.Stats.IssuesFound, r.Err)
	}
	exec(t, conn, strings.Join(fix.Undo, "\n"))
	if tablesHash(t, conn) != before {
		t.Error("the undo statements do not bring the tables back")
	}
}

// tablesHash covers every column of the tables that a repair writes.
func tablesHash(tb testing.TB, conn *pgx.Conn) string {
	tb.Helper()
	return one[string](tb, conn, `SELECT md5((SELECT string_agg(q::text, '|' ORDER BY id) FROM quests_quest q) ||
		(SELECT string_agg(p::text, '|' ORDER BY id) FROM quests_questparticipant p) ||
		(SELECT string_agg(a::text, '|' ORDER BY id) FROM applications_application a))`)
}

func TestNativeLeavesUnknownAlone(t *testing.T) {
	t.Parallel()
	db := open(t, testkit.Database(t, testkit.LoadAudit001))
	fix := run(t, db, audit.Config{Fix: true, FailOn: rule.Warning})
	if fix.Stats.IssuesFixed != 2 || fix.Stats.IssuesFound != 5 || status(fix.Err) != 1 || fix.Compat != nil {
		t.Errorf("fix: %+v, %v", fix.Stats, fix.Err)
	}
	for _, f := range fix.Findings {
		if f.Rule == rule.MissingParticipant && (f.Fixed || !strings.Contains(f.Detail, "left")) {
			t.Errorf("quest %d: fixed %t, detail %q", f.QuestID, f.Fixed, f.Detail)
		}
	}
	all := audit.Config{Fix: true, IncludeUnknown: true, FailOn: rule.Warning}
	dry := all
	dry.DryRun = true
	meant := run(t, db, dry)
	fix = run(t, db, all)
	compareDryRun(t, meant, fix)
	if fix.Stats.IssuesFixed != 3 || fix.Err != nil || fix.Status != "healthy" {
		t.Errorf("fix with unknown: %+v, %v", fix.Stats, fix.Err)
	}
}

// TestNativeKeepsAssignee: the newcomer of a repair never takes a quest from
// somebody who works on it; the original did.
func TestNativeKeepsAssignee(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	db, conn := open(t, dsn), connect(t, dsn)
	exec(t, conn, `INSERT INTO applications_application (quest_id,applicant_id,status,applied_at) VALUES (6,'`+student2+`','approved','2025-07-01Z')`)
	const assignee = "SELECT assigned_to_id::text FROM quests_quest WHERE id = 6"
	run(t, db, audit.Config{Fix: true, IncludeUnknown: true})
	if got := one[string](t, conn, assignee); got != student1 {
		t.Errorf("quest 6 is assigned to %s", got)
	}
	exec(t, conn, `DELETE FROM quests_questparticipant WHERE quest_id = 6 AND user_id = '`+student2+`'`)
	run(t, db, audit.Config{Fix: true, Compat: true})
	if got := one[string](t, conn, assignee); got != student2 {
		t.Errorf("compat: quest 6 is assigned to %s", got)
	}
}

func TestSoftDeletedQuests(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	db := open(t, dsn)
	exec(t, connect(t, dsn), "UPDATE quests_quest SET is_deleted = true")
	if n := run(t, db, audit.Config{}).Stats.IssuesFound; n != 0 {
		t.Errorf("%d findings about deleted quests", n)
	}
	if n := run(t, db, audit.Config{Compat: true}).Stats.IssuesFound; n != 5 {
		t.Errorf("compat has %d findings, want 5", n)
	}
}

// TestReports reads what people see: names, no escape sequences, no markup of a
// title's own, and a file that is whole.
func TestReports(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	exec(t, connect(t, dsn), `UPDATE quests_quest SET title = E'\x1b[31mred<script>alert(1)</script>\nline\u202e' WHERE id = 1;
		UPDATE users_user SET username = E'student2\u0007' WHERE username = 'student2'`)
	result, err := audit.Run(t.Context(), open(t, dsn), audit.Config{Compat: true, SpillBytes: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	view := audit.View{Detailed: true, At: time.Date(2026, 7, 2, 12, 0, 0, 0, time.UTC)}
	var text, page, brief bytes.Buffer
	for f, w := range map[audit.Format]*bytes.Buffer{audit.Text: &text, audit.HTML: &page} {
		if err := result.Write(w, f, view); err != nil {
			t.Fatal(err)
		}
	}
	if err := result.Write(&brief, audit.Text, audit.View{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"student2", "student3", "student1", "Test 2", "PHASE 5", "AFFECTED USERS (3)", "RECOMMENDATIONS"} {
		if !strings.Contains(brief.String(), want) || !strings.Contains(text.String(), want) {
			t.Errorf("a text report lacks %q", want)
		}
	}
	for _, bad := range []string{"\x1b", "\a", "\u202e"} {
		if strings.Contains(text.String(), bad) || strings.Contains(page.String(), bad) {
			t.Errorf("a report has the character %q of a title", bad)
		}
	}
	if strings.Contains(page.String(), "<script>") || !strings.Contains(page.String(), "&lt;script&gt;") {
		t.Error("the page has a title's markup")
	}
	file := filepath.Join(t.TempDir(), "audit.html")
	var out bytes.Buffer
	if err := result.Deliver(audit.Output{File: destination(t, file), Stdout: &out, View: view}); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(written, page.Bytes()) || !strings.Contains(out.String(), "inconsistent") {
		t.Errorf("the file is not the page (%v); summary %q", err, out.String())
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %d files (%v), want the report alone", len(entries), err)
	}
	if os.Getenv("SHOW") != "" {
		t.Log("\n" + text.String() + "\n\n" + page.String())
	}
}
