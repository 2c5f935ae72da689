package quest_test

import (
	"errors"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

func newState() *quest.State { return quest.NewState(change.PeerQuest(), quest.PeerQuest()) }

func apply(s *quest.State, e change.Entity, op change.Op, row string) (*quest.Quest, error) {
	c := change.Change{Op: op, Entity: e, After: change.Row(row)}
	if op == change.Delete {
		c.Before, c.After = c.After, nil
	}
	return s.Apply(&change.Step{QuestID: 1, Transaction: change.Transaction{CommitLSN: 5}, Changes: []change.Change{c}})
}

func TestBadColumns(t *testing.T) {
	for _, c := range []struct {
		name   string
		entity change.Entity
		row    string
		column string
	}{
		{"no id", change.Quest, `{"status":"open"}`, "id"},
		{"null id", change.Quest, `{"id":null,"status":"open"}`, "id"},
		{"id is text", change.Quest, `{"id":"1","status":"open"}`, "id"},
		{"id beyond int64", change.Quest, `{"id":9223372036854775808,"status":"open"}`, "id"},
		{"id is a fraction", change.Quest, `{"id":1.5,"status":"open"}`, "id"},
		{"null status", change.Quest, `{"id":1,"status":null}`, "status"},
		{"no status", change.Quest, `{"id":1,"title":"x"}`, "status"},
		{"status is a number", change.Quest, `{"id":1,"status":1}`, "status"},
		{"deleted is a number", change.Quest, `{"id":1,"status":"open","is_deleted":0}`, "is_deleted"},
		{"title is a list", change.Quest, `{"id":1,"status":"open","title":[]}`, "title"},
		{"assigned to a boolean", change.Quest, `{"id":1,"status":"open","assigned_to_id":true}`, "assigned_to_id"},
		{"null applicant", change.Application, `{"id":1,"applicant_id":null,"status":"approved"}`, "applicant_id"},
		{"empty applicant", change.Application, `{"id":1,"applicant_id":"","status":"approved"}`, "applicant_id"},
		{"no applicant", change.Application, `{"id":1,"status":"approved"}`, "applicant_id"},
		{"applicant is an object", change.Application, `{"id":1,"applicant_id":{},"status":"approved"}`, "applicant_id"},
		{"application without status", change.Application, `{"id":1,"applicant_id":7}`, "status"},
		{"null participant", change.Participant, `{"id":1,"user_id":null,"status":"joined"}`, "user_id"},
		{"participant without user", change.Participant, `{"id":1,"status":"joined"}`, "user_id"},
		{"participant without status", change.Participant, `{"id":1,"user_id":7}`, "status"},
		{"participant's null status", change.Participant, `{"id":1,"user_id":7,"status":null}`, "status"},
		{"joined is no time", change.Participant, `{"id":1,"user_id":7,"status":"joined","joined_at":"noon"}`, "joined_at"},
		{"joined is a number", change.Participant, `{"id":1,"user_id":7,"status":"joined","joined_at":5}`, "joined_at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := apply(newState(), c.entity, change.Create, c.row)
			var column *quest.ColumnError
			if !errors.As(err, &column) || column.Entity != c.entity || column.Column != c.column || column.Unwrap() == nil {
				t.Fatalf("error %v, want one about %s of %s", err, c.column, c.entity)
			}
		})
	}
	for name, row := range map[string]string{"cut": `{"id":1`, "nothing": ``, "list": `[]`, "not UTF-8": "{\"id\":1,\"status\":\"\xff\"}"} {
		if _, err := apply(newState(), change.Quest, change.Create, row); err == nil {
			t.Errorf("no error for a row that is %s", name)
		}
	}
	if _, err := apply(newState(), 9, change.Create, `{}`); err == nil {
		t.Error("no error for an unknown entity")
	}
}

// TestOddButFine is what other installations have.
func TestOddButFine(t *testing.T) {
	s := newState()
	for _, row := range []string{
		`{"id":1,"user_id":42,"status":"joined","joined_at":"2026-07-01T10:00:00.5+00:00"}`,
		`{"id":2,"user_id":"42","status":"on fire","joined_at":"2026-07-01T10:00:00.5"}`, // no time zone
		`{"id":3,"user_id":"name@host","status":"dropped","joined_at":null}`,
		`{"id":-4,"user_id":-5,"status":"","joined_at":"-infinity"}`,
		`{"id":9223372036854775807,"user_id":6,"status":"\u006aoined","joined_at":"infinity","x":{"y":[]}}`,
	} {
		if _, err := apply(s, change.Participant, change.Create, row); err != nil {
			t.Fatalf("%v: %s", err, row)
		}
	}
	q := s.Quest(1)
	if q.Exists || len(q.Participants) != 5 || q.Actives() != 4 {
		t.Fatalf("quest without its row: %+v", q)
	}
	first, last := q.Participants[0], q.Participants[4]
	if first.ID != -4 || s.Users().Text(first.User) != "-5" || last.ID != 1<<63-1 || last.Status != quest.Joined {
		t.Errorf("first %+v, last %+v", first, last)
	}
	a, b := q.Participants[1], q.Participants[2]
	if a.User != b.User || a.Joined != b.Joined || b.Status != quest.OtherParticipant {
		t.Errorf("42 as a number %+v, as text %+v", a, b)
	}
	if got := q.Earliest(); got.ID != -4 {
		t.Errorf("the earliest is %+v", got)
	}
}

func TestChildrenOutliveTheirQuest(t *testing.T) {
	s := newState()
	must := func(e change.Entity, op change.Op, row string) *quest.Quest {
		t.Helper()
		q, err := apply(s, e, op, row)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	must(change.Quest, change.Create, `{"id":1,"status":"in-progress","assigned_to_id":7}`)
	must(change.Participant, change.Create, `{"id":2,"user_id":7,"status":"joined"}`)
	if q := must(change.Quest, change.Delete, `{"id":1}`); q == nil || q.Exists || q.Released != 0 || q.Assigned != 0 {
		t.Errorf("after the deletion: %+v", q)
	}
	if q := must(change.Participant, change.Delete, `{"id":2}`); q != nil || s.Len() != 0 {
		t.Errorf("after the last child: %+v, %d quests", q, s.Len())
	}
	if q := must(change.Application, change.Delete, `{"id":99}`); q != nil || s.Len() != 0 {
		t.Errorf("after deleting what was never there: %+v", q)
	}
}

// TestUnseenLeave: an approval that had its participant before a gap did not
// fail, whatever the rows look like after it.
func TestUnseenLeave(t *testing.T) {
	for name, end := range map[string]func(s *quest.State){
		"baseline": func(s *quest.State) {
			s.BeginBaseline()
			step := change.Step{QuestID: 1, Source: change.Source{Snapshot: true}, Changes: []change.Change{
				{Op: change.Read, Entity: change.Application, After: change.Row(`{"id":1,"applicant_id":7,"status":"approved"}`)},
			}}
			if _, err := s.Apply(&step); err != nil {
				t.Fatal(err)
			}
			s.EndBaseline(true)
		},
		"truncate": func(s *quest.State) { s.Truncate(change.Participant) },
	} {
		s := newState()
		for e, row := range map[change.Entity]string{
			change.Application: `{"id":1,"applicant_id":7,"status":"approved"}`,
			change.Participant: `{"id":1,"user_id":7,"status":"joined"}`,
		} {
			if _, err := apply(s, e, change.Create, row); err != nil {
				t.Fatal(err)
			}
		}
		end(s)
		if q := s.Quest(1); q.Applications[0].Approved != 0 || len(q.Departures) != 0 {
			t.Errorf("%s: %+v", name, q)
		}
	}
}
