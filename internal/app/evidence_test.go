package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

var updateShown = flag.Bool("update", false, "write testdata/show anew")

const (
	student1 = "'11111111-1111-4111-8111-111111111111'"
	student2 = "'22222222-2222-4222-8222-222222222222'"
)

// evidenceQuests adds open quests 101 to 120 with an application of student1 each,
// numbered like them. Nothing explains the assignee of 119 and the participant of 120.
func evidenceQuests(ctx context.Context, dsn string) error {
	if err := testkit.DropUniqueParticipant(ctx, dsn); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `INSERT INTO quests_quest (id, title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at,
		updated_at, requirements, resources, slug, is_deleted, creator_id, category_id)
		SELECT n, 'Quest ' || n, 'd', 'initiate', 'open', 1, 0, 0, now(), now(), '', '', 'quest-' || n, false, `+student2+`, 2
		FROM generate_series(101, 120) n;
		INSERT INTO applications_application (id, status, applied_at, applicant_id, quest_id)
		SELECT n, 'pending', '2026-06-01Z', `+student1+`, n FROM generate_series(101, 120) n;
		UPDATE quests_quest SET assigned_to_id = `+student2+` WHERE id = 119;
		UPDATE quests_quest SET status = 'in-progress', assigned_to_id = `+student1+` WHERE id = 120;
		UPDATE applications_application SET status = 'rejected' WHERE id = 120;
		INSERT INTO quests_questparticipant (id, status, joined_at, progress_notes, quest_id, user_id)
		VALUES (120, 'joined', '2026-06-01Z', '', 120, `+student1+`)`)
	return err
}

// The pieces of an approval.
func approved(q int) string {
	return fmt.Sprintf("UPDATE applications_application SET status = 'approved' WHERE id = %d;", q)
}

func joined(q, id int, user string) string {
	return fmt.Sprintf(`INSERT INTO quests_questparticipant (id, status, joined_at, progress_notes, quest_id, user_id)
		VALUES (%d, 'joined', '2026-06-02Z', '', %d, %s);`, id, q, user)
}

func setQuest(q int, set string) string {
	return fmt.Sprintf("UPDATE quests_quest SET %s WHERE id = %d;", set, q)
}

func setParticipant(id int, status string) string {
	return fmt.Sprintf("UPDATE quests_questparticipant SET status = '%s' WHERE id = %d;", status, id)
}

func whole(q int) string {
	return approved(q) + joined(q, q, student1) + setQuest(q, "assigned_to_id = "+student1+", status = 'in-progress'")
}

// provocations are transactions that lead to findings, and the findings.
var provocations = []struct {
	name, rule string
	quest      int
	// before is committed, each as a transaction, then the finding is opened; after is
	// what resolves it.
	before, after []string
}{
	{name: "missing_unknown", rule: "missing_participant", quest: 1},
	{name: "orphan_unknown", rule: "orphan_participant", quest: 120},
	{name: "unassigned_baseline", rule: "unassigned", quest: 8},
	{
		name: "approval_failed", rule: "missing_participant", quest: 101, before: []string{approved(101)},
		after: []string{joined(101, 101, student1) + setQuest(101, "assigned_to_id = "+student1+", status = 'in-progress'")},
	},
	{name: "departed", rule: "missing_participant", quest: 102, before: []string{
		whole(102), "DELETE FROM quests_questparticipant WHERE id = 102;" + setQuest(102, "assigned_to_id = NULL, status = 'open'"),
	}},
	{name: "direct_join", rule: "orphan_participant", quest: 103, before: []string{
		joined(103, 103, student2), setQuest(103, "assigned_to_id = "+student2),
	}},
	{name: "revoked", rule: "orphan_participant", quest: 104, before: []string{
		whole(104), "UPDATE applications_application SET status = 'rejected' WHERE id = 104",
	}},
	{name: "status_lost", rule: "open_with_participants", quest: 105, before: []string{
		approved(105) + joined(105, 105, student1) + setQuest(105, "assigned_to_id = "+student1),
	}},
	{name: "assignment_lost", rule: "unassigned", quest: 106, before: []string{
		approved(106) + joined(106, 106, student1) + setQuest(106, "status = 'in-progress'"),
	}},
	{name: "released_open", rule: "open_with_participants", quest: 107, before: []string{
		whole(107), setQuest(107, "assigned_to_id = NULL, status = 'open'"),
	}},
	{name: "released_unassigned", rule: "unassigned", quest: 107},
	{
		name: "duplicated", rule: "duplicate_participant", quest: 108,
		before: []string{whole(108), joined(108, 1108, student1)},
		after:  []string{"DELETE FROM quests_questparticipant WHERE id = 1108"},
	},
	{
		name: "quest_gone", rule: "missing_participant", quest: 110, before: []string{approved(110)},
		after: []string{setQuest(110, "is_deleted = true")},
	},
	{name: "assignee_unknown", rule: "assignee_not_participant", quest: 119},
	{
		name: "assignee_left", rule: "assignee_not_participant", quest: 113,
		before: []string{whole(113), "UPDATE applications_application SET status = 'kicked' WHERE id = 113;" + setParticipant(113, "dropped")},
		after:  []string{setQuest(113, "assigned_to_id = NULL, status = 'open'")},
	},
	{name: "never_joined", rule: "assignee_not_participant", quest: 114, before: []string{setQuest(114, "assigned_to_id = "+student2)}},
	{name: "idle", rule: "idle_in_progress", quest: 115, before: []string{
		whole(115), "DELETE FROM quests_questparticipant WHERE id = 115;" + setQuest(115, "assigned_to_id = NULL"),
	}},
	{name: "dropped_out", rule: "approved_but_dropped", quest: 116, before: []string{
		whole(116), setParticipant(116, "dropped") + setQuest(116, "assigned_to_id = NULL, status = 'open'"),
	}},
	{
		name: "unfinished", rule: "active_after_completion", quest: 117,
		before: []string{whole(117), setQuest(117, "status = 'completed'")}, after: []string{setParticipant(117, "completed")},
	},
	{
		name: "quest_missing", rule: "dangling_reference", quest: 118,
		before: []string{"SET LOCAL session_replication_role = replica; DELETE FROM quests_quest WHERE id = 118"},
		after:  []string{"DELETE FROM applications_application WHERE id = 118"},
	},
	{name: "large", rule: "missing_participant", quest: 111, before: []string{
		"UPDATE applications_application SET reviewed_at = '2026-06-03Z' WHERE id > 101;" + approved(111) +
			"UPDATE quests_quest SET title = title || '!' WHERE id > 108 AND id < 117;",
	}},
	{
		name: "truncated", rule: "missing_participant", quest: 112,
		before: []string{whole(112), "TRUNCATE quests_questparticipant"},
		after:  []string{joined(112, 1112, student1)},
	},
}

// found waits until a finding of a rule and quest is there, and resolved if need be,
// and returns its id.
func (r *running) found(t *testing.T, rule string, quest int, resolved bool) (id string) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		for _, f := range r.findings(t) {
			if f.Rule.String() == rule && f.QuestID == int64(quest) && (f.resolved || !resolved) {
				id = f.Finding.Finding
				return nil
			}
		}
		return fmt.Errorf("no %s of quest %d", rule, quest)
	})
	return id
}

// TestEvidence provokes every rule and cause on a database, and compares what is
// shown of each finding with the files in testdata/show: once while the instance
// runs that found it, and once after a restart.
func TestEvidence(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := settings(t, dsn)
	c.Stream.MaxRows = 20
	r := start(t, c, dsn)
	r.ready(t)
	ids := map[string]string{}
	missing := map[string]bool{}
	for _, o := range rule.Outcomes {
		missing[fmt.Sprintf("finding ID: %s (%s), ", o.Rule, o.Cause)] = true
	}
	for _, p := range provocations {
		exec1(t, dsn, p.before...)
		ids[p.name] = r.found(t, p.rule, p.quest, false)
		exec1(t, dsn, p.after...)
		if p.after != nil {
			r.found(t, p.rule, p.quest, true)
		}
		text := normal(show(t, &c, ids[p.name], true))
		t.Run(p.name, func(t *testing.T) { golden(t, p.name, text) })
		maps.DeleteFunc(missing, func(outcome string, _ bool) bool { return strings.HasPrefix(text, outcome) })
	}
	for outcome := range missing {
		t.Errorf("nothing shows %s", outcome)
	}
	for name, id := range ids {
		verifyJSON(t, &c, id, name)
	}
	stranger := c
	stranger.Data, stranger.NATS.URL = t.TempDir(), r.nats.ClientURL()
	if text := show(t, &stranger, ids["approval_failed"], false); !strings.Contains(text, "user 11111111-1111-4111-8111-111111111111\n") {
		t.Errorf("a stranger is shown:\n%s", text)
	}
	before := map[string]string{}
	for name, id := range ids {
		before[name] = show(t, &c, id, true)
	}
	r.stop(t)
	if text := show(t, &c, ids["departed"], true); text != before["departed"] {
		t.Errorf("of the stopped instance's data:\n%s\nbefore:\n%s", text, before["departed"])
	}
	noInstance(t, c, ids["departed"])
	r = start(t, c, dsn)
	r.ready(t)
	for name, id := range ids {
		if text := show(t, &c, id[:12], true); text != before[name] {
			t.Errorf("%s after a restart:\n%s\nbefore:\n%s", name, text, before[name])
		}
	}
	r.stop(t)
}

func explain(t *testing.T, c *config.Config, id string, names bool) *replay.Evidence {
	t.Helper()
	e, err := Explain(t.Context(), c, id, replay.DefaultLimit, names, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func show(t *testing.T, c *config.Config, id string, names bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := explain(t, c, id, names).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// verifyJSON checks the form for programs against the finding and the stream's rules.
func verifyJSON(t *testing.T, c *config.Config, id, name string) {
	t.Helper()
	var out bytes.Buffer
	if err := explain(t, c, id, true).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var e struct {
		Finding struct {
			Finding     string
			Transaction struct {
				ID        uint64
				CommitLSN uint64 `json:"commit_lsn"`
			}
		}
		Why          string
		Transactions []struct {
			ID          uint64
			Commit, End struct {
				LSN  uint64
				Text string
			}
			Baseline, Began bool
			Changes         []struct{ Entity, Op string }
		}
		Incidents []struct{ Began bool }
	}
	decode(t, out.Bytes(), &e)
	if e.Finding.Finding != id || e.Why == "" || !json.Valid(bytes.TrimSpace(out.Bytes())) || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Errorf("%s: %s", name, out.Bytes())
	}
	began := 0
	for _, i := range e.Incidents {
		if i.Began {
			began++
		}
	}
	last := uint64(0)
	for _, tx := range e.Transactions {
		if tx.Began {
			began++
			if tx.ID != e.Finding.Transaction.ID || tx.Commit.LSN != e.Finding.Transaction.CommitLSN {
				t.Errorf("%s: transaction %+v began it, and the finding says %+v", name, tx, e.Finding.Transaction)
			}
		}
		if tx.Commit.LSN <= last || !tx.Baseline && tx.End.LSN <= tx.Commit.LSN || len(tx.Changes) == 0 {
			t.Errorf("%s: transaction %+v after %d", name, tx, last)
		}
		last = tx.Commit.LSN
		if fmt.Sprintf("%X/%X", tx.Commit.LSN>>32, uint32(tx.Commit.LSN)) != tx.Commit.Text {
			t.Errorf("%s: %+v", name, tx.Commit)
		}
	}
	if began != 1 {
		t.Errorf("%s: %d transactions began it", name, began)
	}
}

func noInstance(t *testing.T, c config.Config, id string) {
	t.Helper()
	c.Data = t.TempDir()
	_, err := Explain(t.Context(), &c, id, 1, false, testLogger(t))
	if err == nil || !strings.Contains(err.Error(), "no instance runs") || !strings.Contains(hint.Of(err), "--data DIR") {
		t.Errorf("error %v, advice %q", err, hint.Of(err))
	}
}

func TestEvidenceOfNothing(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	r.found(t, "unassigned", 8, false)
	_, err := Explain(t.Context(), &c, "ffffffff", 1, false, testLogger(t))
	if !errors.Is(err, replay.ErrUnknown) || !strings.Contains(hint.Of(err), "questwatch-findings") {
		t.Errorf("error %v, advice %q", err, hint.Of(err))
	}
	other := c
	other.Namespace = "other"
	if _, err := Explain(t.Context(), &other, "ffffffff", 1, false, testLogger(t)); err == nil || hint.Of(err) == "" {
		t.Errorf("in another namespace: %v, advice %q", err, hint.Of(err))
	}
	// Names are a courtesy: the answer does not wait for them long.
	id := r.found(t, "missing_participant", 1, false)
	away := c
	away.Postgres.DSN = "postgres://nobody@127.0.0.1:1/none"
	if text := show(t, &away, id, true); !strings.Contains(text, "user 22222222-2222-4222-8222-222222222222\n") {
		t.Errorf("without the database:\n%s", text)
	}
}

var normals = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`finding [0-9a-f]{20}`), "finding ID"},
	{regexp.MustCompile(`transaction \d+`), "transaction XID"},
	{regexp.MustCompile(`\b[0-9A-F]+/[0-9A-F]+\b`), "LSN"},
	{regexp.MustCompile(`(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3}( UTC)?`), "TIME"},
}

// normal is a text without what is another in each run.
func normal(text string) string {
	for _, n := range normals {
		text = n.pattern.ReplaceAllString(text, n.with)
	}
	return text
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "show", name+".txt")
	if *updateShown {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("shown:\n%s\nwant:\n%s", got, want)
	}
}
