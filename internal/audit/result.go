package audit

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// RuleCounts counts by rule.
type RuleCounts [len(rule.All) + 1]int64

func (c *RuleCounts) add(r rule.Rule) { c[r]++ }

// Of is the count of a rule.
func (c *RuleCounts) Of(r rule.Rule) int64 { return c[r] }

// Stats are the figures of a run, counted as the original audit counts.
type Stats struct {
	// UsersAudited have at least one application or participant.
	UsersAudited int64 `json:"users_audited"`
	// Applications counts the approved ones.
	Applications int64 `json:"applications"`
	// Participants counts rows of any status, after phase 1's repairs.
	Participants int64      `json:"participants"`
	IssuesFound  int64      `json:"issues_found"`
	IssuesFixed  int64      `json:"issues_fixed"`
	ByRule       RuleCounts `json:"-"` // the JSON report has the rules judged
}

// Result is what a run found and did. Close removes what it holds on disk.
type Result struct {
	Config Config
	Stats  Stats

	// FixedByRule and PlannedByRule count repairs made and, in a dry run, meant.
	FixedByRule, PlannedByRule RuleCounts
	// Inserted counts the participants that repairs inserted.
	Inserted int64
	// Failed counts quests whose repair failed; Skipped, findings that somebody else
	// healed before their repair.
	Failed, Skipped int64
	// Quests is how many were read, QuestsAffected how many have findings.
	Quests, QuestsAffected int64
	// PeopleAffected is how many people the findings touch.
	PeopleAffected int64
	// Dangling counts rows of quests that do not exist, where no rule looks at them.
	Dangling int64
	// Incomplete is the error that ended the run early, after repairs were made.
	Incomplete error

	found, remaining map[rule.Severity]int64
	evidence         evidence

	findings, planned, skipped, undo, people *sorter
}

// evidence is what the findings of phase 1 have in common.
type evidence struct {
	patterns    [patterns]int64
	reviewed    int64
	first, last remedy.Micros
	// top is who has most of a rule's findings.
	top [len(rule.All) + 1]struct {
		name  string
		count int64
	}
}

func newResult(cfg Config) *Result {
	r := &Result{Config: cfg, found: map[rule.Severity]int64{}, remaining: map[rule.Severity]int64{}}
	for _, s := range []**sorter{&r.findings, &r.planned, &r.skipped, &r.undo, &r.people} {
		*s = newSorter(cfg.SpillBytes)
	}
	return r
}

// Close gives up what the result holds.
func (r *Result) Close() error {
	var err error
	for _, s := range []*sorter{r.findings, r.planned, r.skipped, r.undo, r.people} {
		err = errors.Join(err, s.close())
	}
	return err
}

// Findings calls fn for all findings, in order.
func (r *Result) Findings(fn func(Finding) error) error { return eachFinding(r.findings, fn) }

// Skipped calls fn for the findings that were healed before their repair.
func (r *Result) SkippedFindings(fn func(Finding) error) error { return eachFinding(r.skipped, fn) }

func eachFinding(s *sorter, fn func(Finding) error) error {
	return s.each(func(payload []byte) error {
		f, _, err := readPayload(payload)
		if err != nil {
			return err
		}
		return fn(f)
	})
}

// WouldFix calls fn for what a repair would mend, in order.
func (r *Result) WouldFix(fn func(Planned) error) error {
	return r.planned.each(func(payload []byte) error {
		first, _, err := splitParts(payload)
		if err != nil {
			return err
		}
		var p Planned
		if err := json.Unmarshal(first, &p); err != nil {
			return fmt.Errorf("read planned repair back: %w", err)
		}
		return fn(p)
	})
}

// Undo calls fn for the statements that take all repairs back, in the order in
// which to run them.
func (r *Result) Undo(fn func(sql string) error) error {
	return r.undo.each(func(payload []byte) error { return fn(string(payload)) })
}

// Remaining counts the findings that are not mended and matter at least so much.
func (r *Result) Remaining(least rule.Severity) int64 {
	var n int64
	for s, count := range r.remaining {
		if s >= least {
			n += count
		}
	}
	return n
}

// Healthy reports whether nothing remains that is not mere information; with
// Compat, nothing at all.
func (r *Result) Healthy() bool {
	if r.Config.Compat {
		return r.Remaining(0) == 0
	}
	return r.Remaining(rule.Warning) == 0
}

// Status is the result in one word.
func (r *Result) Status() string {
	if r.Healthy() && r.Incomplete == nil {
		return "healthy"
	}
	return "inconsistent"
}

// Err is nil after a run that leaves nothing to do, else how it ends: an error
// that broke it off, repairs that failed (status 3), findings that remain (1).
func (r *Result) Err() error {
	if r.Incomplete != nil {
		return r.Incomplete
	}
	if r.Failed > 0 {
		return &Unsuccessful{Status: 3, Reason: fmt.Sprintf("repair of %s failed", count(r.Failed, "quest"))}
	}
	least := r.Config.FailOn
	if r.Config.Compat {
		least = rule.Info
	}
	if least == 0 {
		return nil
	}
	if n := r.Remaining(least); n > 0 {
		return &Unsuccessful{Status: 1, Reason: count(n, "finding") + " left"}
	}
	return nil
}

// count is a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
