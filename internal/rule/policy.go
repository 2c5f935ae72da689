package rule

import (
	"fmt"

	"github.com/peerquest/questwatch/internal/quest"
)

// Policy says what is judged and how much it matters. The zero Policy is the
// default.
type Policy struct {
	// Deleted judges soft-deleted quests too.
	Deleted bool
	off     [len(names)]bool
	// severities are those that are not the default, by place among the outcomes.
	severities map[outcomeKey]Severity
}

type outcomeKey struct {
	rule  Rule
	cause Cause
}

// Off switches a rule off.
func (p *Policy) Off(r Rule) { p.off[r] = true }

// IsOff reports whether a rule is switched off.
func (p *Policy) IsOff(r Rule) bool { return p.off[r] }

// SetSeverity makes a rule's violation by a cause matter more or less. It is an
// error when the rule has no such cause.
func (p *Policy) SetSeverity(r Rule, c Cause, s Severity) error {
	if outcome(r, c) < 0 {
		return fmt.Errorf("rule %s has no cause %q", r, c)
	}
	if p.severities == nil {
		p.severities = map[outcomeKey]Severity{}
	}
	p.severities[outcomeKey{r, c}] = s
	return nil
}

// Severity is how much a rule's violation by a cause matters.
func (p *Policy) Severity(r Rule, c Cause) Severity {
	if s, ok := p.severities[outcomeKey{r, c}]; ok {
		return s
	}
	return SeverityOf(r, c)
}

// Judge appends the violations of a quest to dst. A quest of which nothing is
// left has none, nor has one that was soft-deleted, unless those are judged too.
// A pair appears once per rule.
func (p *Policy) Judge(dst []Violation, q *quest.Quest) []Violation {
	if q == nil || q.Deleted && !p.Deleted {
		return dst
	}
	start := len(dst)
	dst = judge(dst, q)
	if len(dst) == start {
		return dst
	}
	kept := dst[:start]
	for _, v := range dst[start:] {
		if !p.off[v.Rule] {
			v.Severity = p.Severity(v.Rule, v.Cause)
			kept = append(kept, v)
		}
	}
	clear(dst[len(kept):])
	return kept
}

// Judge is a default Policy's.
func Judge(dst []Violation, q *quest.Quest) []Violation {
	var p Policy
	return p.Judge(dst, q)
}
