package rule_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// genQuest draws quests on both sides of the size from which rows are indexed.
func genQuest() *rapid.Generator[*quest.Quest] {
	return rapid.Custom(func(t *rapid.T) *quest.Quest {
		rows := rapid.SampledFrom([]int{3, 3, 3, 8, 40, 200}).Draw(t, "rows")
		people := rapid.IntRange(1, max(2, rows)).Draw(t, "people")
		user := rapid.Map(rapid.IntRange(1, people), func(n int) quest.User { return quest.User(n) })
		q := &quest.Quest{
			ID: 1, Exists: rapid.IntRange(0, 9).Draw(t, "exists") > 0, Deleted: rapid.IntRange(0, 9).Draw(t, "deleted") == 0,
			Status: quest.Status(rapid.IntRange(0, 3).Draw(t, "status")),
		}
		if rapid.Bool().Draw(t, "assigned") {
			q.Assigned = user.Draw(t, "assignee")
			q.Handed = rapid.Bool().Draw(t, "handed")
			if !q.TakesPart(q.Assigned) && rapid.Bool().Draw(t, "left") {
				q.Left = 4
			}
		} else if rapid.Bool().Draw(t, "released") {
			q.Released = 5
		}
		for i := range rapid.IntRange(0, rows).Draw(t, "applications") {
			a := quest.Application{ID: int64(10 * i), User: user.Draw(t, "applicant"), Status: quest.ApplicationStatus(rapid.IntRange(0, 4).Draw(t, "status"))}
			switch seen := rapid.Bool().Draw(t, "seen"); {
			case a.Status == quest.Approved && seen:
				a.Approved = change.LSN(i + 1)
			case a.Status != quest.Approved:
				a.Revoked = seen
			}
			q.Applications = append(q.Applications, a)
		}
		for i := range rapid.IntRange(0, rows).Draw(t, "participants") {
			q.Participants = append(q.Participants, quest.Participant{
				ID: int64(7 * i), User: user.Draw(t, "user"), Status: quest.ParticipantStatus(rapid.IntRange(0, 4).Draw(t, "status")),
				Joined: rapid.Int64Range(0, 5).Draw(t, "joined"), Direct: rapid.Bool().Draw(t, "direct"), Withdrawn: rapid.Bool().Draw(t, "withdrawn"),
			})
		}
		for u := range people {
			if u := quest.User(u + 1); !q.HasParticipant(u) && rapid.IntRange(0, 3).Draw(t, "departed") == 0 {
				q.Departures = append(q.Departures, quest.Departure{User: u, At: 3})
			}
		}
		return q
	})
}

// naive is Judge written down row by row and pair by pair.
func naive(q *quest.Quest) (all []rule.Violation) {
	if q.Deleted {
		return nil
	}
	if !q.Exists {
		return naiveDangling(q)
	}
	all = append(all, naiveMissing(q)...)
	all = append(all, naiveOrphans(q)...)
	var actives []int64
	var first *quest.Participant
	for i, p := range q.Participants {
		if p.Status != quest.Dropped {
			actives = append(actives, p.ID)
			if first == nil || p.Joined < first.Joined {
				first = &q.Participants[i]
			}
		}
	}
	cause := func(c rule.Cause) rule.Cause {
		if q.Released != 0 {
			return rule.Released
		}
		return c
	}
	if len(actives) > 0 && q.Status == quest.Open {
		all = append(all, rule.Violation{Rule: rule.OpenWithParticipants, Cause: cause(rule.StatusLost), Participants: actives})
	}
	if len(actives) > 0 && q.Assigned == 0 {
		all = append(all, rule.Violation{
			Rule: rule.Unassigned, Cause: cause(rule.AssignmentLost), Participants: actives, Suggested: first.User,
		})
	}
	all = append(all, naiveDuplicates(q)...)
	if q.Assigned != 0 && participants(q, q.Assigned, true) == nil {
		cause := rule.Unknown
		if participants(q, q.Assigned, false) != nil {
			cause = rule.AssigneeLeft
		}
		if q.Handed {
			cause = rule.NeverJoined
		}
		if q.Left != 0 {
			cause = rule.AssigneeLeft
		}
		all = append(all, rule.Violation{Rule: rule.AssigneeNotParticipant, Cause: cause, User: q.Assigned})
	}
	if q.Status == quest.InProgress && len(actives) == 0 {
		all = append(all, rule.Violation{Rule: rule.IdleInProgress, Cause: rule.Idle})
	}
	for i, a := range q.Applications {
		rows := participants(q, a.User, false)
		if a.Status != quest.Approved || rows == nil || participants(q, a.User, true) != nil || earlier(q.Applications[:i], a.User) {
			continue
		}
		v := rule.Violation{Rule: rule.ApprovedButDropped, Cause: rule.DroppedOut, User: a.User, Participants: rows}
		for _, b := range q.Applications {
			if b.User == a.User && b.Status == quest.Approved {
				v.Application = b.ID
			}
		}
		all = append(all, v)
	}
	var atWork []int64
	for _, p := range q.Participants {
		if p.Status == quest.Joined || p.Status == quest.Working {
			atWork = append(atWork, p.ID)
		}
	}
	if q.Status == quest.Completed && atWork != nil {
		all = append(all, rule.Violation{Rule: rule.ActiveAfterCompletion, Cause: rule.Unfinished, Participants: atWork})
	}
	return all
}

func naiveDangling(q *quest.Quest) []rule.Violation {
	v := rule.Violation{Rule: rule.DanglingReference, Cause: rule.QuestMissing}
	for _, a := range q.Applications {
		v.Applications = append(v.Applications, a.ID)
	}
	for _, p := range q.Participants {
		v.Participants = append(v.Participants, p.ID)
	}
	if v.Applications == nil && v.Participants == nil {
		return nil
	}
	return []rule.Violation{v}
}

func naiveMissing(q *quest.Quest) (all []rule.Violation) {
	for i, a := range q.Applications {
		if a.Status != quest.Approved || earlier(q.Applications[:i], a.User) || participants(q, a.User, false) != nil {
			continue
		}
		v := rule.Violation{Rule: rule.MissingParticipant, Cause: rule.Unknown, User: a.User, Suggested: a.User}
		for _, b := range q.Applications {
			if b.User == a.User && b.Status == quest.Approved {
				v.Application = b.ID
				if b.Approved != 0 {
					v.Cause = rule.ApprovalFailed
				}
			}
		}
		for _, d := range q.Departures {
			if d.User == a.User {
				v.Cause = rule.Departed
			}
		}
		all = append(all, v)
	}
	return all
}

func earlier(apps []quest.Application, u quest.User) bool {
	return slices.ContainsFunc(apps, func(a quest.Application) bool { return a.User == u && a.Status == quest.Approved })
}

func participants(q *quest.Quest, u quest.User, activeOnly bool) (ids []int64) {
	for _, p := range q.Participants {
		if p.User == u && (!activeOnly || p.Status != quest.Dropped) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func naiveOrphans(q *quest.Quest) (all []rule.Violation) {
	for _, p := range q.Participants {
		ids := participants(q, p.User, true)
		if len(ids) == 0 || ids[0] != p.ID || earlier(q.Applications, p.User) {
			continue
		}
		applied, revoked := false, false
		for _, a := range q.Applications {
			applied = applied || a.User == p.User
			revoked = revoked || a.User == p.User && a.Revoked
		}
		cause := rule.Unknown
		switch {
		case p.Withdrawn:
			cause = rule.Revoked
		case !applied, !revoked && p.Direct:
			cause = rule.DirectJoin
		case revoked:
			cause = rule.Revoked
		}
		all = append(all, rule.Violation{Rule: rule.OrphanParticipant, Cause: cause, User: p.User, Participants: ids})
	}
	return all
}

// naiveDuplicates lists pairs in the order in which they became double.
func naiveDuplicates(q *quest.Quest) (all []rule.Violation) {
	for i, p := range q.Participants {
		before := 0
		for _, other := range q.Participants[:i] {
			if other.User == p.User {
				before++
			}
		}
		if before == 1 {
			all = append(all, rule.Violation{
				Rule: rule.DuplicateParticipant, Cause: rule.Duplicated, User: p.User, Participants: participants(q, p.User, false),
			})
		}
	}
	return all
}

// phases are the five of the original audit, transcribed from its description.
func phases(q *quest.Quest) (all []rule.Violation) {
	for _, a := range q.Applications { // 1: per approved application, no row of any status
		if a.Status == quest.Approved && participants(q, a.User, false) == nil {
			all = append(all, rule.Violation{Rule: rule.MissingParticipant, User: a.User, Application: a.ID, Suggested: a.User})
		}
	}
	for _, p := range q.Participants { // 2: per participant row of any status
		if !earlier(q.Applications, p.User) {
			all = append(all, rule.Violation{Rule: rule.OrphanParticipant, User: p.User, Participants: []int64{p.ID}})
		}
	}
	var working []quest.Participant
	var ids []int64
	for _, p := range q.Participants {
		if p.Status != quest.Dropped {
			working, ids = append(working, p), append(ids, p.ID)
		}
	}
	if q.Status == quest.Open && len(working) > 0 { // 3
		all = append(all, rule.Violation{Rule: rule.OpenWithParticipants, Participants: ids})
	}
	if q.Assigned == 0 && len(working) > 0 { // 4: the earliest joined_at
		slices.SortStableFunc(working, func(a, b quest.Participant) int { return int(a.Joined - b.Joined) })
		all = append(all, rule.Violation{Rule: rule.Unassigned, Participants: ids, Suggested: working[0].User})
	}
	for i := range all {
		all[i].Cause = rule.Unknown
	}
	all = append(all, naiveDuplicates(q)...) // 5
	for i := range all {
		all[i].Severity = rule.SeverityOf(all[i].Rule, all[i].Cause)
	}
	return all
}

func TestJudgeAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := genQuest().Draw(t, "quest")
		before := []rule.Violation{{Rule: rule.Unassigned, User: 1}}
		got := rule.Judge(slices.Clone(before), q)
		want := naive(q)
		for i := range want {
			want[i].Severity = rule.SeverityOf(want[i].Rule, want[i].Cause)
		}
		if diff := cmp.Diff(append(before, want...), got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("Judge (-naive +got):\n%s", diff)
		}
		if diff := cmp.Diff(phases(q), rule.Original(nil, q), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("Original (-naive +got):\n%s", diff)
		}
		for i := range got {
			if rule.Actual(&got[i]) == "" || rule.Expected(got[i].Rule) == "" {
				t.Fatalf("no words for %+v", got[i])
			}
		}
	})
}
