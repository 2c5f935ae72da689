package quest_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// TestCompareAgreesWithDigest: two quests differ in a row's value exactly when their
// texts do.
func TestCompareAgreesWithDigest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := drawQuest(t, 5)
		other := clone(base)
		if rapid.Bool().Draw(t, "damage") {
			damage(t, other)
		}
		// People are numbered otherwise on the two sides.
		known, users := quest.NewUsers(), quest.NewUsers()
		for i := range people {
			known.Intern([]byte(people[i]))
			users.Intern([]byte(people[len(people)-1-i]))
		}
		for i := range other.Applications {
			other.Applications[i].User = renumber(other.Applications[i].User)
		}
		for i := range other.Participants {
			other.Participants[i].User = renumber(other.Participants[i].User)
		}
		other.Assigned = renumber(other.Assigned)
		found := quest.Compare(5, base, known, other, users)
		if same := digest(base, known) == digest(other, users); same != (len(found) == 0) {
			t.Fatalf("the digests are the same: %v; the differences are %v", same, found)
		}
		for _, d := range found {
			if strings.Contains(d.String(), "secret") {
				t.Fatalf("%s shows what somebody wrote", d)
			}
		}
	})
}

// renumber is a person's number in the table that has them in reverse.
func renumber(u quest.User) quest.User {
	if u == 0 {
		return 0
	}
	return quest.User(len(people)+1) - u
}

func digest(q *quest.Quest, users *quest.Users) (d quest.Digest) {
	var texts quest.Texts
	texts.Add(q, users)
	texts.Digest(&d)
	return d
}

func drawQuest(t *rapid.T, id int64) *quest.Quest {
	user := func() quest.User { return quest.User(rapid.IntRange(1, len(people)).Draw(t, "user")) }
	q := &quest.Quest{ID: id}
	if q.Exists = rapid.Bool().Draw(t, "exists"); q.Exists {
		q.Title = rapid.SampledFrom([]string{"", "secret", "secret naïve\x1f🎉"}).Draw(t, "title")
		q.Status = quest.Status(rapid.IntRange(0, 3).Draw(t, "status"))
		q.Assigned = quest.User(rapid.IntRange(0, len(people)).Draw(t, "assigned"))
		q.Deleted = rapid.Bool().Draw(t, "deleted")
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "applications") {
		q.Applications = append(q.Applications, quest.Application{ID: int64(3*i + 1), User: user(), Status: quest.ApplicationStatus(rapid.IntRange(0, 4).Draw(t, "status"))})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "participants") {
		q.Participants = append(q.Participants, quest.Participant{
			ID: int64(3*i + 2), User: user(), Status: quest.ParticipantStatus(rapid.IntRange(0, 4).Draw(t, "status")), Joined: rapid.Int64().Draw(t, "joined"),
		})
	}
	return q
}

func clone(q *quest.Quest) *quest.Quest {
	c := *q
	c.Applications, c.Participants = slices.Clone(q.Applications), slices.Clone(q.Participants)
	return &c
}

// damage changes something, perhaps to what it was.
func damage(t *rapid.T, q *quest.Quest) {
	from := drawQuest(t, q.ID)
	switch rapid.IntRange(0, 7).Draw(t, "what") {
	case 0:
		q.Title = from.Title
	case 1:
		q.Status = from.Status
	case 2:
		q.Assigned = from.Assigned
	case 3:
		q.Deleted = from.Deleted
	case 4:
		q.Applications = from.Applications
	case 5:
		q.Participants = from.Participants
	case 6:
		*q = *from
	case 7:
		if len(q.Participants) > 0 {
			q.Participants[0].Joined++
		}
	}
	if !q.Exists {
		q.Title, q.Status, q.Assigned, q.Deleted = "", 0, 0, false
	}
}

// TestCompareSays: each difference is named once, and a row that is not there as
// such.
func TestCompareSays(t *testing.T) {
	users := quest.NewUsers()
	ann, bob := users.Intern([]byte("ann")), users.Intern([]byte("bob"))
	whole := func() *quest.Quest {
		return &quest.Quest{
			ID: 9, Exists: true, Title: "t", Status: quest.InProgress, Assigned: ann,
			Applications: []quest.Application{{ID: 1, User: ann, Status: quest.Approved}, {ID: 3, User: bob, Status: quest.Kicked}},
			Participants: []quest.Participant{{ID: 2, User: ann, Status: quest.Joined, Joined: 5}},
		}
	}
	for want, change := range map[string]func(q *quest.Quest){
		"":                      func(*quest.Quest) {},
		"quest 9 title differs": func(q *quest.Quest) { q.Title = "x" },
		"quest 9 status: in_progress in the database, other in the state":      func(q *quest.Quest) { q.Status = quest.Other },
		"quest 9 assigned: ann in the database, nothing in the state":          func(q *quest.Quest) { q.Assigned = 0 },
		"quest 9 deleted: false in the database, true in the state":            func(q *quest.Quest) { q.Deleted = true },
		"quest 9 row: present in the database, absent in the state":            func(q *quest.Quest) { q.Exists = false },
		"application 1 row: present in the database, absent in the state":      func(q *quest.Quest) { q.Applications = q.Applications[1:] },
		"application 4 row: absent in the database, present in the state":      func(q *quest.Quest) { q.Applications = append(q.Applications, quest.Application{ID: 4}) },
		"application 3 user: bob in the database, ann in the state":            func(q *quest.Quest) { q.Applications[1].User = ann },
		"application 3 status: kicked in the database, pending in the state":   func(q *quest.Quest) { q.Applications[1].Status = quest.Pending },
		"participant 2 status: joined in the database, completed in the state": func(q *quest.Quest) { q.Participants[0].Status = quest.Finished },
		"participant 2 joined: 5 in the database, 6 in the state":              func(q *quest.Quest) { q.Participants[0].Joined = 6 },
	} {
		state := whole()
		change(state)
		var texts []string
		for _, d := range quest.Compare(9, whole(), users, state, users) {
			texts = append(texts, d.String())
		}
		if got := strings.Join(texts, "\n"); got != want {
			t.Errorf("differences are %q, want %q", got, want)
		}
	}
	if got := quest.Compare(9, nil, users, nil, users); len(got) > 0 {
		t.Errorf("nothing differs from nothing: %v", got)
	}
	if got := quest.Compare(9, nil, users, whole(), users); len(got) != 4 {
		t.Errorf("4 rows are not in the database: %v", got)
	}
	long := whole()
	long.Title = strings.Repeat("x", 1<<20)
	if got := quest.Compare(9, long, users, whole(), users); len(got) > 0 {
		t.Errorf("a title that is too large to be streamed: %v", got)
	}
}

// TestSnapshotReads: a snapshot is read while the state goes on, and is what the
// state was.
func TestSnapshotReads(t *testing.T) {
	state := quest.NewState(change.PeerQuest(), quest.PeerQuest())
	apply := func(id int64, op change.Op, user string) {
		t.Helper()
		row := change.CloseRow(change.AppendText(change.AppendText(change.AppendValue(nil, "id", []byte("1")), "status", "pending"), "applicant_id", user))
		c := change.Change{Op: op, Entity: change.Application, After: row}
		if op == change.Delete {
			c.Before, c.After = row, nil
		}
		if _, err := state.Apply(&change.Step{QuestID: id, Transaction: change.Transaction{ID: 1, CommitLSN: 1}, Changes: []change.Change{c}}); err != nil {
			t.Fatal(err)
		}
	}
	for id := range int64(1000) {
		apply(id-500, change.Create, "ann")
	}
	p := state.Snapshot()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var q quest.Quest
		ids := p.IDs()
		if len(ids) != 1000 || ids[0] != -500 || ids[999] != 499 || !slices.IsSorted(ids) {
			t.Errorf("%d ids", len(ids))
		}
		for _, id := range ids {
			if !p.Quest(id, &q) || q.ID != id || len(q.Applications) != 1 || p.Users().Text(q.Applications[0].User) != "ann" {
				t.Errorf("quest %d is %+v", id, q)
			}
		}
		if p.Quest(5000, &q) {
			t.Errorf("quest 5000 is %+v", q)
		}
	}()
	for id := range int64(1000) {
		apply(id-500, change.Update, "bob")
		apply(id+5000, change.Create, "bob")
		apply(id-499, change.Delete, "bob")
	}
	<-ended
}
