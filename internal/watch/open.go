package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// count keeps the numbers of open findings for Status.
func (f *Flow) count(found []Found) {
	if len(found) == 0 {
		return
	}
	f.note(func(s *Status) {
		s.Open, s.Severe = maps.Clone(s.Open), maps.Clone(s.Severe) // readers have the old ones
		for i := range found {
			t := found[i].Transition
			if t == nil {
				continue
			}
			by := 1
			if t.What == drift.Resolved {
				by = -1
			}
			s.Open[t.Finding.Violation.Rule] += by
			s.Severe[t.Finding.Violation.Severity] += by
		}
	})
}

// countOpen counts findings by rule and by severity.
func countOpen(findings []drift.Finding) (byRule map[rule.Rule]int, bySeverity map[rule.Severity]int) {
	byRule, bySeverity = map[rule.Rule]int{}, map[rule.Severity]int{}
	for i := range findings {
		v := &findings[i].Violation
		byRule[v.Rule]++
		bySeverity[v.Severity]++
	}
	return byRule, bySeverity
}

// keep puts an opened finding into the bucket, and takes a resolved one out.
func (f *Flow) keep(ctx context.Context, t *drift.Transition) error {
	switch {
	case t == nil:
		return nil
	case t.What == drift.Resolved:
		if err := f.findings.Delete(ctx, t.Finding.ID); err != nil {
			return fmt.Errorf("forget finding %s: %w", t.Finding.ID, err)
		}
		return nil
	}
	return f.put(ctx, &t.Finding)
}

func (f *Flow) put(ctx context.Context, finding *drift.Finding) error {
	data, err := json.Marshal(event.FindingOf(finding))
	if err != nil {
		return fmt.Errorf("encode finding %s: %w", finding.ID, err)
	}
	if err := f.findings.Put(ctx, finding.ID, data); err != nil {
		return fmt.Errorf("keep finding %s: %w", finding.ID, err)
	}
	return nil
}

// reconcile makes the bucket what it should be: a crash can have come between an
// event and its place in the bucket.
func (f *Flow) reconcile(ctx context.Context) error {
	keys, err := f.findings.Keys(ctx)
	if err != nil {
		return fmt.Errorf("list kept findings: %w", err)
	}
	kept := map[string]bool{}
	for _, id := range keys {
		kept[id] = true
	}
	open := f.checker.Open()
	for i := range open {
		if !kept[open[i].ID] {
			if err := f.put(ctx, &open[i]); err != nil {
				return err
			}
		}
		delete(kept, open[i].ID)
	}
	for id := range kept {
		if err := f.findings.Delete(ctx, id); err != nil {
			return fmt.Errorf("forget finding %s: %w", id, err)
		}
	}
	return nil
}
