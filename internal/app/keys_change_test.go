package app

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/testkit"
)

// moves lists the halves of rows that changed their id or their quest.
func (r *running) moves(t *testing.T) (list []string) {
	t.Helper()
	err := r.Bus().ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
		if bytes.HasPrefix(m.Data, []byte(`{"control":`)) {
			return nil
		}
		var step stepRecord
		decode(t, m.Data, &step)
		for _, c := range step.Changes {
			if c.Moved {
				list = append(list, fmt.Sprintf("%s %s %d of %d", c.Op, c.Entity, max(rowID(t, c.Before), rowID(t, c.After)), step.QuestID))
			}
		}
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return list
}

// Rows change their ids and their quests, in every company: each is two halves
// that say so, and the stream still amounts to the tables.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	const longTitle = `repeat(md5(random()::text), 3000)`
	exec1(t, dsn, `ALTER TABLE quests_quest ALTER title TYPE text; ALTER TABLE quests_quest ALTER title SET STORAGE EXTERNAL`,
		`UPDATE quests_quest SET title = `+longTitle+` WHERE id = 5`)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	r.settle(t)
	exec1(
		t, dsn,
		// A quest of its own for each half, among others.
		`BEGIN; UPDATE quests_quest SET title = 'x' WHERE id IN (2, 3); UPDATE applications_application SET quest_id = 2 WHERE id = 1;
			UPDATE quests_quest SET title = 'y' WHERE id IN (1, 2); COMMIT`,
		// There and back, and the id with it.
		`BEGIN; UPDATE applications_application SET quest_id = 3, id = 901 WHERE id = 1; UPDATE applications_application SET quest_id = 1, id = 1 WHERE id = 901; COMMIT`,
		// Two rows swap their quests in one statement, and two their ids in one transaction.
		`UPDATE applications_application SET quest_id = CASE id WHEN 2 THEN (SELECT quest_id FROM applications_application WHERE id = 3)
			ELSE (SELECT quest_id FROM applications_application WHERE id = 2) END WHERE id IN (2, 3)`,
		`BEGIN; UPDATE quests_questparticipant SET id = 902 WHERE id = 1; UPDATE quests_questparticipant SET id = 1 WHERE id = 2;
			UPDATE quests_questparticipant SET id = 2 WHERE id = 902; COMMIT`,
		// A quest with all that belongs to it, and with a title that is not sent.
		`SET session_replication_role = replica; BEGIN; UPDATE quests_quest SET id = 500 WHERE id = 5; UPDATE applications_application SET quest_id = 500 WHERE quest_id = 5;
			UPDATE quests_questparticipant SET quest_id = 500 WHERE quest_id = 5; COMMIT`,
		// Written, moved and deleted in one transaction.
		`BEGIN; INSERT INTO applications_application (id, status, applied_at, applicant_id, quest_id) VALUES (903, 'pending', now(), '22222222-2222-4222-8222-222222222222', 1);
			UPDATE applications_application SET quest_id = 2 WHERE id = 903; DELETE FROM applications_application WHERE id = 903; COMMIT`,
	)
	r.verify(t)
	got := r.moves(t)
	for _, want := range []string{
		"d application 1 of 1", "c application 1 of 2", "d application 1 of 2", "c application 901 of 3", "d application 901 of 3", "c application 1 of 1",
		"d quest 5 of 5", "c quest 500 of 500", "d application 903 of 1", "c application 903 of 2",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q among %q", want, got)
		}
	}
	if len(got)%2 != 0 {
		t.Errorf("a half is missing: %q", got)
	}
}
