package audit_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

// dataset is a random database with what the original command reported of it.
type dataset struct {
	Meta struct {
		UniqueConstraint  bool `json:"unique_constraint"`
		CompletionCascade bool `json:"completion_cascade"`
	}
	Users        []struct{ ID, Username string }
	Quests       []questRow
	Applications []applicationRow
	Participants []participantRow
	Audit        block
	AuditUser    block `json:"audit_user"`
	Fix          block
	After        struct {
		Quests       []questRow
		Participants []participantRow
		Applications []applicationRow
	}
	AuditAfter block `json:"audit_after"`
}

type questRow struct {
	ID          int64
	Title       string
	Status      string
	Creator     string
	IsDeleted   bool    `json:"is_deleted"`
	CreatedAt   string  `json:"created_at"`
	CompletedAt *string `json:"completed_at"`
	AssignedTo  *string `json:"assigned_to"`
}

type applicationRow struct {
	ID, Quest    int64
	User, Status string
	AppliedAt    string  `json:"applied_at"`
	ReviewedAt   *string `json:"reviewed_at"`
}

type participantRow struct {
	ID, Quest    int64
	User, Status string
	JoinedAt     string  `json:"joined_at"`
	CompletedAt  *string `json:"completed_at"`
}

type block struct {
	Username string
	ExitCode int `json:"exit_code"`
	Stats    struct {
		Users        int64 `json:"total_users_checked"`
		Applications int64 `json:"total_applications"`
		Participants int64 `json:"total_participants"`
		Missing      int64 `json:"approved_without_participants"`
		Orphans      int64 `json:"participants_without_applications"`
		Open         int64 `json:"status_inconsistencies"`
		Unassigned   int64 `json:"assignment_inconsistencies"`
		Duplicates   int64 `json:"duplicate_participants"`
		Fixed        int64 `json:"issues_fixed"`
		Found        int64 `json:"issues_found"`
	}
	Findings []struct {
		Category         string
		Quest            int64
		User, Username   *string
		Application      *int64
		Participant      *int64
		Participants     []int64
		ParticipantCount int     `json:"participant_count"`
		Suggested        *string `json:"suggested_assignee"`
		Fixed            bool
	}
}

// line is a finding in the form that is compared.
type line struct {
	Rule        rule.Rule
	Quest       int64
	User        string
	Application int64
	Count       int // participants, where the original says so
	Suggested   string
	Fixed       bool
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (b *block) lines(t *testing.T) []line {
	var out []line
	rules := map[string]rule.Rule{
		"approved_without_participant": rule.MissingParticipant, "participant_without_application": rule.OrphanParticipant,
		"status_inconsistency": rule.OpenWithParticipants, "assignment_inconsistency": rule.Unassigned,
		"duplicate_participants": rule.DuplicateParticipant,
	}
	for _, f := range b.Findings {
		l := line{
			Rule: rules[f.Category], Quest: f.Quest, User: value(f.User), Application: value(f.Application),
			Suggested: value(f.Suggested), Fixed: f.Fixed, Count: f.ParticipantCount,
		}
		switch l.Rule {
		case 0:
			t.Fatalf("unknown category %q", f.Category)
		case rule.OrphanParticipant:
			l.Count = int(*f.Participant) // the row's id stands in for the count
		case rule.DuplicateParticipant:
			l.Count = len(f.Participants)
		}
		out = append(out, l)
	}
	return sortSets(out)
}

func lines(findings []finding) []line {
	var out []line
	for _, f := range findings {
		l := line{
			Rule: f.Rule, Quest: f.QuestID, User: value(f.UserID), Application: value(f.ApplicationID),
			Suggested: value(f.Suggested), Fixed: f.Fixed,
		}
		switch f.Rule {
		case rule.OrphanParticipant:
			l.Count = int(f.Participants[0])
		case rule.OpenWithParticipants, rule.DuplicateParticipant:
			l.Count = len(f.Participants)
		}
		out = append(out, l)
	}
	return sortSets(out)
}

// sortSets orders phases 2 and 5, which the original reports in any order, and
// leaves the others as they are.
func sortSets(all []line) []line {
	slices.SortStableFunc(all, func(a, b line) int {
		if a.Rule != b.Rule || a.Rule != rule.OrphanParticipant && a.Rule != rule.DuplicateParticipant {
			return cmp.Compare(a.Rule, b.Rule)
		}
		return cmp.Or(cmp.Compare(a.Quest, b.Quest), cmp.Compare(a.Count, b.Count), strings.Compare(a.User, b.User))
	})
	return all
}

func (b *block) compare(t *testing.T, what string, r report) {
	t.Helper()
	if diff := gocmp.Diff(b.lines(t), lines(r.Findings), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: findings (-original +ours):\n%s", what, diff)
	}
	s, o := &r.Stats, &b.Stats
	got := []int64{
		s.UsersAudited, s.Applications, s.Participants, s.ByRule["missing_participant"], s.ByRule["orphan_participant"],
		s.ByRule["open_with_participants"], s.ByRule["unassigned"], s.ByRule["duplicate_participant"], s.IssuesFixed, s.IssuesFound,
	}
	want := []int64{o.Users, o.Applications, o.Participants, o.Missing, o.Orphans, o.Open, o.Unassigned, o.Duplicates, o.Fixed, o.Found}
	if !slices.Equal(got, want) {
		t.Errorf("%s: statistics are %v, want %v", what, got, want)
	}
	if got := status(r.Err); got != b.ExitCode {
		t.Errorf("%s: exit status %d, want %d", what, got, b.ExitCode)
	}
}

func TestOracle(t *testing.T) {
	files, err := filepath.Glob("testdata/oracle/dataset_*.json")
	if err != nil || len(files) != 60 {
		t.Fatalf("found %d datasets (%v), want 60", len(files), err)
	}
	for i := range 2 {
		t.Run(fmt.Sprintf("part%d", i), func(t *testing.T) {
			t.Parallel()
			dsns := map[bool]string{true: testkit.Database(t), false: testkit.Database(t, testkit.DropUniqueParticipant)}
			if i == 1 { // half of them with a journal
				setUp(t, dsns[true])
				setUp(t, dsns[false])
			}
			for j := i; j < len(files); j += 2 {
				t.Run(filepath.Base(files[j]), func(t *testing.T) { oracleCase(t, files[j], dsns) })
			}
		})
	}
}

func oracleCase(t *testing.T, file string, dsns map[bool]string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var d dataset
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	dsn := dsns[d.Meta.UniqueConstraint]
	conn, db := connect(t, dsn), open(t, dsn)
	exec(t, conn, d.sql())

	d.Audit.compare(t, "audit", run(t, db, audit.Config{Compat: true}))
	d.AuditUser.compare(t, "audit of a user", run(t, db, audit.Config{Compat: true, User: d.AuditUser.Username}))
	dry := run(t, db, audit.Config{Compat: true, Fix: true, DryRun: true})
	d.Audit.compare(t, "dry run", dry)
	if diff := gocmp.Diff(d.questRows(t, conn, d.Quests), d.Quests, cmpopts.IgnoreFields(questRow{}, "Title", "Creator", "CreatedAt")); diff != "" {
		t.Fatalf("the dry run changed quests:\n%s", diff)
	}
	fix := run(t, db, audit.Config{Compat: true, Fix: true})
	d.Fix.compare(t, "fix", fix)
	compareDryRun(t, dry, fix)
	d.compareTables(t, conn)
	after := run(t, db, audit.Config{Compat: true})
	if !d.Meta.CompletionCascade {
		d.AuditAfter.compare(t, "audit after the fix", after)
	} else if diff := gocmp.Diff(d.AuditAfter.lines(t), lines(after.Findings), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit after the fix: findings (-original +ours):\n%s", diff)
	}
	// The statements printed take everything back, and so does the journal where there is one.
	if !undone(t, db) {
		exec(t, conn, strings.Join(fix.Undo, "\n"))
	}
	d.Audit.compare(t, "audit after undo", run(t, db, audit.Config{Compat: true}))
	if diff := gocmp.Diff(d.questRows(t, conn, d.Quests), d.Quests, cmpopts.IgnoreFields(questRow{}, "Title", "Creator", "CreatedAt")); diff != "" {
		t.Errorf("quests after undo (-have +want):\n%s", diff)
	}
}

func setUp(t *testing.T, dsn string) {
	t.Helper()
	if _, err := open(t, dsn).Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// undone takes back, last first, all that the journal has, if there is one.
func undone(t *testing.T, db *pgstore.Store) bool {
	t.Helper()
	if there, err := db.HasJournal(t.Context()); err != nil || !there {
		return false
	}
	log, err := db.Journal(t.Context(), remedy.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log {
		if e.Undoes != 0 || e.UndoneBy != 0 {
			continue
		}
		if _, err := db.Undo(t.Context(), e.ID, "test", ""); err != nil {
			t.Error(err)
		}
	}
	return true
}

// compareDryRun checks that the dry run announced what the repair did, in its
// order. Rows that did not exist yet have no id.
func compareDryRun(t *testing.T, dry, fix report) {
	t.Helper()
	var meant, done []line
	for _, f := range dry.WouldFix {
		f.Fixed = true
		meant = append(meant, lines([]finding{f})...)
	}
	for _, f := range fix.Findings {
		if f.Fixed {
			done = append(done, lines([]finding{f})...)
		}
	}
	if diff := gocmp.Diff(done, meant, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(line{}, "Count")); diff != "" {
		t.Errorf("dry run (-done +announced):\n%s", diff)
	}
}

// compareTables checks the tables after a repair.
func (d *dataset) compareTables(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	// The completion signal belongs to the application: it may change participants
	// and when the quest was completed.
	quests := cmpopts.IgnoreFields(questRow{}, "Title", "Creator", "CreatedAt")
	cascade := gocmp.Options{}
	if d.Meta.CompletionCascade {
		quests = cmpopts.IgnoreFields(questRow{}, "Title", "Creator", "CreatedAt", "CompletedAt")
		cascade = append(cascade, cmpopts.IgnoreFields(participantRow{}, "Status", "CompletedAt"))
	}
	if diff := gocmp.Diff(d.After.Quests, d.questRows(t, conn, d.After.Quests), quests); diff != "" {
		t.Errorf("quests after the fix (-original +ours):\n%s", diff)
	}
	known := map[int64]bool{}
	for _, p := range d.Participants {
		known[p.ID] = true
	}
	normal := func(rows []participantRow) []participantRow {
		out := slices.Clone(rows)
		for i := range out {
			if !known[out[i].ID] {
				out[i].ID, out[i].JoinedAt = 0, ""
			}
		}
		slices.SortFunc(out, func(a, b participantRow) int {
			return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Quest, b.Quest), strings.Compare(a.User, b.User))
		})
		return out
	}
	if diff := gocmp.Diff(normal(d.After.Participants), normal(participantRows(t, conn)), cascade); diff != "" {
		t.Errorf("participants after the fix (-original +ours):\n%s", diff)
	}
	for _, a := range d.After.Applications {
		if got := one[string](t, conn, fmt.Sprintf("SELECT status FROM applications_application WHERE id = %d", a.ID)); got != a.Status {
			t.Errorf("application %d is %s after the fix, want %s", a.ID, got, a.Status)
		}
	}
}

// iso selects a time as the datasets write it.
func iso(column string) string {
	return `to_char(` + column + ` AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`
}

// questRows reads the quests.
func (d *dataset) questRows(t *testing.T, conn *pgx.Conn, like []questRow) []questRow {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT id, status, is_deleted, "+iso("completed_at")+", assigned_to_id::text FROM quests_quest ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (q questRow, err error) {
		err = row.Scan(&q.ID, &q.Status, &q.IsDeleted, &q.CompletedAt, &q.AssignedTo)
		return q, err
	})
	if err != nil || len(out) != len(like) {
		t.Fatalf("read quests: %d rows, want %d: %v", len(out), len(like), err)
	}
	return out
}

func participantRows(t *testing.T, conn *pgx.Conn) []participantRow {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT id, quest_id, user_id::text, status, "+iso("joined_at")+", "+iso("completed_at")+" FROM quests_questparticipant ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p participantRow, err error) {
		err = row.Scan(&p.ID, &p.Quest, &p.User, &p.Status, &p.JoinedAt, &p.CompletedAt)
		return p, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
