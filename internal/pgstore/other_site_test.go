package pgstore

import (
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestJournalOfAnotherSite: other names, words and types, and several words for a role, of
// which the one that was there comes back.
func TestJournalOfAnotherSite(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadOtherSite)
	conn := connect(t, dsn)
	exec(t, conn, `INSERT INTO "My App"."Task" VALUES (1, 'neu', NULL, false, '2025-01-01'), (2, 'läuft', 8, false, NULL);
		INSERT INTO "My App".bids (task, bidder, state) VALUES (1, 7, 'bestätigt'), (2, 8, 'ja');
		INSERT INTO "My App".members (task, person, state, note) VALUES (2, 8, 'pausiert', '')`)
	cfg := Default()
	cfg.Schema = change.Schema{
		Quest:       change.QuestTable{Table: "My App.Task", ID: "task_id", Status: "state", AssignedTo: "owner", IsDeleted: "gone", UpdatedAt: "touched"},
		Application: change.ApplicationTable{Table: "My App.bids", ID: "bid_id", QuestID: "task", User: "bidder", Status: "state"},
		Participant: change.ParticipantTable{Table: "My App.members", ID: "id", QuestID: "task", User: "person", Status: "state", JoinedAt: "since"},
		User:        change.UserTable{Table: "My App.people", ID: "uid", Username: "login"},
	}
	cfg.Statuses = quest.Statuses{
		Quest:       map[string]quest.Status{"offen": quest.Open, "neu": quest.Open, "läuft": quest.InProgress, "in Arbeit": quest.InProgress},
		Application: map[string]quest.ApplicationStatus{"ja": quest.Approved, "bestätigt": quest.Approved},
		Participant: map[string]quest.ParticipantStatus{"dabei": quest.Joined, "aktiv": quest.Joined, "weg": quest.Dropped, "pausiert": quest.Dropped},
		Started:     "läuft", Joined: "dabei",
	}
	s := openStore(t, dsn, cfg)
	setUp(t, s)
	rows := func() string {
		return one[string](t, conn, `SELECT (SELECT string_agg(q::text, ' ' ORDER BY q) FROM "My App"."Task" q) ||
			coalesce((SELECT string_agg(p::text, ' ' ORDER BY p) FROM "My App".members p), '')`)
	}
	was := rows()
	for _, o := range []*remedy.Order{orderOf(rule.MissingParticipant, 1, "7"), orderOf(rule.ApprovedButDropped, 2, "8")} {
		e := carry(t, s, o)
		if rows() == was {
			t.Errorf("%s: nothing was written", o.Rule)
		}
		if _, err := s.Undo(t.Context(), e.ID, "", ""); err != nil {
			t.Errorf("undo %s: %v", o.Rule, err)
		}
		if now := rows(); now != was {
			t.Errorf("%s undone: %s, was %s", o.Rule, now, was)
		}
	}
}
