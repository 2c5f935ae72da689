package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/audit/schedule"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

func keptReports(t *testing.T, c *config.Config) (all []*schedule.Report) {
	t.Helper()
	reports, err := OpenAuditReports(t.Context(), c, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer reports.Close()
	err = reports.Each(t.Context(), 0, func(r *schedule.Report) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An audit on request: kept, told, compared with the one before and with the checker,
// which has another view of what was damaged. The cluster is the test's own: a transaction
// that is open elsewhere would leave it undecided.
func TestAuditOfARunningInstance(t *testing.T) {
	t.Parallel()
	dsn := loaded(t, testkit.NewCluster(t, testkit.PostgresOptions{}))
	c := settings(t, dsn)
	c.Audit.HTML, c.Audit.Keep = filepath.Join(t.TempDir(), "audit.html"), 2
	r := start(t, c, dsn)
	r.ready(t)
	r.settle(t)
	ask := func() *event.Audited {
		t.Helper()
		a, err := AskToAudit(t.Context(), &c, testLogger(t))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := ask()
	if first.Findings < 5 || first.Mismatched != 0 || first.Undecided != 0 || first.NotCompared != "" || first.Change != nil || first.ByRule[rule.MissingParticipant] != 3 {
		t.Errorf("the first: %+v", first)
	}
	page, err := os.ReadFile(c.Audit.HTML)
	if err != nil || !strings.Contains(string(page), "student2") {
		t.Errorf("the page: %v, %d bytes", err, len(page))
	}
	// The state loses a participant, and a write has the quest judged: the checker misses
	// somebody whom the database has.
	r.forge(t, 9, change.Participant, change.Delete, `{"id":6}`)
	exec1(t, dsn, `UPDATE quests_quest SET title = 'touched' WHERE id = 9`, `DELETE FROM applications_application WHERE quest_id = 1`)
	r.settle(t)
	second := ask()
	if second.Mismatched == 0 || second.Change == nil || second.Change.New != 0 || second.Change.Gone != 1 || second.Change.Same != first.Findings-1 {
		t.Errorf("the second: %+v, %+v", second, second.Change)
	}
	events := r.mismatches(t)
	if n := strings.Count(events["audit.completed.requested._"], "dev.questwatch.audit.completed.v1"); n != 2 ||
		events["audit.mismatch.findings._"] == "" || !strings.Contains(events["audit.mismatch.finding.9"], `"checker":true`) {
		t.Errorf("%d audits were told; all are %v", n, events)
	}
	if s := r.auditStatus(); s.Last.Report != second.Report || s.Next == "" || s.Error != "" {
		t.Errorf("status: %+v", s)
	}
	ask()
	all := keptReports(t, &c)
	if len(all) != 2 || all[1].Report != second.Report || int64(len(all[0].All)) != all[0].Findings {
		t.Errorf("%d reports are kept", len(all))
	}
}

// By the timetable, with an outage of the database: logged, counted, tried again.
func TestAuditByTimetable(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.Audit.Schedule = "0 0 1 1 *"
	r := start(t, c, dsn)
	r.ready(t)
	desk := deskPort{r.Bus().Control()}
	var n schedule.Note
	var revision uint64
	testkit.Eventually(t, 20*time.Second, func() (err error) {
		if n, revision, err = desk.Read(t.Context()); revision == 0 {
			err = errors.New("no timetable is noted yet")
		}
		return err
	})
	r.stop(t)
	// Down over New Year.
	n.Counted = n.Counted.AddDate(-2, 0, 0)
	down := start(t, c, dsn)
	if _, err := (deskPort{down.Bus().Control()}).Write(t.Context(), n, revision); err != nil {
		t.Fatal(err)
	}
	down.stop(t)
	r = start(t, c, dsn)
	r.ready(t)
	testkit.Eventually(t, 60*time.Second, func() error {
		if s := r.auditStatus(); s.Last == nil {
			return errors.New("no audit yet: " + s.Error)
		}
		return nil
	})
	want := time.Date(time.Now().UTC().Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	if last := r.auditStatus().Last; last.Kind != event.AuditScheduled || last.Scheduled != change.MillisOf(want) || last.Mismatched != 0 {
		t.Errorf("made %+v, due at %s", last, want)
	}
	// Who may not read the tables is told so.
	exec1(t, dsn, `ALTER TABLE applications_application RENAME TO hidden`)
	if _, err := r.auditor.Request(t.Context()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("without a table: %v", err)
	}
	if s := r.auditStatus(); s.Error == "" {
		t.Errorf("status: %+v", s)
	}
	exec1(t, dsn, `ALTER TABLE hidden RENAME TO applications_application`)
	// Due again, and not made in the time that it may take: an event says so.
	desk = deskPort{r.Bus().Control()}
	n, revision, err := desk.Read(t.Context())
	n.Counted = n.Counted.AddDate(-2, 0, 0)
	if err == nil {
		_, err = desk.Write(t.Context(), n, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.stop(t)
	c.Audit.Within = time.Nanosecond
	r = start(t, c, dsn)
	testkit.Eventually(t, 60*time.Second, func() error {
		for _, e := range eventsOn(t, r, "audit.failed.scheduled._") {
			if strings.Contains(string(e.Data), "longer than audit.within allows") {
				return nil
			}
		}
		return errors.New("no event tells of the failure")
	})
}

// However the application works, audits and the checker judge alike.
func TestAuditsUnderLoad(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, dsn string) (end func()){"PeerQuest": startPeerQuest, "anything": func(t *testing.T, dsn string) func() {
		return startTraffic(t, dsn, 4).stop
	}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001, testkit.DropUniqueParticipant)
			c := settings(t, dsn)
			c.Stream.MaxRows = 40 // so that some transactions are streamed as they come
			r := start(t, c, dsn)
			r.ready(t)
			end, unusual := begin(t, dsn), startUnusual(t, dsn)
			audits, undecided := 0, 0
			for began := time.Now(); time.Since(began) < 6*time.Second || audits < 5; audits++ {
				a, err := r.auditor.Request(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if a.Mismatched > 0 || a.NotCompared != "" {
					t.Fatalf("%+v: %+v", a.Audited, a.Disagreements)
				}
				undecided += a.Undecided
			}
			end()
			unusual()
			t.Logf("%d audits, %d times something could not be decided", audits, undecided)
			r.verify(t)
		})
	}
}
