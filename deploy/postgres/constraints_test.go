package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/testkit"
)

// What the tests write with: quest 4 of AUDIT-001 is in progress, assigned to nobody, and student1 takes part; quest 1 is open.
const (
	student1 = "11111111-1111-4111-8111-111111111111"
	student2 = "22222222-2222-4222-8222-222222222222"
	student3 = "33333333-3333-4333-8333-333333333333"
	nobody   = "99999999-9999-4999-8999-999999999999"
)

func application(quest, user, status string) string {
	return `INSERT INTO applications_application (quest_id, applicant_id, status, applied_at) VALUES (` + quest + `,'` + user + `','` + status + `',now());`
}

func participant(quest, user, status string) string {
	return `INSERT INTO quests_questparticipant (quest_id, user_id, status, joined_at, progress_notes) VALUES (` + quest + `,'` + user + `','` + status + `',now(),'');`
}

func TestUniqueParticipant(t *testing.T) {
	t.Parallel()
	db := connect(t, testkit.Database(t, testkit.LoadAudit001))
	before := catalog(t, db)
	s := pack(t)["1.1"]
	do(t, db, s.remove...)
	do(t, db, participant("4", student1, "dropped"))
	const unique = "23505 quests_questparticipant_quest_id_user_id_102f66b3_uniq"
	for range 2 { // the first try leaves an invalid index
		if got := refused(t, tryApply(t, db, s)); got != unique {
			t.Fatalf("with duplicates there: %q", got)
		}
	}
	do(t, db, "DELETE FROM quests_questparticipant WHERE quest_id = 4 AND status = 'dropped'")
	do(t, db, s.apply...)
	if diff := cmp.Diff(before, catalog(t, db)); diff != "" {
		t.Errorf("not what Django makes:\n%s", diff)
	}
	wants(t, db, unique, participant("4", student1, "dropped"))
	wants(t, db, "", participant("4", student2, "joined"))
}

func TestOneApproval(t *testing.T) {
	t.Parallel()
	db := connect(t, testkit.Database(t, testkit.LoadAudit001))
	s := pack(t)["1.2"]
	const one = "23505 questwatch_one_approval"
	do(t, db, application("4", student1, "approved"))
	for range 2 {
		if got := refused(t, tryApply(t, db, s)); got != one {
			t.Fatalf("with duplicates there: %q", got)
		}
	}
	do(t, db, "DELETE FROM applications_application WHERE quest_id = 4 AND id > 11")
	do(t, db, s.apply...)
	wants(t, db, one, application("4", student1, "approved"))
	for _, status := range []string{"pending", "rejected", "rejected", "kicked", "pending"} {
		wants(t, db, "", application("4", student1, status))
	}
	wants(t, db, one, "UPDATE applications_application SET status = 'approved' WHERE quest_id = 4 AND status = 'pending'")
	wants(t, db, "", application("4", student2, "approved"))
	wants(t, db, "", application("5", student1, "approved"))
	// Kicked, applied again, approved again.
	wants(t, db, "", "UPDATE applications_application SET status = 'kicked' WHERE id = 4;"+application("4", student1, "approved"))
}

func TestForeignKeys(t *testing.T) {
	t.Parallel()
	db := connect(t, testkit.Database(t, testkit.LoadAudit001))
	before := catalog(t, db)
	s := pack(t)["1.3"]
	do(t, db, s.remove...)
	if gone := len(before) - len(catalog(t, db)); gone != 5 {
		t.Fatalf("%d keys gone", gone)
	}
	do(t, db, participant("999", student1, "joined"))
	const key = "23503 quests_questparticipant_quest_id_e4df2918_fk_quests_quest_id"
	for range 2 {
		if got := refused(t, tryApply(t, db, s)); got != key {
			t.Fatalf("with a row that points to nothing: %q", got)
		}
	}
	// New rows are guarded already; the old one may stay until somebody looks.
	wants(t, db, key, participant("998", student1, "joined"))
	do(t, db, "DELETE FROM quests_questparticipant WHERE quest_id = 999")
	do(t, db, s.apply...)
	if diff := cmp.Diff(before, catalog(t, db)); diff != "" {
		t.Errorf("not what Django makes:\n%s", diff)
	}
	wants(t, db, "23503 quests_questparticipant_user_id_c4587c84_fk_users_user_id", participant("4", nobody, "joined"))
	wants(t, db, "23503 applications_application_quest_id_a8fd4feb_fk_quests_quest_id", application("998", student1, "pending"))
	wants(t, db, "23503 applications_application_applicant_id_bad0be99_fk_users_user_id", application("4", nobody, "pending"))
	wants(t, db, "23503 quests_quest_assigned_to_id_85a83c8e_fk_users_user_id",
		"UPDATE quests_quest SET assigned_to_id = '"+nobody+"' WHERE id = 4")
	wants(t, db, "", participant("4", student2, "joined"))
}

func TestStatusWords(t *testing.T) {
	t.Parallel()
	db := connect(t, testkit.Database(t, testkit.LoadAudit001))
	do(t, db, "UPDATE quests_quest SET status = 'archived' WHERE id = 3")
	apply(t, db, "1.4")
	for _, c := range []struct{ table, constraint, words string }{
		{"quests_quest", "questwatch_quest_status", "open in-progress completed"},
		{"applications_application", "questwatch_application_status", "pending approved rejected kicked"},
		{"quests_questparticipant", "questwatch_participant_status", "joined in_progress completed dropped"},
	} {
		for _, word := range strings.Fields(c.words) {
			wants(t, db, "", "UPDATE "+c.table+" SET status = '"+word+"' WHERE id = 4")
		}
		for _, word := range []string{"", "Open", "aproved"} {
			wants(t, db, "23514 "+c.constraint, "UPDATE "+c.table+" SET status = '"+word+"' WHERE id = 4")
		}
	}
	// A row with another word stays, until somebody writes it or validates.
	if got := query[string](t, db, "SELECT status::text FROM quests_quest WHERE id = 3"); !slices.Equal(got, []string{"archived"}) {
		t.Errorf("quest 3 is %q", got)
	}
	wants(t, db, "23514 questwatch_quest_status", "UPDATE quests_quest SET title = 'x' WHERE id = 3")
	validate := "ALTER TABLE quests_quest VALIDATE CONSTRAINT questwatch_quest_status"
	wants(t, db, "23514 questwatch_quest_status", validate)
	do(t, db, "UPDATE quests_quest SET status = 'open' WHERE id = 3", validate)
}

// TestTriggers: what the workflows do not show. All sections are there; the constraint named is the one that must refuse.
func TestTriggers(t *testing.T) {
	t.Parallel()
	const (
		takesPart    = "2.1"
		inOpen       = "2.2"
		openWith     = "2.3"
		inUnassigned = "2.4"
		unassigned   = "2.5"
	)
	dsn := testkit.Database(t)
	db := connect(t, dsn)
	sections := []string{"2.1", "2.2", "2.3", "2.4", "2.5", "3"}
	restore := "UPDATE quests_quest SET is_deleted = false WHERE id = "
	softDelete := "UPDATE quests_quest SET is_deleted = true WHERE id = "
	for _, c := range []struct{ name, prepare, sql, by string }{
		{"approved at once", "", application("5", student1, "approved"), takesPart},
		{"participant first", "", participant("5", student1, "joined") + application("5", student1, "approved"), ""},
		{"participant last", "", application("5", student1, "approved") + participant("5", student1, "joined"), ""},
		{"approved and taken back", "", application("5", student1, "approved") + "UPDATE applications_application SET status = 'rejected' WHERE id > 11", ""},
		{"approved and deleted", "", application("5", student1, "approved") + "DELETE FROM applications_application WHERE id > 11", ""},
		{"taken in and gone again", "", application("5", student1, "approved") + participant("5", student1, "joined") +
			"DELETE FROM quests_questparticipant WHERE id > 8", takesPart},
		{"dropped does not count", "", application("5", student1, "approved") + participant("5", student1, "dropped"), takesPart},
		{"completed counts", "", application("9", student2, "approved") + participant("9", student2, "completed"), ""},
		{"another's application", "", "UPDATE applications_application SET applicant_id = '" + student2 + "' WHERE id = 4", takesPart},
		{"to another quest", "", "UPDATE applications_application SET quest_id = 6 WHERE id = 4", ""}, // student1 takes part there
		{"old drift is saved", "", "UPDATE applications_application SET reviewed_at = now() WHERE id = 1", ""},
		{"old drift is approved once more", "", "UPDATE applications_application SET status = 'pending' WHERE id = 1;" +
			"UPDATE applications_application SET status = 'approved' WHERE id = 1", takesPart},
		{"approved in a deleted quest", "", softDelete + "5;" + application("5", student1, "approved"), ""},

		{"to an open quest", "UPDATE quests_quest SET assigned_to_id = '" + student1 + "' WHERE id = 3", "UPDATE quests_questparticipant SET quest_id = 3 WHERE id = 2", inOpen},
		{"joins and drops out", "", participant("3", student1, "joined") + "UPDATE quests_questparticipant SET status = 'dropped' WHERE id > 8", ""},
		{"dropped in an open quest", "", participant("3", student1, "dropped"), ""},
		{
			"back into an open quest", participant("3", student1, "dropped") + "UPDATE quests_quest SET assigned_to_id = '" + student1 + "' WHERE id = 3",
			"UPDATE quests_questparticipant SET status = 'joined' WHERE id > 8", inOpen,
		},
		{"a deleted quest", "", softDelete + "3;" + participant("3", student1, "joined"), ""},

		{"stale save", "", "UPDATE quests_quest SET status = 'open' WHERE id = 5", openWith},
		{"open and on again", "", "UPDATE quests_quest SET status = 'open' WHERE id = 5; UPDATE quests_quest SET status = 'in-progress' WHERE id = 5", ""},
		{"last one gone", "", "UPDATE quests_quest SET status = 'open' WHERE id = 5; DELETE FROM quests_questparticipant WHERE quest_id = 5", ""},
		{"reopened after completion", "", "UPDATE quests_quest SET status = 'open' WHERE id = 9", openWith},
		{"restored open", softDelete + "5; UPDATE quests_quest SET status = 'open' WHERE id = 5", restore + "5", openWith},

		{"joins an unassigned quest", "", participant("4", student2, "joined"), inUnassigned},
		{"joins an assigned quest", "", participant("5", student2, "joined"), ""},
		{"back into an unassigned quest", participant("4", student2, "dropped"), "UPDATE quests_questparticipant SET status = 'joined' WHERE id > 8", inUnassigned},
		{"old drift works on", "", "UPDATE quests_questparticipant SET status = 'in_progress' WHERE quest_id = 4", ""},

		{"assignee lost", "", "UPDATE quests_quest SET assigned_to_id = NULL WHERE id = 5", unassigned},
		{"assignee lost and found", "", "UPDATE quests_quest SET assigned_to_id = NULL WHERE id = 5; UPDATE quests_quest SET assigned_to_id = '" + student3 + "' WHERE id = 5", ""},
		{"assignee exchanged", "", "UPDATE quests_quest SET assigned_to_id = '" + student3 + "' WHERE id = 5", ""},
		{"old drift is edited", "", "UPDATE quests_quest SET title = 'x' WHERE id = 4", ""},
		{"restored unassigned", softDelete + "5; UPDATE quests_quest SET assigned_to_id = NULL WHERE id = 5", restore + "5", unassigned},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, section := range sections {
				do(t, db, pack(t)[section].remove...)
			}
			do(t, db, `TRUNCATE users_user, quests_questcategory, quests_quest, quests_questparticipant, applications_application`)
			if err := testkit.LoadAudit001(t.Context(), dsn); err != nil {
				t.Fatal(err)
			}
			do(t, db, c.prepare)
			apply(t, db, sections...)
			want := ""
			if c.by != "" {
				want = "23514 " + triggers[c.by]
			}
			wants(t, db, want, c.sql)
			if c.by == "" {
				return
			}
			// Without the trigger that refused it, it is not refused.
			do(t, db, pack(t)[c.by].remove...)
			wants(t, db, "", c.sql)
		})
	}
}

// TestRefusalSaysWhich: ids, and nothing that a person wrote.
func TestRefusalSaysWhich(t *testing.T) {
	t.Parallel()
	db := connect(t, testkit.Database(t, testkit.LoadAudit001))
	apply(t, db, "2.1")
	err := try(t, db, application("5", student1, "approved"))
	if want := "application 12 is approved, but its applicant takes no part in quest 5"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
