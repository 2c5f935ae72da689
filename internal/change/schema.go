package change

import (
	"fmt"
	"slices"
	"strings"
)

// Entity is one of the three streamed kinds of row.
type Entity uint8

// The entities, in the order in which a quest is described.
const (
	Quest Entity = iota + 1
	Application
	Participant
)

// Entities lists all three.
var Entities = [...]Entity{Quest, Application, Participant}

func (e Entity) String() string {
	switch e {
	case Quest:
		return "quest"
	case Application:
		return "application"
	case Participant:
		return "participant"
	}
	return fmt.Sprintf("entity(%d)", uint8(e))
}

// ParseEntity reads the wire name of an entity.
func ParseEntity(s string) (Entity, error) {
	for _, e := range Entities {
		if s == e.String() {
			return e, nil
		}
	}
	return 0, fmt.Errorf("unknown entity %q", s)
}

// Schema names the tables and the columns that the program needs; a column that
// no rule needs may be "", which is none. The wire
// form uses the database's own column names, so every reader of the stream
// needs the Schema that the writer had.
type Schema struct {
	Quest       QuestTable
	Application ApplicationTable
	Participant ParticipantTable
	User        UserTable
}

// QuestTable names the quest table (schema.table) and its columns.
type QuestTable struct {
	Table                                    string
	ID, Title, Status, AssignedTo, IsDeleted string
	CreatedAt, UpdatedAt, CompletedAt        string
}

// ApplicationTable names the application table and its columns.
type ApplicationTable struct {
	Table                                            string
	ID, QuestID, User, Status, AppliedAt, ReviewedAt string
}

// ParticipantTable names the participant table and its columns.
type ParticipantTable struct {
	Table                               string
	ID, QuestID, User, Status, JoinedAt string
}

// UserTable names the table that user names are looked up in. It is never
// streamed.
type UserTable struct {
	Table, ID, Username string
}

// PeerQuest is the schema of the application's own tables.
func PeerQuest() Schema {
	return Schema{
		Quest: QuestTable{
			Table: "public.quests_quest",
			ID:    "id", Title: "title", Status: "status", AssignedTo: "assigned_to_id", IsDeleted: "is_deleted",
			CreatedAt: "created_at", UpdatedAt: "updated_at", CompletedAt: "completed_at",
		},
		Application: ApplicationTable{
			Table: "public.applications_application",
			ID:    "id", QuestID: "quest_id", User: "applicant_id", Status: "status",
			AppliedAt: "applied_at", ReviewedAt: "reviewed_at",
		},
		Participant: ParticipantTable{
			Table: "public.quests_questparticipant",
			ID:    "id", QuestID: "quest_id", User: "user_id", Status: "status", JoinedAt: "joined_at",
		},
		User: UserTable{Table: "public.users_user", ID: "id", Username: "username"},
	}
}

// Table is the qualified name of an entity's table.
func (s *Schema) Table(e Entity) string {
	switch e {
	case Quest:
		return s.Quest.Table
	case Application:
		return s.Application.Table
	case Participant:
		return s.Participant.Table
	}
	return ""
}

// Columns lists the streamed columns of an entity, in wire order. Texts that
// people wrote, the title aside, are not among them.
func (s *Schema) Columns(e Entity) []string {
	return slices.DeleteFunc(s.columns(e), func(name string) bool { return name == "" })
}

func (s *Schema) columns(e Entity) []string {
	switch e {
	case Quest:
		q := s.Quest
		return []string{q.ID, q.Title, q.Status, q.AssignedTo, q.IsDeleted, q.CompletedAt, q.UpdatedAt}
	case Application:
		a := s.Application
		return []string{a.ID, a.QuestID, a.User, a.Status, a.AppliedAt, a.ReviewedAt}
	case Participant:
		p := s.Participant
		return []string{p.ID, p.QuestID, p.User, p.Status, p.JoinedAt}
	}
	return nil
}

// Key names the column that holds a row's id, and the one that holds the id of
// its quest (the same one for a quest).
func (s *Schema) Key(e Entity) (id, questID string) {
	switch e {
	case Application:
		return s.Application.ID, s.Application.QuestID
	case Participant:
		return s.Participant.ID, s.Participant.QuestID
	}
	return s.Quest.ID, s.Quest.ID
}

// SplitTable cuts a configured table name into schema and table; a name
// without a schema is in public.
func SplitTable(name string) (schema, table string) {
	if s, t, ok := strings.Cut(name, "."); ok {
		return s, t
	}
	return "public", name
}
