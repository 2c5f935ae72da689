package app

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/testkit"
)

// client is a command beside the program.
func client(t *testing.T, c *config.Config) *Repairs {
	t.Helper()
	r, err := ConnectRepairs(t.Context(), c, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// asked asks for repairs and checks what becomes of them.
func asked(t *testing.T, c *config.Config, req repair.Request, want ...string) {
	t.Helper()
	var got []string
	err := client(t, c).Apply(t.Context(), req, func(a *repair.Answer) {
		if got = append(got, a.Outcome); a.Outcome == repair.Failed {
			t.Errorf("%s: %s", a.Item.Line(), a.Error)
		}
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v: %q, %v; want %q", req, got, err, want)
	}
}

// Whoever asks has what the program would not repair by itself: what was there before
// it came, but never somebody who left. The journal has who asked, and why.
func TestRepairsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001, repairQuests(2))
	c := settings(t, dsn)
	setUpJournal(t, c)
	r := start(t, c, dsn)
	r.ready(t)
	exec1(t, dsn, faulty(remedy.CreateParticipant, 1001))
	exec1(t, dsn, faulty(remedy.SetInProgress, 1002))
	exec1(t, dsn, "DELETE FROM quests_questparticipant WHERE id = 10021")
	r.waitOpen(t, "missing_participant", 1001)
	r.waitOpen(t, "missing_participant", 1002)
	items := map[int64]*repair.Item{}
	if err := client(t, &c).List(t.Context(), repair.Wish{Rule: "missing_participant"}, func(it *repair.Item) { items[it.QuestID] = it }); err != nil {
		t.Fatal(err)
	}
	failed, left, dated := items[1001], items[1002], items[1]
	if failed == nil || left == nil || dated == nil || failed.Plan == nil || failed.Automatic || left.Plan != nil || left.LeftAlone == "" || dated.Waits == "" {
		t.Fatalf("listed are %+v, %+v and %+v", failed, left, dated)
	}
	shown, err := client(t, &c).Show(t.Context(), failed.Finding.Finding[:8])
	if err != nil || !strings.Contains(shown.SQL, "INSERT INTO") || !strings.Contains(shown.Text(), "insert participant student1") {
		t.Errorf("shown is\n%s\n%v", shown.Text(), err)
	}
	ask := func(it *repair.Item, dry bool) repair.Request {
		return repair.Request{Wish: repair.Wish{Findings: []string{it.Finding.Finding}}, Actor: "ada", Reason: "ticket 4711", DryRun: dry}
	}
	asked(t, &c, ask(failed, true), repair.Planned)
	if n := len(journalOf(t, dsn)); n != 0 {
		t.Errorf("a dry run made %d repairs", n)
	}
	asked(t, &c, ask(failed, false), repair.Applied)
	asked(t, &c, ask(dated, false), repair.Applied)
	asked(t, &c, ask(left, false), repair.LeftAlone)
	r.settle(t)
	var unknown *AskedError
	if err := client(t, &c).Apply(t.Context(), ask(failed, false), func(*repair.Answer) {}); !errors.As(err, &unknown) {
		t.Errorf("asked again: %v", err)
	}
	if journal := journalOf(t, dsn); !slices.Equal(journal, []string{"create_participant 1001 ada", "create_participant 1 ada"}) {
		t.Errorf("the journal has %q", journal)
	}
	words := r.repairWords(t)
	for _, want := range []string{"planned missing_participant 1001", "applied missing_participant 1001", "applied missing_participant 1"} {
		if !slices.Contains(words, want) {
			t.Errorf("%q was not told: %q", want, words)
		}
	}
}
