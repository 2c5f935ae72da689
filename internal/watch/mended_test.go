package watch_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

// site is a database as a checker knows it. What is repaired there comes back through
// the stream.
type site struct {
	*rapid.T
	rules   watch.Rules
	checker *watch.Checker
	seq     change.Seq
	tx      change.Transaction // the last one
	nextID  int64
}

// genSite is a site in any state that a stream can bring it into, drifted or not.
func genSite(t *rapid.T) *site {
	s := &site{T: t, rules: testRules(), nextID: 1 << 30}
	if rapid.Bool().Draw(t, "brought back by itself") {
		if err := s.rules.Repair.Set(rule.ApprovedButDropped, rule.DroppedOut, remedy.ModeAuto); err != nil {
			t.Fatal(err)
		}
	}
	s.checker = watch.NewChecker(s.rules)
	records := genRecords(t)
	until := rapid.IntRange(0, len(records)-1).Draw(t, "until")
	for i, r := range records {
		s.take(r)
		if _, between := s.checker.Snapshot(); i >= until && between && s.checker.Known() {
			break
		}
	}
	s.tx = change.Transaction{ID: 1 << 40, CommitLSN: s.checker.Passed() + 1000, Time: s.checker.Now()}
	return s
}

func (s *site) take(r change.Record) []watch.Found {
	s.seq = r.Seq
	return took(s.T, s.checker, r)
}

func (s *site) control(c change.Control) []watch.Found {
	c.Source = change.Source{DB: "peerquest", Epoch: s.checker.Writer().Epoch}
	data, err := change.AppendControl(nil, &c)
	if err != nil {
		s.Fatal(err)
	}
	return s.take(change.Record{Seq: s.seq + 1, Subject: controlSubject, Data: data})
}

// settle lets the longest grace pass, also of what was committed when the stream lagged
// far behind.
func (s *site) settle() {
	s.tx.Time += 3_600_000
	s.control(change.Control{Kind: change.Progress, LSN: s.tx.CommitLSN + 50, Time: s.tx.Time})
}

// next is an open finding that there is something to be done about: by itself, or by
// somebody who asks for whatever can be had.
func (s *site) next(asked bool) (*drift.Finding, remedy.Proposal) {
	for _, f := range s.checker.Open() {
		p := s.rules.Repair.Propose(s.checker.State().Quest(f.Quest), &f)
		if p.Automatic || asked && p.LeftAlone == "" {
			return &f, p
		}
	}
	return nil, remedy.Proposal{}
}

// repair does what an instance does about a finding, and checks that what comes back
// is what the plan said, and ends the finding.
func (s *site) repair(f *drift.Finding, p *remedy.Proposal, asked bool) {
	before := *s.quest(f.Quest)
	o := remedy.OrderFor(f, p.Action)
	action, writes, err := remedy.Decide(s.caseOf(&before), &o, &s.rules.Policy, s.rules.Repair.Policy(asked))
	if err != nil || action != p.Action || cmp.Diff(p.Writes, writes) != "" {
		s.Fatalf("planned %+v for %+v; under the lock it is %s %+v, %v", p.Plan, f, action, writes, err)
	}
	for i := range writes {
		if writes[i].Kind == remedy.InsertParticipant {
			s.nextID++
			writes[i].Participant = s.nextID
		}
	}
	want := before
	want.Participants = slices.Clone(before.Participants)
	if err := remedy.Apply(writes, &want); err != nil {
		s.Fatal(err)
	}
	found := s.write(&want, writes, &change.Repaired{
		Namespace: "test", Entry: int64(s.seq), Finding: f.ID, Rule: f.Violation.Rule.String(), Cause: string(f.Violation.Cause),
		Action: string(action), QuestID: f.Quest, UserID: f.User, Actor: "us", Automatic: p.Automatic, Violated: o.Violated,
	})
	applied := func(f watch.Found) bool { _, is := f.Event.Data.(event.Repaired); return is }
	ended := func(found watch.Found) bool {
		t := found.Transition
		return t != nil && t.Finding.ID == f.ID && t.What == drift.Resolved && t.Reason == drift.Healed
	}
	if !slices.ContainsFunc(found, applied) || !slices.ContainsFunc(found, ended) {
		s.Fatalf("%+v by %+v: found %+v", f, writes, found)
	}
	s.touched(&before, &want, writes)
}

// quest is a copy: the state uses its own again.
func (s *site) quest(id int64) *quest.Quest {
	q := *s.checker.State().Quest(id)
	q.Applications, q.Participants, q.Departures = slices.Clone(q.Applications), slices.Clone(q.Participants), slices.Clone(q.Departures)
	return &q
}

// caseOf is a quest as a locked database shows it.
func (s *site) caseOf(q *quest.Quest) *remedy.Case {
	c := &remedy.Case{Quest: *q}
	people := []quest.User{q.Assigned}
	for i := range q.Applications {
		people = append(people, q.Applications[i].User)
	}
	for i := range q.Participants {
		people = append(people, q.Participants[i].User)
	}
	for u := range slices.Max(people) + 1 {
		c.People = append(c.People, remedy.Person{ID: s.checker.State().Users().Text(u)})
	}
	// Rows have no history.
	c.Quest.Departures, c.Quest.Released, c.Quest.Left, c.Quest.Handed = nil, 0, 0, false
	c.Quest.Applications, c.Quest.Participants = slices.Clone(q.Applications), slices.Clone(q.Participants)
	for i := range c.Quest.Applications {
		a := &c.Quest.Applications[i]
		*a = quest.Application{ID: a.ID, User: a.User, Status: a.Status}
	}
	for i := range c.Quest.Participants {
		p := &c.Quest.Participants[i]
		*p = quest.Participant{ID: p.ID, User: p.User, Status: p.Status, Joined: p.Joined}
	}
	return c
}

// write publishes the transaction of a repair.
func (s *site) write(q *quest.Quest, writes []remedy.Write, says *change.Repaired) (found []watch.Found) {
	id := func(u quest.User) string { return s.checker.State().Users().Text(u) }
	s.tx.ID, s.tx.CommitLSN, s.tx.Time = s.tx.ID+1, s.tx.CommitLSN+100, s.tx.Time+10
	tx := s.tx
	var changes []change.Change
	ofQuest := false
	for _, w := range writes {
		row := change.Change{Entity: change.Participant, Op: change.Create, After: pair{id(w.User), "joined"}.row(change.Participant, w.Participant)}
		switch w.Kind {
		case remedy.InsertParticipant:
			changes = append(changes, row)
		case remedy.ReactivateParticipant:
			row.Op = change.Update
			changes = append(changes, row)
		default:
			ofQuest = true
		}
	}
	if ofQuest {
		status := map[quest.Status]string{quest.Open: "open", quest.InProgress: "in-progress", quest.Completed: "completed"}[q.Status]
		t := tables{status: status, assigned: id(q.Assigned)}
		changes = append(changes, change.Change{Entity: change.Quest, Op: change.Update, After: t.row(q.ID)})
	}
	tx.Message = 1
	found = append(found, s.take(change.Record{
		Seq: s.seq + 1, Subject: fmt.Sprintf("test.cdc.%d.%d", partOfQuest(q.ID), q.ID),
		Data: change.AppendStep(nil, &change.Step{
			QuestID: q.ID, Transaction: tx, Changes: changes, Source: change.Source{DB: "peerquest", Epoch: s.checker.Writer().Epoch},
		}),
	})...)
	note := tx
	note.Message = 2
	found = append(found, s.control(change.Control{Kind: change.Message, Transaction: &note, Prefix: change.RepairPrefix, Content: says.Encode()})...)
	tx.Message, tx.EndLSN = 3, tx.CommitLSN+48
	return append(found, s.control(change.Control{Kind: change.TxEnd, Transaction: &tx})...)
}

// rows compares quests by what the database has of them.
var rows = cmp.Options{
	cmpopts.IgnoreFields(quest.Quest{}, "Departures", "Released", "Left", "Handed"),
	cmpopts.IgnoreFields(quest.Application{}, "Approved", "ApprovedAt", "Revoked", "Met"),
	cmpopts.IgnoreFields(quest.Participant{}, "Joined", "Direct", "Withdrawn"),
	cmpopts.EquateEmpty(),
}

// touched checks that a repair wrote what it may write and nothing else.
func (s *site) touched(before, want *quest.Quest, writes []remedy.Write) {
	after := s.checker.State().Quest(before.ID)
	if diff := cmp.Diff(want, after, rows); diff != "" {
		s.Fatalf("quest %d after %+v (-want +got):\n%s", before.ID, writes, diff)
	}
	if diff := cmp.Diff(before.Applications, after.Applications, rows); diff != "" {
		s.Fatalf("applications (-before +after):\n%s", diff)
	}
	for _, w := range writes {
		switch w.Kind {
		case remedy.InsertParticipant, remedy.ReactivateParticipant:
			if !before.HasApproved(w.User) || before.TakesPart(w.User) || before.Departed(w.User) {
				s.Fatalf("%+v in %+v", w, before)
			}
		case remedy.SetAssignee:
			if before.TakesPart(before.Assigned) || !after.TakesPart(w.Assign) {
				s.Fatalf("%+v displaces somebody in %+v", w, before)
			}
		case remedy.SetStatus:
			if w.WasStatus != quest.Open || w.Status != quest.InProgress {
				s.Fatalf("%+v", w)
			}
		}
	}
}

// all are the site's quests, by id.
func (s *site) all() map[int64]*quest.Quest {
	all := map[int64]*quest.Quest{}
	for _, id := range s.checker.State().IDs() {
		all[id] = s.quest(id)
	}
	return all
}

// about are the open findings by what they are about.
func (s *site) about() map[string]rule.Rule {
	all := map[string]rule.Rule{}
	for _, f := range s.checker.Open() {
		all[keyOf(f.Quest, f.Violation.Rule, f.User)] = f.Violation.Rule
	}
	return all
}

// TestRepairsEnd: whatever has gone wrong, when all that can be repaired is repaired,
// automatically or on request, nothing is left that can be, nothing else was touched,
// and nothing new is wrong.
func TestRepairsEnd(t *testing.T) {
	done := map[remedy.Action]int{}
	rapid.Check(t, func(t *rapid.T) {
		s, asked := genSite(t), rapid.Bool().Draw(t, "asked for")
		if !s.checker.Known() {
			return
		}
		s.settle()
		quests, findings := s.all(), s.about()
		repaired := map[int64]bool{}
		for n := 0; ; n++ {
			f, p := s.next(asked)
			if f == nil {
				break
			}
			if n > 2*len(findings) {
				t.Fatalf("no end after %d repairs: %+v by %+v", n, f, p)
			}
			s.repair(f, &p, asked)
			repaired[f.Quest] = true
			done[p.Action]++
			s.settle()
		}
		for id, q := range s.all() {
			if diff := cmp.Diff(quests[id], q, cmpopts.EquateEmpty()); diff != "" && !repaired[id] {
				t.Fatalf("quest %d was touched:\n%s", id, diff)
			}
		}
		for what, of := range s.about() {
			if _, was := findings[what]; !was && (of != rule.ActiveAfterCompletion || !asked) {
				t.Fatalf("new is %s", what)
			}
		}
	})
	if got := slices.Sorted(maps.Keys(done)); len(got) != 4 {
		t.Errorf("done is %v", done)
	}
	t.Logf("%v", done)
}
