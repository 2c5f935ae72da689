package pgstore

import (
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// TestScript: what a person runs by hand does what the repair does, and nothing where
// the quest is not as it was.
func TestScript(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	for _, o := range []*remedy.Order{missing(), unassigned(), dropped(t, conn)} {
		var sql string
		e, err := s.Carry(t.Context(), o, nil, func(c *remedy.Case) (remedy.Action, []remedy.Write, error) {
			action, writes, err := decide(o)(c)
			if err == nil {
				sql, err = s.Script(t.Context(), o.Quest, writes, func(u quest.User) string { return c.People[u].ID })
			}
			return action, writes, err
		})
		if err != nil {
			t.Fatal(err)
		}
		carried := withoutTimes(questOf(t, conn, o.Quest))
		if _, err := s.Undo(t.Context(), e.ID, "", ""); err != nil {
			t.Fatal(err)
		}
		exec(t, conn, sql)
		if now := withoutTimes(questOf(t, conn, o.Quest)); now != carried {
			t.Errorf("%s: by hand the quest is %s, and %s by the repair", o.Rule, now, carried)
		}
		was := questOf(t, conn, o.Quest)
		if _, err := conn.Exec(t.Context(), sql); err == nil || questOf(t, conn, o.Quest) != was {
			t.Errorf("%s: once more: %v", o.Rule, err)
		}
	}
}

// withoutTimes leaves the quest's updated_at out.
func withoutTimes(quest string) string {
	words := strings.Fields(quest)
	return strings.Join(append(words[:2:2], words[len(words)-1]), " ")
}

// TestScriptQuotes: names and ids are what somebody chose.
func TestScriptQuotes(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	exec(t, conn, `ALTER TABLE quests_questparticipant ADD "a $questwatch$ b" text NOT NULL DEFAULT ''; ALTER TABLE quests_questparticipant ALTER "a $questwatch$ b" DROP DEFAULT`)
	writes := []remedy.Write{{Kind: remedy.InsertParticipant, User: 1}, {Kind: remedy.SetAssignee, Assign: 1}}
	sql, err := s.Script(t.Context(), 1, writes, func(u quest.User) string {
		if u == 0 {
			return ""
		}
		return "'); DROP TABLE x; --"
	})
	if err != nil || !strings.HasPrefix(sql, "DO $qquestwatch$\n") || !strings.Contains(sql, `'''); DROP TABLE x; --'`) {
		t.Errorf("the script is %s: %v", sql, err)
	}
	if _, err := conn.Exec(t.Context(), sql); sqlState(err) != "22P02" { // no uuid
		t.Errorf("run: %v", err)
	}
	if _, err := s.Script(t.Context(), 1, []remedy.Write{{Kind: remedy.DeleteParticipant}}, nil); err == nil {
		t.Error("a script deletes a participant")
	}
}

// TestRepairsOfAnAudit: each part is an entry of its own, and all are undone last first.
func TestRepairsOfAnAudit(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	exec(t, conn, "UPDATE quests_quest SET status = 'open', assigned_to_id = NULL WHERE id = 4")
	was := questOf(t, conn, 4)
	order := remedy.Order{Namespace: "questwatch", Instance: "audit", Quest: 4, Actor: "somebody", Reason: "monthly"}
	receipt, err := s.Repair(t.Context(), &order, func(c *remedy.Case) ([]remedy.Part, error) {
		first, err := parts(rule.OpenWithParticipants)(c)
		second, _ := parts(rule.Unassigned)(c)
		return append(first, second...), err
	})
	if err != nil || len(receipt.Undo) != 2 {
		t.Fatalf("the receipt is %+v: %v", receipt, err)
	}
	log, err := s.Journal(t.Context(), remedy.Filter{Quest: 4})
	if err != nil || len(log) != 2 || log[0].Rule != rule.Unassigned || log[1].Rule != rule.OpenWithParticipants ||
		log[0].XID != log[1].XID || log[0].Finding == log[1].Finding || log[0].Actor != "somebody" || log[0].Reason != "monthly" || log[0].Automatic {
		t.Fatalf("the journal is %+v: %v", log, err)
	}
	for _, e := range log {
		if _, err := s.Undo(t.Context(), e.ID, "", ""); err != nil {
			t.Error(err)
		}
	}
	if now := questOf(t, conn, 4); now != was {
		t.Errorf("undone, the quest is %s, was %s", now, was)
	}
}
