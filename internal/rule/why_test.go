package rule_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/rule"
)

// causes are those that the package's sources declare.
func causes(t *testing.T) (all []rule.Cause) {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != len(spec.Names) {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != "Cause" {
				return true
			}
			for _, v := range spec.Values {
				if literal, ok := v.(*ast.BasicLit); ok {
					name, err := strconv.Unquote(literal.Value)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, rule.Cause(name))
				}
			}
			return true
		})
	}
	return all
}

func TestEveryRuleAndCauseHasWords(t *testing.T) {
	all := causes(t)
	if len(all) < 9 {
		t.Fatalf("causes found: %q", all)
	}
	facts := &rule.Facts{
		Person: "Ann", Application: 7, Participants: []int64{3, 4}, Grace: "3 s",
		Approved: "T", Joined: "T", Left: "T", Revoked: "T", Cleared: "T", Deleted: "T",
	}
	for _, c := range all {
		if text := rule.Why(c, facts); text == strings.ReplaceAll(string(c), "_", " ") {
			t.Errorf("cause %s has no words of its own", c)
		}
	}
	for _, r := range rule.All {
		if text := rule.What(r, facts); strings.Contains(text, r.String()) {
			t.Errorf("rule %s has no words of its own", r)
		}
		for _, c := range all {
			for _, f := range []*rule.Facts{facts, {Participants: []int64{3}}} {
				if text := rule.Sentence(r, c, f); !strings.HasSuffix(text, ".") || strings.Contains(text, "%!") || strings.Contains(text, "at  ") {
					t.Errorf("%s, %s: %q", r, c, text)
				}
			}
		}
	}
}

func TestSentence(t *testing.T) {
	for _, c := range []struct {
		rule  rule.Rule
		cause rule.Cause
		facts rule.Facts
		want  string
	}{
		{
			rule.MissingParticipant, rule.ApprovalFailed,
			rule.Facts{Person: "Ann", Application: 7, Approved: "noon", Grace: "3 s"},
			"Approved application 7 of Ann has no participant: the approval committed at noon and no participant came within the grace of 3 s.",
		},
		{
			rule.MissingParticipant, rule.ApprovalFailed,
			rule.Facts{Person: "Ann", Application: 7},
			"Approved application 7 of Ann has no participant: it was approved and no participant came with it.",
		},
		{
			rule.OrphanParticipant, rule.Unknown,
			rule.Facts{Person: "Ann", Participants: []int64{3, 4}, Baseline: "noon"},
			"Participants 3, 4 of Ann have no approved application: the history does not tell how that came about; so it was at the baseline of noon.",
		},
		{
			rule.Unassigned, rule.Released,
			rule.Facts{Participants: []int64{3}, Cleared: "noon"},
			"The quest is assigned to nobody and somebody takes part (participant 3): the assignee was cleared at noon while somebody took part.",
		},
		{rule.Rule(99), "sold_out", rule.Facts{Person: "Ann"}, "The quest violates rule(99) for Ann: sold out."},
	} {
		if got := rule.Sentence(c.rule, c.cause, &c.facts); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
