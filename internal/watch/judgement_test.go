package watch_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit/chronicle"
	"github.com/peerquest/questwatch/internal/watch"
)

// defaultRules are the rules as they come.
func defaultRules() watch.Rules {
	return watch.Rules{Schema: change.PeerQuest(), Statuses: quest.PeerQuest(), Ways: rule.DefaultWays(), Drift: drift.Config{Namespace: "test"}}
}

// written is a chronicle's configuration for some rules.
func written(rules *watch.Rules) chronicle.Config {
	c := chronicle.Config{
		Quests: 60, Lifetime: 12, EpisodeEvery: 20_000, Jitter: 20, Limit: 2979,
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
		told := chronicle.Told{What: found[i].Event.What, Reason: found[i].Event.Detail, At: chronicle.Millis(found[i].Event.Time)}
		switch data := found[i].Event.Data.(type) {
		case event.Baseline:
			all = append(all, chronicle.Told{What: "baseline", At: told.At, Count: data.Findings})
		case event.Approval:
			told.Finding = chronicle.Finding{Severity: data.Severity.String(), Quest: data.QuestID, User: data.UserID}
			all = append(all, told)
		case event.Regression:
			told.Finding = chronicle.Finding{Severity: data.Severity.String(), Quest: data.QuestID}
			all = append(all, told)
		}
		t := found[i].Transition
		if t == nil {
			continue
		}
		f := &t.Finding
		all = append(all, chronicle.Told{What: string(t.What), At: chronicle.Millis(t.At), Reason: string(t.Reason), Finding: chronicle.Finding{
			Rule: f.Violation.Rule.String(), Cause: string(f.Violation.Cause), Severity: f.Violation.Severity.String(),
			Quest: f.Quest, User: f.User, FromBaseline: f.Where.Origin == drift.FromBaseline, XID: f.Where.Transaction.ID,
			CommitLSN: uint64(f.Where.Transaction.CommitLSN), Epoch: f.Where.Epoch,
			Since: chronicle.Millis(f.Since), Due: chronicle.Millis(f.Due),
		}})
	}
	return all
}

func inOrder(told []chronicle.Told) []chronicle.Told {
	return slices.SortedFunc(slices.Values(told), func(a, b chronicle.Told) int {
		return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
}

// judged plays a chronicle to a checker, which must say what the chronicle says, after each message.
func judged(dice chronicle.Dice, rules watch.Rules, c chronicle.Config, hear func(chronicle.Told)) (chronicle.Tally, error) {
	checker := watch.NewChecker(rules)
	seq := change.Seq(0)
	history := map[int64][]string{}
	return chronicle.Play(dice, c, func(m *chronicle.Message, want []chronicle.Told) error {
		seq++
		r := wire(seq, m)
		if m.Quest != 0 {
			history[m.Quest] = append(history[m.Quest], string(r.Data))
		} else {
			history[0] = append(history[0][max(0, len(history[0])-5):], string(r.Data))
		}
		found, err := checker.Take(r)
		if err != nil {
			return err
		}
		got := toldOf(found)
		if diff := gocmp.Diff(inOrder(want), inOrder(got)); diff != "" {
			q := int64(0)
			for _, t := range append(want, got...) {
				if !slices.Contains(want, t) || !slices.Contains(got, t) {
					q = t.Finding.Quest
				}
			}
			return fmt.Errorf("after message %d (-want +got):\n%s\nquest:\n%s\nstream:\n%s\n%s", seq, diff, strings.Join(history[q], "\n"), strings.Join(history[0], "\n"), r.Data)
		}
		for _, t := range got {
			hear(t)
			if os.Getenv("DEBUG") != "" && t.Finding.Severity != "info" && t.What == "opened" && os.Getenv("FAULTS") == "" {
				fmt.Println(t, seq, r.Seq)
				for _, l := range history[t.Finding.Quest] {
					fmt.Println(l)
				}
			}
		}
		return nil
	})
}

func TestCorrectBehaviour(t *testing.T) {
	rules := defaultRules()
	c := written(&rules)
	c.Workflows = 5000
	tally, err := judged(rand.New(rand.NewPCG(1, 2)), rules, c, func(told chronicle.Told) {
		if told.Finding.Severity == "warning" || told.Finding.Severity == "critical" {
			t.Errorf("false alarm: %+v", told)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", tally)
}

func TestIncorrectBehaviour(t *testing.T) {
	rules := defaultRules()
	c := written(&rules)
	c.Workflows, c.Faults = 5000, true
	tally, err := judged(rand.New(rand.NewPCG(3, 4)), rules, c, func(chronicle.Told) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", tally)
}
