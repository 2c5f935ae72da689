package remedy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestExplained compares each kind of plan, in words and as JSON, with its golden file.
func TestExplained(t *testing.T) {
	people := []Person{{}, {ID: "1111", Name: "alice"}, {ID: "2222", Name: "bob"}, {ID: "3333"}}
	who := func(u quest.User) Person { return people[u] }
	approved := quest.Application{ID: 7, User: 1, Status: quest.Approved}
	for name, c := range map[string]struct {
		quest quest.Quest
		v     rule.Violation
	}{
		"create": {
			quest.Quest{Status: quest.Open, Applications: []quest.Application{approved}},
			rule.Violation{Rule: rule.MissingParticipant, Cause: rule.ApprovalFailed, User: 1, Application: 7},
		},
		"create_completed": {
			quest.Quest{
				Status: quest.Completed, Assigned: 2, Applications: []quest.Application{approved},
				Participants: []quest.Participant{{ID: 3, User: 2, Status: quest.Dropped}},
			},
			rule.Violation{Rule: rule.MissingParticipant, Cause: rule.ApprovalFailed, User: 1, Application: 7},
		},
		"in_progress": {
			quest.Quest{Status: quest.Open, Assigned: 2, Participants: []quest.Participant{{ID: 3, User: 2, Status: quest.Joined}}},
			rule.Violation{Rule: rule.OpenWithParticipants, Cause: rule.StatusLost, Participants: []int64{3}},
		},
		"assign": {
			quest.Quest{Status: quest.InProgress, Participants: []quest.Participant{{ID: 3, User: 3, Status: quest.Joined}}},
			rule.Violation{Rule: rule.Unassigned, Cause: rule.AssignmentLost, Participants: []int64{3}},
		},
		"reactivate": {
			quest.Quest{
				Status: quest.Open, Assigned: 1, Applications: []quest.Application{approved},
				Participants: []quest.Participant{{ID: 3, User: 1, Status: quest.Dropped}},
			},
			rule.Violation{Rule: rule.ApprovedButDropped, Cause: rule.DroppedOut, User: 1, Application: 7, Participants: []int64{3}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan, leftAlone := For(&c.quest, &c.v, Policy{IncludeCompleted: true, Reactivate: true})
			if leftAlone != "" {
				t.Fatal(leftAlone)
			}
			e := Explain(&c.quest, &c.v, &plan, who)
			data, err := json.MarshalIndent(e, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got := bytes.Join([][]byte{[]byte(e.Text("")), append(data, '\n')}, []byte("---\n"))
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}
