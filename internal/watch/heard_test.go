package watch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

// repairOf is what a repair says of its transaction.
func repairOf(quest, entry int64) string {
	r := change.Repaired{
		Namespace: "test", Entry: entry, Finding: "f", Rule: "missing_participant", Cause: "approval_failed", Action: "create_participant",
		QuestID: quest, UserID: "ann", Actor: "us", Automatic: true, Violated: 1_782_912_000_000,
	}
	return r.Encode()
}

// inShort gives a story to a checker and says what it found, by subject.
func inShort(t *testing.T, c *watch.Checker, s *story) (all []string) {
	t.Helper()
	for _, r := range s.records {
		found, err := c.Take(r)
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			text := strings.TrimPrefix(found[i].Event.Subject("test"), "test.events.")
			switch data := found[i].Event.Data.(type) {
			case event.Planned:
				text += fmt.Sprintf(" %s automatic %t", data.Action, data.Automatic)
			case event.Repaired:
				text += fmt.Sprintf(" entry %d undoes %d", data.Entry, data.Undoes)
				if data.AfterCommitMS != nil {
					text += fmt.Sprintf(" after %d ms", *data.AfterCommitMS)
				}
			}
			all = append(all, text)
			encode(t, &found[i])
		}
	}
	s.records = nil
	return all
}

// A repair is planned when its finding is opened, told when its transaction says so,
// and what it was for is resolved when that ends. The same with its undoing.
func TestRepairTellsOfItself(t *testing.T) {
	s, c := newStory(), watch.NewChecker(testRules())
	s.commit(s.assign(1, "", "open"))
	s.baseline()
	inShort(t, c, s)
	s.commit(s.setPair(1, change.Application, "ann", "approved", true))
	s.clock += 3000
	s.mark(0)
	want := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, inShort(t, c, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	want("drift.opened.missing_participant.1", "approval.failed.silent.1", "drift.baseline.summary._",
		"repair.planned.missing_participant.1 create_participant automatic true")
	open := c.Open()[0]
	if f, ok := c.Finding(open.ID); !ok || cmp.Diff(open, f) != "" {
		t.Errorf("finding %s is %t %+v", open.ID, ok, f)
	}
	s.clock += 200
	s.commitNoted([]write{s.setPair(1, change.Participant, "ann", "joined", true), s.assign(1, "ann", "in-progress")}, nil, repairOf(1, 12))
	want("repair.applied.missing_participant.1 entry 12 undoes 0 after 3200 ms", "drift.resolved.missing_participant.1")
	if f, ok := c.Finding(open.ID); ok {
		t.Errorf("still open: %+v", f)
	}
	undone := strings.Replace(repairOf(1, 13), `"entry":13`, `"entry":13,"undoes":12`, 1)
	s.commitNoted(append(s.removePair(1, change.Participant, "ann"), s.assign(1, "", "open")), nil, undone)
	want("repair.undone.missing_participant.1 entry 13 undoes 12")
	// Nobody left, and nobody is called for what somebody undid: it can be asked for.
	s.clock += 3000
	s.mark(0)
	want("drift.opened.missing_participant.1", "repair.planned.missing_participant.1 create_participant automatic false")
	if v := c.Open()[0].Violation; v.Cause != rule.Unknown || v.Severity != rule.Warning {
		t.Errorf("found %+v", v)
	}
}

// Nothing is planned where modes are off, of what a baseline showed, and of what is
// never repaired.
func TestNotPlanned(t *testing.T) {
	planned := func(modes remedy.Modes, s *story) (n int) {
		rules := testRules()
		rules.Repair = modes
		for _, text := range inShort(t, watch.NewChecker(rules), s) {
			if strings.HasPrefix(text, "repair.planned.") {
				n++
			}
		}
		return n
	}
	before := func(s *story) *story {
		s.commit(s.assign(1, "", "open"))
		return s
	}
	fails := func(s *story) *story {
		s.commit(s.setPair(1, change.Application, "ann", "approved", true))
		return s
	}
	shown := func(s *story) *story {
		s.baseline()
		return s
	}
	late := func(s *story) *story {
		s.clock += 5000
		s.mark(0)
		return s
	}
	auto := remedy.NewModes(remedy.ModeAuto, true)
	if n := planned(auto, late(fails(shown(before(newStory()))))); n != 1 {
		t.Errorf("planned %d", n)
	}
	if n := planned(remedy.Modes{}, late(fails(shown(before(newStory()))))); n != 0 {
		t.Errorf("switched off: planned %d", n)
	}
	if n := planned(auto, late(shown(fails(before(newStory()))))); n != 0 {
		t.Errorf("of a baseline: planned %d", n)
	}
	s := shown(before(newStory()))
	s.commit(s.setPair(1, change.Participant, "bob", "joined", true), s.assign(1, "bob", "in-progress"))
	if n := planned(auto, late(s)); n != 0 {
		t.Errorf("of a direct join: planned %d", n)
	}
}

// A quest whose status was lost is not repaired by itself any more when somebody has
// released it on purpose since, though the finding is still the same.
func TestReleasedSince(t *testing.T) {
	rules := testRules()
	s, c := newStory(), watch.NewChecker(rules)
	s.commit(s.assign(1, "ann", "in-progress"), s.setPair(1, change.Application, "ann", "approved", true), s.setPair(1, change.Participant, "ann", "joined", true))
	s.baseline()
	s.commit(s.assign(1, "ann", "open"))
	s.clock += 5000
	s.mark(0)
	inShort(t, c, s)
	look := func() (string, remedy.Proposal) {
		f := c.Open()[0]
		return f.ID + " " + string(f.Violation.Cause), rules.Repair.Propose(c.State().Quest(1), &f)
	}
	before, p := look()
	if !p.Automatic || p.Action != remedy.SetInProgress {
		t.Errorf("proposed %+v", p)
	}
	s.commit(s.operate("unassign", 1, "")...)
	inShort(t, c, s)
	if after, p := look(); after != before || p.Automatic || p.Waits == "" || len(p.Writes) == 0 {
		t.Errorf("%s, was %s: proposed %+v", after, before, p)
	}
}

// What a message says of a repair is believed of the transaction that has written to
// the quest before, and of nothing else.
func TestRepairsAreChecked(t *testing.T) {
	good := repairOf(1, 12)
	s, c := newStory(), watch.NewChecker(testRules())
	s.commitNoted([]write{s.assign(1, "", "open")}, nil, good) // nothing is known yet
	s.baseline()
	s.message(change.RepairPrefix, good) // a message alone
	s.commit(s.assign(1, "", "open"))
	s.commitNoted(nil, nil, good)                              // in a transaction of its own
	s.commitNoted([]write{s.assign(2, "", "open")}, nil, good) // of another quest
	refused := 4
	for _, bad := range [][2]string{
		{`"test"`, `"production"`},
		{`"missing_participant"`, `"no_such_rule"`},
		{`"approval_failed"`, `"bad_luck"`},
		{`"create_participant"`, `"delete_participant"`},
		{`"create_participant"`, `"assign_earliest"`},
		{`"entry":12`, `"entry":0`},
		{`"quest_id":1`, `"quest_id":"1"`},
		{`{`, ``},
		{`"actor":"us"`, `"actor":"` + strings.Repeat("x", change.ReportLimit) + `"`},
	} {
		says := strings.Replace(good, bad[0], bad[1], 1)
		if says == good {
			t.Fatalf("%s has no %s", good, bad[0])
		}
		s.commitNoted([]write{s.assign(1, "", "open")}, nil, says)
		refused++
	}
	lsn := s.lsn
	s.commitNoted([]write{s.assign(1, "", "open")}, nil, good)
	told := slices.DeleteFunc(inShort(t, c, s), func(text string) bool { return strings.HasPrefix(text, "stream.") })
	if want := []string{"repair.applied.missing_participant.1 entry 12 undoes 0 after 0 ms"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	if r := c.Refused(); r.Reports != uint64(refused) || r.LSN != lsn || r.Why == "" || strings.Contains(r.Why, "x") {
		t.Errorf("refused %+v, want %d up to %d", r, refused, lsn)
	}
}
