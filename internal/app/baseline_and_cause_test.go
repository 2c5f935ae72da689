package app

import (
	"fmt"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestBaselineFailureAndLeaver(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadAudit001)
	t.Parallel()
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	testkit.Eventually(t, 20*time.Second, func() error {
		if opened := r.findings(t); len(opened) != 5 {
			return fmt.Errorf("%d findings of the baseline, want 5", len(opened))
		}
		return nil
	})

	// Quest 5: its participant leaves. Quest 9: a failed approval.
	exec1(t, dsn, `BEGIN; DELETE FROM quests_questparticipant WHERE quest_id = 5;
		UPDATE quests_quest SET assigned_to_id = NULL, status = 'open' WHERE id = 5; COMMIT`)
	exec1(t, dsn, `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		VALUES ('pending', now(), '33333333-3333-4333-8333-333333333333', 6)`)
	exec1(t, dsn, `UPDATE applications_application SET status = 'approved' WHERE quest_id = 6 AND applicant_id = '33333333-3333-4333-8333-333333333333'`)
	testkit.Eventually(t, 20*time.Second, func() error {
		got := map[string]bool{}
		for _, f := range r.findings(t) {
			got[fmt.Sprint(f.Rule, " ", f.QuestID, " ", f.Cause, " ", f.Origin)] = true
		}
		for _, want := range []string{"missing_participant 5 departed stream", "missing_participant 6 approval_failed stream"} {
			if !got[want] {
				return fmt.Errorf("no %q in %v", want, got)
			}
		}
		return nil
	})
	exec1(t, dsn, `INSERT INTO quests_questparticipant (status, joined_at, progress_notes, quest_id, user_id)
		VALUES ('joined', now(), '', 6, '33333333-3333-4333-8333-333333333333')`)
	testkit.Eventually(t, 20*time.Second, func() error {
		resolved := []int64{}
		for _, f := range r.findings(t) {
			if f.resolved {
				resolved = append(resolved, f.QuestID)
			}
		}
		if len(resolved) != 1 || resolved[0] != 6 {
			return fmt.Errorf("resolved: %v", resolved)
		}
		return nil
	})
	r.verify(t)
}
