package app

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestShowsAQuestAsItWas looks at a quest before and after each of what happens to it,
// and when the instance has ended.
func TestShowsAQuestAsItWas(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := settings(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	at := func() string {
		r.settle(t)
		var now time.Time
		query(t, dsn, "SELECT clock_timestamp()", &now)
		return now.UTC().Format(time.RFC3339Nano)
	}
	before := at()
	exec1(t, dsn, "UPDATE applications_application SET status = 'approved' WHERE id = 101")
	r.found(t, "missing_participant", 101, false)
	open := at()
	exec1(t, dsn, "BEGIN; INSERT INTO quests_questparticipant (id, status, joined_at, progress_notes, quest_id, user_id) VALUES (901, 'joined', now(), '', 101, "+student1+`);
		UPDATE quests_quest SET status = 'in-progress', assigned_to_id = `+student1+" WHERE id = 101; COMMIT")
	r.found(t, "missing_participant", 101, true)
	var lsn string
	query(t, dsn, "SELECT pg_current_wal_insert_lsn()::text", &lsn)
	exec1(t, dsn, "DELETE FROM quests_questparticipant WHERE id = 901")
	gone := at()
	look := func(point string) *replay.Moment {
		t.Helper()
		p, err := replay.ParsePoint(point, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		m, err := ShowQuest(t.Context(), &c, 101, p, 50, true, testLogger(t))
		if err != nil {
			t.Fatalf("at %s: %v", point, err)
		}
		return m
	}
	check := func() {
		t.Helper()
		for point, want := range map[string]string{
			before: "open  [{101 pending}] [] [] 1", open: "open  [{101 approved}] [] [missing_participant] 2",
			lsn:  "in_progress student1 [{101 approved}] [{901 joined}] [] 3",
			gone: "in_progress student1 [{101 approved}] [] [] 4", "": "in_progress student1 [{101 approved}] [] [] 4",
		} {
			m := look(point)
			var rules []string
			for _, f := range m.Open {
				if f.Rule.String() == "missing_participant" && f.Cause == "approval_failed" {
					rules = append(rules, f.Rule.String())
				}
			}
			short := func(rows []replay.Row) string {
				var all []string
				for _, row := range rows {
					all = append(all, fmt.Sprintf("{%d %s}", row.ID, row.Status))
				}
				return fmt.Sprint(all)
			}
			who := ""
			if m.Assigned != "" {
				who = "student1"
			}
			got := fmt.Sprint(m.Status, " ", who, " ", short(m.Applications), " ", short(m.Participants), " ", rules, " ", len(m.Transactions))
			if got != want {
				t.Errorf("at %q: %s, want %s", point, got, want)
			}
		}
	}
	check()
	var out bytes.Buffer
	if err := look(open).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`quest 101 "Quest 101" at `, "): open\n", "    application 101  approved  student1", "open: missing_participant (approval_failed), critical", "updated  status pending -> approved"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if _, err := ShowQuest(t.Context(), &c, 4711, replay.Point{}, 50, false, testLogger(t)); !errors.Is(err, replay.ErrNoQuest) {
		t.Errorf("an unknown quest: %v", err)
	}
	early, _ := replay.ParsePoint("2001-01-01T00:00:00Z", time.Now())
	var point *replay.PointError
	if _, err := ShowQuest(t.Context(), &c, 101, early, 50, false, testLogger(t)); !errors.As(err, &point) {
		t.Errorf("before the beginning: %v", err)
	}
	r.stop(t)
	check()
}
