package pgstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
)

func TestUndo(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	exec(t, conn, "SELECT pg_create_logical_replication_slot('undo', 'test_decoding')")
	defer exec(t, conn, "SELECT pg_drop_replication_slot('undo')")
	for _, o := range []*remedy.Order{missing(), unassigned(), dropped(t, conn)} {
		was := questOf(t, conn, o.Quest)
		e := carry(t, s, o)
		undoing, err := s.Undo(t.Context(), e.ID, "another", "was right as it was")
		if err != nil {
			t.Fatal(err)
		}
		if now := questOf(t, conn, o.Quest); now != was {
			t.Errorf("%s: the quest is %s, was %s", o.Rule, now, was)
		}
		if undoing.Undoes != e.ID || undoing.Automatic || undoing.Actor != "another" || undoing.Finding != o.Finding || len(undoing.Rows) != len(e.Rows) {
			t.Errorf("the undoing is %+v", undoing)
		}
		said, err := change.ParseRepaired(one[string](t, conn, `SELECT split_part(data, 'content:', 2) FROM pg_logical_slot_peek_changes('undo', NULL, NULL)
			WHERE data LIKE '%prefix: questwatch.repair,%"undoes"%' ORDER BY lsn DESC LIMIT 1`))
		if err != nil || said.Entry != undoing.ID || said.Undoes != e.ID || said.Actor != "another" {
			t.Errorf("the message is %+v: %v", said, err)
		}
		for entry, want := range map[int64]error{e.ID: remedy.ErrUndone, undoing.ID: remedy.ErrUndone, 999: remedy.ErrNoEntry} {
			if _, err := s.Undo(t.Context(), entry, "", ""); !errors.Is(err, want) {
				t.Errorf("undo %d: %v, want %v", entry, err, want)
			}
		}
		if log, err := s.Journal(t.Context(), remedy.Filter{Quest: o.Quest, Limit: 2}); err != nil || len(log) != 2 || log[1].UndoneBy != undoing.ID || log[0].Undoes != e.ID {
			t.Errorf("the journal is %v: %v", log, err)
		}
	}
}

// TestUndoAfterAChange: whatever somebody did since to what the repair wrote, nothing is
// undone, and the error says where.
func TestUndoAfterAChange(t *testing.T) {
	t.Parallel()
	const participant = " WHERE quest_id = 1 AND user_id = '" + student2 + "'"
	for name, c := range map[string]struct{ sql, want string }{
		"status":         {"UPDATE quests_quest SET status = 'completed', updated_at = now() WHERE id = 1", "column status of row 1 of public.quests_quest "},
		"assignee":       {"UPDATE quests_quest SET assigned_to_id = NULL WHERE id = 1", "column assigned_to_id of row 1 of public.quests_quest "},
		"there and back": {"UPDATE quests_quest SET updated_at = now() WHERE id = 1", "column updated_at of row 1 of public.quests_quest "},
		"quest deleted": {
			"DELETE FROM quests_questparticipant" + participant + "; DELETE FROM applications_application WHERE quest_id = 1; DELETE FROM quests_quest WHERE id = 1",
			"row 1 of public.quests_quest is gone",
		},
		"at work":   {"UPDATE quests_questparticipant SET status = 'in_progress'" + participant, "column status of row "},
		"notes":     {"UPDATE quests_questparticipant SET progress_notes = 'half way'" + participant, "column progress_notes of row "},
		"not ours":  {"UPDATE quests_questparticipant SET review_notes = 'good'" + participant, "column review_notes of row "},
		"moved":     {"UPDATE quests_questparticipant SET quest_id = 9, user_id = '" + student2 + "'" + participant, "column quest_id of row "},
		"came back": {"DELETE FROM quests_questparticipant" + participant, "of public.quests_questparticipant is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, conn, _ := journalled(t)
			e := carry(t, s, missing())
			exec(t, conn, c.sql)
			was := rowsOf(t, conn)
			_, err := s.Undo(t.Context(), e.ID, "", "")
			var changed *remedy.ChangedError
			if !errors.As(err, &changed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %s", err, c.want)
			}
			if now := rowsOf(t, conn); now != was {
				t.Errorf("the rows are\n%s\nand were\n%s", now, was)
			}
			if n := one[int64](t, conn, "SELECT count(*) FROM questwatch.repair"); n != 1 {
				t.Errorf("the journal has %d entries", n)
			}
		})
	}
}

// rowsOf are all rows of the three tables.
func rowsOf(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	return one[string](t, conn, `SELECT string_agg(line, E'\n' ORDER BY line) FROM (SELECT q::text FROM quests_quest q UNION ALL
		SELECT p::text FROM quests_questparticipant p UNION ALL SELECT a::text FROM applications_application a) x (line)`)
}

// TestUndoInTurn: repairs that follow one another on a quest are undone last first, and
// not the other way round.
func TestUndoInTurn(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	was := questOf(t, conn, 8)
	first := carry(t, s, unassigned())
	exec(t, conn, "UPDATE quests_quest SET status = 'open' WHERE id = 8")
	status := unassigned()
	status.Finding, status.Rule, status.Automatic = "status", 3, false
	second := carry(t, s, status)
	if _, err := s.Undo(t.Context(), first.ID, "", ""); err == nil || !strings.Contains(err.Error(), "column updated_at of row 8") {
		t.Errorf("the first one first: %v", err)
	}
	for _, e := range []*remedy.Entry{second, first} {
		if _, err := s.Undo(t.Context(), e.ID, "", ""); err != nil {
			t.Error(err)
		}
	}
	if now := questOf(t, conn, 8); now != strings.Replace(was, "in-progress", "open", 1) {
		t.Errorf("the quest is %s, was %s", now, was)
	}
}

// TestUndoAtOnce: of several who undo the same entry one does.
func TestUndoAtOnce(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	e := carry(t, s, missing())
	const several = 4
	results := make(chan error)
	for range several {
		go func() { results <- second(s.Undo(t.Context(), e.ID, "", "")) }()
	}
	done := 0
	for range several {
		if err := <-results; err == nil {
			done++
		} else if !errors.Is(err, remedy.ErrUndone) {
			t.Error(err)
		}
	}
	if n := one[int64](t, conn, "SELECT count(*) FROM questwatch.repair WHERE undoes IS NOT NULL"); done != 1 || n != 1 {
		t.Errorf("%d have undone it, the journal says %d", done, n)
	}
}
