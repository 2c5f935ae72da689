package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	auditing "github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

// otherSite is the configuration of another site's tables, and nothing else that
// is not usual.
func otherSite(t *testing.T, dsn string) config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "questwatch.yaml")
	if err := os.WriteFile(path, []byte(testkit.OtherSiteYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	usual := settings(t, dsn)
	c.Data, c.HTTP, c.NATS, c.Stream = usual.Data, usual.HTTP, usual.NATS, usual.Stream
	c.Postgres.DSN, c.Postgres.Slot = usual.Postgres.DSN, usual.Postgres.Slot
	c.Rules.SetGrace(time.Second)
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	return c
}

// otherEvents lists the drift, approval and repair events with what each is about.
func otherEvents(t *testing.T, r *running) (all []string) {
	t.Helper()
	err := r.Bus().ConsumeEvents(t.Context(), nil, 0, func(m bus.Message) error {
		var e struct {
			Type string        `json:"type"`
			Data event.Finding `json:"data"`
		}
		decode(t, m.Data, &e)
		group := strings.TrimSuffix(strings.TrimPrefix(e.Type, "dev.questwatch."), ".v1")
		if strings.HasPrefix(group, "stream.") || group == "drift.baseline" {
			return nil
		}
		user := "nobody"
		if e.Data.UserID != nil {
			user = *e.Data.UserID
		}
		text := fmt.Sprintf("%s %d %s", group, e.Data.QuestID, user)
		if strings.HasPrefix(group, "drift.") {
			text += fmt.Sprintf(" %s %s %s", e.Data.Rule, e.Data.Cause, e.Data.Severity)
		}
		all = append(all, text)
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// TestAnotherSiteByConfigurationAlone: integer user ids, other tables and columns,
// two words for one role, words without a role, and no column for some things.
func TestAnotherSiteByConfigurationAlone(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadOtherSite)
	t.Parallel()
	exec1(t, dsn, `INSERT INTO "My App"."Task" VALUES (1, 'neu', NULL), (2, 'läuft', 7)`,
		`INSERT INTO "My App".members (task, person, state, note, since) VALUES (2, 7, 'dabei', '', '2026-01-02')`,
		`INSERT INTO "My App".bids (task, bidder, state) VALUES (2, 7, 'ja'), (1, 8, 'wartet')`)
	c := otherSite(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	exec1(t, dsn,
		// approved, in the words that come second: in order, and a failure
		`BEGIN; INSERT INTO "My App"."Task" VALUES (3, 'in Arbeit', 9); INSERT INTO "My App".bids (task, bidder, state) VALUES (3, 9, 'bestätigt');
			INSERT INTO "My App".members (task, person, state, note) VALUES (3, 9, 'aktiv', ''); COMMIT`,
		`UPDATE "My App".bids SET state = 'bestätigt' WHERE task = 1`,
		// a word without a role is no open quest, no approval, and nobody who dropped out
		`INSERT INTO "My App"."Task" VALUES (4, 'vertagt', 8)`,
		`INSERT INTO "My App".bids (task, bidder, state) VALUES (4, 7, 'vielleicht')`,
		`INSERT INTO "My App".members (task, person, state, note) VALUES (4, 8, 'krank', '')`,
		// switched off: nobody takes part in a quest in progress
		`UPDATE "My App".members SET state = 'pausiert' WHERE task = 2`,
		// deleted, and so nobody's business
		`INSERT INTO "My App"."Task" VALUES (5, 'offen', NULL, true)`,
		`INSERT INTO "My App".members (task, person, state, note) VALUES (5, 8, 'dabei', '')`,
		// children without a quest
		`INSERT INTO "My App".bids (task, bidder, state) VALUES (77, 7, 'wartet')`,
	)
	want := []string{
		"approval.failed 1 8",
		"drift.opened 1 8 missing_participant approval_failed critical",
		"drift.opened 2 7 approved_but_dropped dropped_out info",
		"drift.opened 2 7 assignee_not_participant assignee_left info",
		"drift.opened 4 8 orphan_participant direct_join critical",
		"drift.opened 77 nobody dangling_reference quest_missing warning",
		"repair.planned 1 8",
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		if got := otherEvents(t, r); !slices.Equal(got, want) {
			return fmt.Errorf("events are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
	r.settle(t)
	if got := otherEvents(t, r); !slices.Equal(got, want) {
		t.Errorf("events are\n%s", strings.Join(got, "\n"))
	}
	golden(t, "other_site", normal(show(t, &c, r.found(t, "missing_participant", 1, false), true)))
	r.verifyState(t)
}

// TestAnotherSiteIsAudited: the same configuration for audit, and a repair writes
// the first word of a role.
func TestAnotherSiteIsAudited(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadOtherSite)
	t.Parallel()
	exec1(t, dsn, `INSERT INTO "My App"."Task" VALUES (1, 'neu', NULL), (2, 'neu', 7), (3, 'vertagt', NULL), (4, 'in Arbeit', NULL), (6, 'in Arbeit', 9)`,
		`INSERT INTO "My App".bids (task, bidder, state) VALUES (1, 8, 'bestätigt'), (2, 7, 'ja'), (4, 9, 'raus'), (5, 9, 'wartet')`,
		`INSERT INTO "My App".members (task, person, state, note, since) VALUES (2, 7, 'aktiv', '', '2026-01-02'), (4, 9, 'pausiert', '', '2026-01-02'),
			(6, 8, 'arbeitet', '', '2026-01-02'), (6, 9, 'weg', '', '2026-01-01')`)
	c := otherSite(t, dsn)
	store, err := OpenStore(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	run := func(cfg auditing.Config) []string {
		cfg.Rules = Rules(&c).Policy
		result, err := auditing.Run(t.Context(), store, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		var found []string
		if err := result.Findings(func(f auditing.Finding) error {
			who := "nobody"
			if f.UserID != nil {
				who = *f.UserID + " " + *f.Username
			}
			found = append(found, fmt.Sprintf("%d %s %s %s %s %t", f.QuestID, f.Rule, who, f.Cause, f.Severity, f.Fixed))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return found
	}
	want := []string{
		"1 missing_participant 8 alice unknown warning false",
		"6 orphan_participant 8 alice direct_join critical false",
		"2 open_with_participants nobody status_lost warning false",
		"6 assignee_not_participant 9 Zoë assignee_left info false",
		"5 dangling_reference nobody quest_missing warning false",
	}
	if got := run(auditing.Config{}); !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i := range want {
		if strings.Contains(want[i], rule.MissingParticipant.String()) || strings.Contains(want[i], rule.OpenWithParticipants.String()) {
			want[i] = strings.TrimSuffix(want[i], "false") + "true"
		}
	}
	if got := run(auditing.Config{Fix: true, IncludeUnknown: true}); !slices.Equal(got, want) {
		t.Errorf("repaired\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var tasks, members string
	query(t, dsn, `SELECT json_agg(state || ' ' || coalesce("owner", 0) ORDER BY task_id)::text FROM "My App"."Task"`, &tasks)
	query(t, dsn, `SELECT json_agg(state || ' ' || person ORDER BY id)::text FROM "My App".members WHERE task < 3`, &members)
	for _, text := range []struct {
		got  string
		want []string
	}{
		{tasks, []string{"läuft 8", "läuft 7", "vertagt 0", "in Arbeit 0", "in Arbeit 9"}},
		{members, []string{"aktiv 7", "dabei 8"}},
	} {
		var got []string
		if err := json.Unmarshal([]byte(text.got), &got); err != nil || !slices.Equal(got, text.want) {
			t.Errorf("rows are %q, want %q (%v)", got, text.want, err)
		}
	}
}
