package drift_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// The naive reading of "Time is stream time": everything that happened is kept
// as a list of judgements and marks, and what is told after each is computed
// from the whole list again.

type judgement struct {
	quest int64
	row   *quest.Quest // what the state has of the quest
	where drift.Where
	found map[key]rule.Cause
}

type key struct {
	rule rule.Rule
	user quest.User
}

// happening is a judgement, or a mark when quest is 0.
type happening struct {
	judgement
	mark change.Millis
}

// told is a transition as far as the two sides can be compared.
type told struct {
	What   drift.What
	At     change.Millis
	Quest  int64
	Rule   rule.Rule
	User   string
	Cause  rule.Cause
	Since  change.Millis
	LSN    change.LSN
	Origin drift.Origin
	Reason drift.Reason
}

func graces() map[rule.Rule]time.Duration {
	return map[rule.Rule]time.Duration{rule.OpenWithParticipants: 0, rule.OrphanParticipant: time.Second}
}

func grace(r rule.Rule) change.Millis {
	if g, ok := graces()[r]; ok {
		return change.Millis(g.Milliseconds())
	}
	return 3000
}

type life struct {
	told
	open, gone bool
}

// naive says what is told after each happening.
func naive(all []happening) [][]told {
	now, lives := change.Millis(0), []*life{}
	out := make([][]told, 0, len(all))
	for _, h := range all {
		var after []told
		if h.quest == 0 {
			now = max(now, h.mark)
			for _, l := range lives {
				if due := l.Since + grace(l.Rule); !l.open && !l.gone && due <= now {
					l.open = true
					l.At = due
					after = append(after, l.told)
				}
			}
			slices.SortStableFunc(after, func(a, b told) int {
				return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Quest, b.Quest), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.User, b.User))
			})
			out = append(out, after)
			continue
		}
		at := max(now, h.where.Transaction.Time)
		going := map[key]bool{}
		for _, l := range lives {
			if l.gone || l.Quest != h.quest {
				continue
			}
			k := key{l.Rule, userOf(l.User)}
			cause, still := h.found[k]
			unseen := !l.open && cause != l.Cause && h.where.Origin == drift.FromBaseline
			if still && !unseen && severity(k.rule, cause) <= severity(l.Rule, l.Cause) {
				going[k] = true
				continue
			}
			l.gone = true
			if !l.open {
				continue
			}
			t := l.told
			t.What, t.At, t.Reason = drift.Resolved, max(at, l.At), drift.Healed
			switch {
			case l.Rule != rule.DanglingReference && (h.row == nil || !h.row.Exists || h.row.Deleted):
				t.Reason = drift.QuestGone
			case still:
				t.Reason = drift.CauseChanged
			}
			if h.where.Origin == drift.FromBaseline {
				t.Reason = drift.Restated
			}
			after = append(after, t)
		}
		for _, k := range sortedKeys(h.found) {
			if going[k] {
				continue
			}
			l := &life{told: told{
				What: drift.Opened, Quest: h.quest, Rule: k.rule, User: userText(k.user), Cause: h.found[k],
				Since: at, LSN: h.where.Transaction.CommitLSN, Origin: h.where.Origin,
			}}
			if grace(k.rule) == 0 && h.where.Origin == drift.FromStream {
				l.open, l.At = true, at
				after = append(after, l.told)
			}
			lives = append(lives, l)
		}
		out = append(out, after)
	}
	return out
}

func sortedKeys(m map[key]rule.Cause) (keys []key) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.user, b.user)) })
	return keys
}

func userText(u quest.User) string {
	if u == 0 {
		return ""
	}
	return fmt.Sprintf("u%d", u)
}

func userOf(text string) (u quest.User) {
	if text != "" {
		_, _ = fmt.Sscanf(text, "u%d", &u)
	}
	return u
}

func newUsers() *quest.Users {
	users := quest.NewUsers()
	for u := range quest.User(4) {
		users.Intern([]byte(userText(u + 1)))
	}
	return users
}

// causes are those of each rule.
var causes = func() map[rule.Rule][]rule.Cause {
	all := map[rule.Rule][]rule.Cause{}
	for _, o := range rule.Outcomes {
		all[o.Rule] = append(all[o.Rule], o.Cause)
	}
	return all
}()

func severity(r rule.Rule, c rule.Cause) rule.Severity { return rule.SeverityOf(r, c) }

func genHappenings() *rapid.Generator[[]happening] {
	return rapid.Custom(func(t *rapid.T) (all []happening) {
		clock, lsn := change.Millis(1_000_000), change.LSN(0)
		for range rapid.IntRange(0, 30).Draw(t, "happenings") {
			clock += change.Millis(rapid.IntRange(0, 1500).Draw(t, "passes"))
			if rapid.IntRange(0, 2).Draw(t, "mark") == 0 {
				// Marks may come late, and the same one twice.
				all = append(all, happening{mark: clock - change.Millis(rapid.SampledFrom([]int{0, 0, 0, 700, 5000}).Draw(t, "late"))})
				continue
			}
			lsn += 8
			j := judgement{quest: rapid.Int64Range(1, 2).Draw(t, "quest"), found: map[key]rule.Cause{}}
			j.where = drift.Where{Epoch: 1, Origin: drift.FromStream, Transaction: change.Transaction{
				ID: uint64(lsn), CommitLSN: lsn, Time: clock - change.Millis(rapid.SampledFrom([]int{0, 0, 900}).Draw(t, "skew")),
			}}
			if rapid.IntRange(0, 7).Draw(t, "baseline") == 0 {
				j.where.Origin = drift.FromBaseline
			}
			if rapid.IntRange(0, 5).Draw(t, "gone") == 0 {
				j.row = rapid.SampledFrom(remains(j.quest)).Draw(t, "remains")
				all = append(all, happening{judgement: j})
				continue
			}
			j.row = &quest.Quest{ID: j.quest, Exists: true}
			for range rapid.IntRange(0, 3).Draw(t, "violations") {
				k := key{rule: rapid.SampledFrom(rule.All[:]).Draw(t, "rule")}
				if !ofWholeQuest(k.rule) {
					k.user = quest.User(rapid.IntRange(1, 3).Draw(t, "user"))
				}
				j.found[k] = rapid.SampledFrom(causes[k.rule]).Draw(t, "cause")
			}
			all = append(all, happening{judgement: j})
		}
		return all
	})
}

func ofWholeQuest(r rule.Rule) bool {
	switch r {
	case rule.OpenWithParticipants, rule.Unassigned, rule.IdleInProgress, rule.ActiveAfterCompletion, rule.DanglingReference:
		return true
	}
	return false
}

// remains is what a state can have of a quest that is gone: nothing, children
// without it, or a row marked as deleted. None of them violates a rule.
func remains(id int64) []*quest.Quest {
	return []*quest.Quest{nil, {ID: id}, {ID: id, Exists: true, Deleted: true}}
}

func (j *judgement) violations() (all []rule.Violation) {
	for _, k := range sortedKeys(j.found) {
		all = append(all, rule.Violation{Rule: k.rule, User: k.user, Cause: j.found[k], Severity: severity(k.rule, j.found[k])})
	}
	return all
}

func tell(transitions []drift.Transition) (all []told) {
	for _, t := range transitions {
		f := t.Finding
		all = append(all, told{
			What: t.What, At: t.At, Quest: f.Quest, Rule: f.Violation.Rule, User: f.User, Cause: f.Violation.Cause, Since: f.Since,
			LSN: f.Where.Transaction.CommitLSN, Origin: f.Where.Origin, Reason: t.Reason,
		})
	}
	return all
}

func TestTrackerAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := genHappenings().Draw(t, "happenings")
		want := naive(all)
		tracker := drift.NewTracker(drift.Config{Namespace: "test", Graces: graces()}, newUsers())
		ids := map[string]bool{}
		open := map[string]bool{}
		now := change.Millis(0)
		for i, h := range all {
			var got []drift.Transition
			if h.quest == 0 {
				got = tracker.Mark(nil, h.mark)
			} else {
				got = tracker.Judge(nil, h.quest, h.row, h.violations(), h.where)
			}
			if diff := gocmp.Diff(want[i], tell(got)); diff != "" {
				t.Fatalf("after happening %d (-naive +got):\n%s", i, diff)
			}
			if tracker.Now() < now {
				t.Fatalf("time went back from %d to %d", now, tracker.Now())
			}
			now = tracker.Now()
			check(t, got, ids, open)
			if len(tracker.Open()) != len(open) {
				t.Fatalf("%d are open, told of %d", len(tracker.Open()), len(open))
			}
			byID(t, tracker, ids)
		}
	})
}

// check follows what is told: opened once under an id of its own, resolved only
// while open and not before it was opened.
func check(t *rapid.T, got []drift.Transition, ids, open map[string]bool) {
	for _, tr := range got {
		f := tr.Finding
		if tr.What == drift.Opened {
			if ids[f.ID] || tr.At != f.Due || f.Due != f.Since+grace(f.Violation.Rule) {
				t.Fatalf("opened %+v at %d", f, tr.At)
			}
			ids[f.ID], open[f.ID] = true, true
			continue
		}
		if !open[f.ID] || tr.At < f.Due {
			t.Fatalf("resolved %+v at %d", f, tr.At)
		}
		delete(open, f.ID)
	}
}

// byID checks that just those of the findings can be had by their ids that are open.
func byID(t *rapid.T, tracker *drift.Tracker, ids map[string]bool) {
	open := tracker.Open()
	for id := range ids {
		f, found := tracker.Get(id)
		i := slices.IndexFunc(open, func(o drift.Finding) bool { return o.ID == id })
		if found != (i >= 0) || found && gocmp.Diff(open[i], f) != "" {
			t.Fatalf("finding %s is %t, %+v", id, found, f)
		}
	}
}

// TestBatching: marks in between that open nothing change nothing.
func TestBatching(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := genHappenings().Draw(t, "happenings")
		run := func(dst []drift.Transition, again bool) []drift.Transition {
			tracker := drift.NewTracker(drift.Config{Namespace: "test", Graces: graces()}, newUsers())
			for _, h := range all {
				if h.quest == 0 {
					dst = tracker.Mark(dst, h.mark)
					if again {
						dst = tracker.Mark(dst, h.mark)
						dst = tracker.Mark(dst, h.mark-1)
					}
					continue
				}
				dst = tracker.Judge(dst, h.quest, h.row, h.violations(), h.where)
			}
			return dst
		}
		if diff := gocmp.Diff(run(nil, false), run(nil, true)); diff != "" {
			t.Fatalf("marks given again:\n%s", diff)
		}
	})
}

// TestReasons: what was deleted has not healed; of a baseline only that it does
// not show the finding is known.
func TestReasons(t *testing.T) {
	type way struct {
		row    *quest.Quest
		origin drift.Origin
		want   drift.Reason
	}
	ways := []way{
		{&quest.Quest{ID: 1, Exists: true}, drift.FromStream, drift.Healed},
		{&quest.Quest{ID: 1, Exists: true}, drift.FromBaseline, drift.Restated},
	}
	for _, row := range remains(1) {
		ways = append(ways, way{row, drift.FromStream, drift.QuestGone}, way{row, drift.FromBaseline, drift.Restated})
	}
	for _, w := range ways {
		tracker := drift.NewTracker(drift.Config{}, newUsers())
		tracker.Judge(nil, 1, &quest.Quest{ID: 1, Exists: true}, []rule.Violation{{Rule: rule.Unassigned, Cause: rule.Released}},
			drift.Where{Origin: drift.FromStream})
		tracker.Mark(nil, 3000)
		got := tracker.Judge(nil, 1, w.row, nil, drift.Where{Origin: w.origin})
		if len(got) != 1 || got[0].Reason != w.want {
			t.Errorf("row %+v, %s: %+v, want reason %s", w.row, w.origin, got, w.want)
		}
	}
}

func TestFindingIDs(t *testing.T) {
	seen := map[string]string{}
	for _, namespace := range []string{"a", "b"} {
		for epoch := range uint64(2) {
			for q := range int64(2) {
				for lsn := range change.LSN(2) {
					for r := range rule.Rule(2) {
						for u := range quest.User(2) {
							name := fmt.Sprint(namespace, epoch, q, lsn, r, u)
							for range 2 { // the same again is the same
								tracker := drift.NewTracker(drift.Config{Namespace: namespace}, newUsers())
								w := drift.Where{Epoch: epoch, Origin: drift.FromStream, Transaction: change.Transaction{CommitLSN: lsn}}
								v := []rule.Violation{{Rule: rule.MissingParticipant + r, User: u + 1, Cause: rule.Unknown}}
								tracker.Judge(nil, q, &quest.Quest{ID: q}, v, w)
								opened := tracker.Mark(nil, 3000)
								if len(opened) != 1 || len(opened[0].Finding.ID) != 20 {
									t.Fatalf("%s: %+v", name, opened)
								}
								id := opened[0].Finding.ID
								if was, ok := seen[id]; ok && was != name {
									t.Errorf("%s and %s have one id", was, name)
								}
								seen[id] = name
							}
						}
					}
				}
			}
		}
	}
	if len(seen) != 64 {
		t.Errorf("%d ids for 64 findings", len(seen))
	}
}

func TestSummary(t *testing.T) {
	tracker := drift.NewTracker(drift.Config{Graces: graces()}, newUsers())
	where := drift.Where{Epoch: 2, Origin: drift.FromBaseline, Transaction: change.Transaction{CommitLSN: 9, EndLSN: 10, Time: 1000}}
	stream := drift.Where{Epoch: 2, Origin: drift.FromStream, Transaction: change.Transaction{CommitLSN: 20, Time: 1000}}
	tracker.Judge(nil, 1, &quest.Quest{ID: 1}, []rule.Violation{
		{Rule: rule.OrphanParticipant, User: 1, Cause: rule.DirectJoin, Severity: rule.Info},
		{Rule: rule.OrphanParticipant, User: 2, Cause: rule.Unknown, Severity: rule.Warning},
	}, where)
	tracker.Baselined(where, 7)
	tracker.Judge(nil, 2, &quest.Quest{ID: 2}, []rule.Violation{{Rule: rule.Unassigned, Cause: rule.AssignmentLost}}, stream)
	tracker.Mark(nil, 3999)
	if s := tracker.Summary(); s != nil {
		t.Fatalf("before the longest grace: %+v", s)
	}
	tracker.Mark(nil, 4000)
	want := &drift.Summary{
		Where: where, At: 4000, Quests: 7, ByRule: map[rule.Rule]int{rule.OrphanParticipant: 2},
		BySeverity: map[rule.Severity]int{rule.Info: 1, rule.Warning: 1},
	}
	if diff := gocmp.Diff(want, tracker.Summary()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if s := tracker.Summary(); s != nil {
		t.Errorf("a second time: %+v", s)
	}
}

// A quest may have very many findings; each step judges them all.
func BenchmarkJudgeManyFindings(b *testing.B) {
	const people = 10_000
	users := quest.NewUsers()
	q := &quest.Quest{ID: 1, Exists: true}
	var violations []rule.Violation
	for i := range people {
		violations = append(violations, rule.Violation{
			Rule: rule.MissingParticipant, Cause: rule.Unknown, User: users.Intern(fmt.Appendf(nil, "user %d", i)),
		})
	}
	t := drift.NewTracker(drift.Config{}, users)
	t.Judge(nil, 1, q, violations, drift.Where{Origin: drift.FromStream})
	for b.Loop() {
		t.Judge(nil, 1, q, violations, drift.Where{Origin: drift.FromStream})
	}
}
