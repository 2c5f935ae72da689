package app

import (
	"fmt"
	"slices"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

// Tables are emptied in every way, with writes around it in one transaction.
func TestTablesEmptied(t *testing.T) {
	t.Parallel()
	const apply = `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', %d)`
	for name, c := range map[string]struct {
		sql  []string
		want []string
	}{
		"one, restarted": {[]string{
			`TRUNCATE applications_application RESTART IDENTITY`, fmt.Sprintf(apply, 1), fmt.Sprintf(apply, 3),
		}, []string{"[application]"}},
		"by a table that others refer to": {[]string{
			`BEGIN; UPDATE quests_quest SET title = 'gone' WHERE id = 1; TRUNCATE quests_quest RESTART IDENTITY CASCADE; COMMIT`,
		}, []string{"[application participant quest]"}},
		"by a table that is not streamed": {[]string{`TRUNCATE users_user CASCADE`}, []string{"[application participant quest]"}},
		"writes before and after": {[]string{
			`BEGIN; SET CONSTRAINTS ALL IMMEDIATE; ` + fmt.Sprintf(apply, 4) + `; UPDATE quests_quest SET title = 'before'; TRUNCATE applications_application; ` + fmt.Sprintf(apply, 1) +
				`; TRUNCATE applications_application, quests_questparticipant; ` + fmt.Sprintf(apply, 2) + `; UPDATE quests_quest SET title = 'after'; COMMIT`,
			fmt.Sprintf(apply, 3),
		}, []string{"[application]", "[application participant]"}},
		"undone": {[]string{
			`BEGIN; TRUNCATE quests_quest CASCADE; ROLLBACK`,
			`BEGIN; SAVEPOINT s; TRUNCATE quests_questparticipant; ROLLBACK TO s; ` + fmt.Sprintf(apply, 1) + `; COMMIT`,
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			r := start(t, settings(t, dsn), dsn)
			r.ready(t)
			r.settle(t)
			exec1(t, dsn, c.sql...)
			r.agrees(t)
			var got []string
			for _, record := range r.controls(t, "truncate") {
				slices.Sort(record.Entities)
				got = append(got, fmt.Sprint(record.Entities))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("emptied %q, want %q", got, c.want)
			}
		})
	}
}
