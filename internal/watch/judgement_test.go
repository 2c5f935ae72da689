package watch_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit/chronicle"
	"github.com/peerquest/questwatch/internal/watch"
)

var (
	judgedWorkflows = flag.Int("judgement.workflows", 5000, "how many workflows each of the tests of the judgement lets happen")
	judgedSeed      = flag.Uint64("judgement.seed", 20260701, "what decides what happens")
)

// defaultRules are the rules as they come.
func defaultRules() watch.Rules {
	return watch.Rules{
		Schema: change.PeerQuest(), Statuses: quest.PeerQuest(), Ways: rule.DefaultWays(), Drift: drift.Config{Namespace: "test"},
	}
}

// written is how a chronicle is to be written for some rules.
func written(rules *watch.Rules) chronicle.Config {
	const jitter = 20
	c := chronicle.Config{
		Quests: 60, Lifetime: 12, EpisodeEvery: 10_000, Jitter: jitter,
		Limit: chronicle.Millis(rule.DefaultGrace.Milliseconds()) - jitter - 1,
		Grace: func(name string) chronicle.Millis {
			r, err := rule.Parse(name)
			if err != nil {
				panic(err) // it came from rule.All
			}
			return chronicle.Millis(rules.Drift.Grace(r).Milliseconds())
		},
	}
	for _, r := range rule.All {
		if !rules.Policy.IsOff(r) {
			c.Rules = append(c.Rules, r.String())
		}
	}
	return c
}

// toldOf is what a checker says, in a chronicle's words.
func toldOf(found []watch.Found) (all []chronicle.Told) {
	for i := range found {
		e := &found[i].Event
		told := chronicle.Told{What: e.What, Reason: e.Detail, At: chronicle.Millis(e.Time)}
		switch data := e.Data.(type) {
		case event.Baseline:
			told.Reason, told.Count = "", data.Findings
		case event.Approval:
			told.Finding = chronicle.Finding{Severity: data.Severity.String(), Quest: data.QuestID, User: data.UserID}
		case event.Regression:
			told.Finding = chronicle.Finding{Severity: data.Severity.String(), Quest: data.QuestID}
		case event.Finding:
			told.Reason, told.Finding = string(data.Reason), findingOf(&found[i].Transition.Finding)
		default:
			continue // what the stream itself met with
		}
		all = append(all, told)
	}
	return all
}

func findingOf(f *drift.Finding) chronicle.Finding {
	return chronicle.Finding{
		Rule: f.Violation.Rule.String(), Cause: string(f.Violation.Cause), Severity: f.Violation.Severity.String(),
		Quest: f.Quest, User: f.User, FromBaseline: f.Where.Origin == drift.FromBaseline, XID: f.Where.Transaction.ID,
		CommitLSN: uint64(f.Where.Transaction.CommitLSN), Epoch: f.Where.Epoch,
		Since: chronicle.Millis(f.Since), Due: chronicle.Millis(f.Due),
	}
}

// verdict is what became of what a checker had to find. Findings and what approvals and statuses are told of count
// alike.
type verdict struct {
	expected, found, missed, wrongCause, falseAlarms int
	otherwise                                        int // at another time, or ended otherwise
}

// compare holds what was told after a message against what had to be.
func (v *verdict) compare(want, got []chronicle.Told) (differs bool) {
	for _, w := range want {
		if w.What != "resolved" && w.What != "baseline" {
			v.expected++
		}
		switch i := slices.IndexFunc(got, func(g chronicle.Told) bool { return about(g) == about(w) }); {
		case i < 0 && w.What == "resolved":
			v.otherwise++
		case i < 0:
			v.missed++
		case got[i] == w:
			if w.What != "resolved" && w.What != "baseline" {
				v.found++
			}
			continue
		case got[i].Finding.Cause != w.Finding.Cause || got[i].Reason != w.Reason || got[i].Finding.Severity != w.Finding.Severity:
			v.wrongCause++
		default:
			v.otherwise++
		}
		differs = true
	}
	for _, g := range got {
		if !slices.ContainsFunc(want, func(w chronicle.Told) bool { return about(g) == about(w) }) {
			differs = true
			if alarms(g) {
				v.falseAlarms++
			} else {
				v.otherwise++
			}
		}
	}
	return differs
}

// about is what something told is about.
func about(t chronicle.Told) chronicle.Told {
	return chronicle.Told{What: t.What, Finding: chronicle.Finding{Rule: t.Finding.Rule, Quest: t.Finding.Quest, User: t.Finding.User}}
}

// alarms reports whether somebody is called.
func alarms(t chronicle.Told) bool {
	return t.What != "resolved" && (t.Finding.Severity == "warning" || t.Finding.Severity == "critical")
}

// judged plays a chronicle to a checker and compares what it says after each message. It stops soon after the first
// difference, and returns it with what happened to its quest.
func judged(seed uint64, rules watch.Rules, c chronicle.Config, hear func(chronicle.Told)) (chronicle.Tally, verdict, error) {
	dice := func() chronicle.Dice { return rand.New(rand.NewPCG(seed, 1)) }
	checker := watch.NewChecker(rules)
	var v verdict
	var first error
	seq := change.Seq(0)
	tally, err := chronicle.Play(dice(), c, func(m *chronicle.Message, want []chronicle.Told) error {
		seq++
		found, err := checker.Take(wire(seq, m))
		if err != nil {
			return err
		}
		got := toldOf(found)
		if differs := v.compare(want, got); differs && first == nil {
			first = fmt.Errorf("message %d (-want +got):\n%s%s", seq, gocmp.Diff(inOrder(want), inOrder(got)),
				happened(dice(), c, seq, strangers(want, got)))
		}
		for _, t := range got {
			hear(t)
		}
		if v.missed+v.wrongCause+v.falseAlarms+v.otherwise > 1000 {
			return first
		}
		return nil
	})
	return tally, v, cmp.Or(first, err)
}

func inOrder(told []chronicle.Told) []chronicle.Told {
	return slices.SortedFunc(slices.Values(told), func(a, b chronicle.Told) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

// strangers are the quests of what one side says and the other does not.
func strangers(want, got []chronicle.Told) (quests []int64) {
	for _, t := range slices.Concat(want, got) {
		if !slices.Contains(want, t) || !slices.Contains(got, t) {
			quests = append(quests, t.Finding.Quest)
		}
	}
	return quests
}

// happened plays a chronicle again, and tells what happened to the first of some quests.
func happened(dice chronicle.Dice, c chronicle.Config, until change.Seq, quests []int64) string {
	var text strings.Builder
	seq := change.Seq(0)
	_, err := chronicle.Play(dice, c, func(m *chronicle.Message, _ []chronicle.Told) error {
		if seq++; seq > until {
			return errEnough
		}
		r := wire(seq, m)
		between := m.Kind == chronicle.Epoch || m.Kind == chronicle.Gap || m.Kind == chronicle.BaselineEnd || m.Kind == chronicle.Truncate
		if m.Quest == quests[0] || seq == until || between {
			fmt.Fprintf(&text, "%d %s\n", seq, r.Data)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err.Error()
	}
	return text.String()
}

var errEnough = errors.New("enough")

// TestCorrectBehaviour: nobody is called for what people do in the ordinary course, however it is written, and
// whatever happens to the stream meanwhile.
func TestCorrectBehaviour(t *testing.T) {
	rules := defaultRules()
	c := written(&rules)
	c.Workflows = *judgedWorkflows
	tally, v, err := judged(*judgedSeed, rules, c, func(told chronicle.Told) {
		if alarms(told) {
			t.Errorf("false alarm: %+v", told)
		}
	})
	if err != nil {
		t.Error(err)
	}
	report("correct", &tally, &v)
	if tally.Begun < c.Workflows {
		t.Errorf("%d workflows", tally.Begun)
	}
	checkAll(t, tally.Workflows, chronicle.Ordinary())
	checkAll(t, tally.Episodes, chronicle.Episodes())
}

// TestIncorrectBehaviour: what goes wrong is found as what it is, by what began it, when it is due.
func TestIncorrectBehaviour(t *testing.T) {
	rules := defaultRules()
	c := written(&rules)
	c.Workflows, c.Faults = *judgedWorkflows, true
	tally, v, err := judged(*judgedSeed, rules, c, func(chronicle.Told) {})
	if err != nil {
		t.Error(err)
	}
	report("incorrect", &tally, &v)
	checkAll(t, tally.Workflows, chronicle.Faults())
	checkAll(t, tally.Episodes, chronicle.Episodes())
	var outcomes []string
	for _, o := range rule.Outcomes {
		outcomes = append(outcomes, fmt.Sprintf("%s %s %s", o.Rule, o.Cause, o.Severity))
	}
	checkAll(t, tally.Told, append(outcomes,
		"failed silent critical", "failed reverted warning", "failed reported warning", "reset late info", "reset fulfilled info",
		"regressed in_progress_to_open info", "regressed completed_to_in_progress warning", "regressed completed_to_open warning"))
}

// checkAll checks that a run had everything in it that it is there for.
func checkAll(t *testing.T, had map[string]int, names []string) {
	t.Helper()
	for _, name := range names {
		if had[name] == 0 {
			t.Errorf("there was no %q", name)
		}
	}
	t.Logf("%v", had)
}

// report prints a line of the table that scripts/soak shows.
func report(name string, tally *chronicle.Tally, v *verdict) {
	w := tabwriter.NewWriter(os.Stdout, 12, 0, 1, ' ', tabwriter.AlignRight)
	e := tally.Episodes
	fmt.Fprintln(w, "behaviour\tworkflows\ttransactions\trestarts\tlags\tbaselines\texpected\tfound\tmissed\twrong cause\totherwise\tfalse alarms\t")
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, tally.Begun, tally.Transactions,
		e["restart"]+e["restart inside"], e["lag"], e["baseline"]+e["gap"],
		v.expected, v.found, v.missed, v.wrongCause, v.otherwise, v.falseAlarms)
	_ = w.Flush() // to standard output
}
