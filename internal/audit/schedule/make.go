package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// make reads the database and writes the report of it, or takes the one that an attempt
// before has stored, and tells of it.
func (a *Auditor) make(ctx context.Context, kind string, at time.Time) (*Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.config.Within, errLong)
	defer cancel()
	r, err := a.reports.Load(ctx, nameOf(at))
	if err == nil && r == nil {
		r, err = a.fresh(ctx, kind, at)
	}
	if err == nil {
		err = a.tell(ctx, r)
	}
	if errors.Is(context.Cause(ctx), errLong) {
		err = errLong
	}
	return r, err
}

var errLong = errors.New("it took longer than audit.within allows")

func (a *Auditor) fresh(ctx context.Context, kind string, at time.Time) (*Report, error) {
	began := time.Now()
	r := &Report{Instance: a.config.Instance, Audited: event.Audited{
		Kind: kind, Report: nameOf(at), Began: change.MillisOf(began), ByRule: map[rule.Rule]int64{}, BySeverity: map[rule.Severity]int64{},
	}}
	if kind == event.AuditScheduled {
		r.Scheduled = change.MillisOf(at)
	}
	first, err := a.look(ctx, r, true)
	if err != nil {
		return nil, err
	}
	if err := a.judge(ctx, r, first); err != nil {
		return nil, err
	}
	before, err := a.before(ctx, r.Report)
	if err != nil { // it may be damaged for good, and audits go on
		if ctx.Err() != nil {
			return nil, err
		}
		a.logger.Warn("the audit before cannot be compared with", "err", err)
	}
	r.since(before)
	r.Took = time.Since(began).Milliseconds()
	return r, a.reports.Save(ctx, r)
}

// before is the newest report but one.
func (a *Auditor) before(ctx context.Context, than string) (*Report, error) {
	names, err := a.reports.Names(ctx)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name >= than })
	if len(names) == 0 {
		return nil, nil
	}
	return a.reports.Load(ctx, names[len(names)-1])
}

// sight is what one snapshot showed.
type sight struct {
	lsn       change.LSN
	testimony *verify.Testimony
	mute      error // why the checker says nothing
	found     map[verify.About]struct{}
}

// look audits one snapshot. The first one fills the report and makes the page.
func (a *Auditor) look(ctx context.Context, r *Report, first bool) (*sight, error) {
	s := &sight{found: map[verify.About]struct{}{}}
	var witness *verify.Witness
	witness, s.mute = a.checker.Witness(ctx)
	db := reading{a.database, func(at verify.At) error {
		s.lsn = at.LSN
		if s.mute == nil {
			s.testimony, s.mute = witness.At(ctx, at)
		}
		return ctx.Err()
	}}
	result, err := audit.Run(ctx, db, audit.Config{Rules: a.config.Rules}, nil)
	if err != nil {
		return nil, err
	}
	err = result.Findings(func(f audit.Finding) error {
		one := Finding{Rule: f.Rule, Severity: f.Severity, QuestID: f.QuestID}
		if f.UserID != nil {
			one.UserID = *f.UserID
		}
		s.note(one.about())
		if first {
			r.add(one)
		}
		return nil
	})
	if first {
		r.Quests = result.Quests
		if r.Findings > most {
			r.All = nil
		}
		a.page(result)
	}
	return s, errors.Join(err, result.Close())
}

// errMany keeps memory bounded: what the tables violate need not be what the checker holds.
var errMany = errors.New("there are too many findings to compare them")

// note remembers a finding, to be compared.
func (s *sight) note(a verify.About) {
	if s.testimony == nil {
		return
	}
	s.found[a] = struct{}{}
	if len(s.found) > most {
		s.testimony, s.mute, s.found = nil, errMany, nil
	}
}

func (r *Report) add(f Finding) {
	if r.All == nil {
		r.All = []Finding{}
	}
	r.Findings++
	r.ByRule[f.Rule]++
	r.BySeverity[f.Severity]++
	if r.Findings <= most {
		r.All = append(r.All, f)
	}
}

// page writes the report as a page. That it cannot is no reason to do without an audit.
func (a *Auditor) page(result *audit.Result) {
	if a.config.HTML == "" {
		return
	}
	file, err := audit.OpenDestination(a.config.HTML)
	if err == nil {
		err = result.Deliver(audit.Output{File: file, Stdout: io.Discard, Stderr: io.Discard, Format: audit.HTML, View: audit.View{At: time.Now()}})
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		a.logger.Warn("the audit could not be written as a page", "err", err)
	}
}

// judge compares with the checker: what differs once is looked at again.
func (a *Auditor) judge(ctx context.Context, r *Report, first *sight) error {
	if first.mute != nil {
		r.NotCompared = first.mute.Error()
		return nil
	}
	differing, undecided := first.differences()
	r.Undecided, r.Compared = undecided, compared(first.testimony, first.lsn)
	if len(differing) == 0 {
		return nil
	}
	second, err := a.look(ctx, r, false)
	if err != nil {
		return fmt.Errorf("look again: %w", err)
	}
	if second.mute != nil {
		r.NotCompared = second.mute.Error()
		return nil
	}
	again, undecided := second.differences()
	r.Undecided, r.Compared = max(r.Undecided, undecided), compared(second.testimony, second.lsn)
	maps.DeleteFunc(differing, func(about verify.About, checker bool) bool {
		side, differs := again[about]
		return !differs || side != checker
	})
	r.Mismatched = len(differing)
	for about, checker := range differing {
		r.Disagreements = append(r.Disagreements, Disagreement{Rule: about.Rule, QuestID: about.Quest, UserID: about.User, Checker: checker})
	}
	slices.SortFunc(r.Disagreements, func(x, y Disagreement) int {
		return cmp.Or(cmp.Compare(x.QuestID, y.QuestID), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.UserID, y.UserID))
	})
	r.Disagreements = r.Disagreements[:min(len(r.Disagreements), toldSingly)]
	return nil
}

// differences are what only one of both holds to be violated, and whether that is the
// checker; and of how many things nothing can be said.
func (s *sight) differences() (differing map[verify.About]bool, undecided int) {
	differing = map[verify.About]bool{}
	note := func(about verify.About, checker bool) {
		if s.testimony.Decides(about.Quest) {
			differing[about] = checker
		} else {
			undecided++
		}
	}
	for about := range s.found {
		if _, both := s.testimony.Violated[about]; !both {
			note(about, false)
		}
	}
	for about := range s.testimony.Violated {
		if _, both := s.found[about]; !both {
			note(about, true)
		}
	}
	return differing, undecided
}

// tell publishes what has not been told.
func (a *Auditor) tell(ctx context.Context, r *Report) error {
	events := r.events(a.config.Namespace)
	told, err := a.events.Told(ctx, &events[len(events)-1])
	if err != nil || told {
		return err
	}
	if r.Mismatched > 0 {
		a.logger.Error("an audit and the checker judge otherwise", "findings", r.Mismatched, "report", r.Report)
	}
	return a.events.Publish(ctx, events)
}

// tellIn bounds the telling of a failure, which may be that nobody can be told.
const tellIn = 10 * time.Second

// tellFailure tells that what is planned has failed, once for each planned time.
func (a *Auditor) tellFailure(ctx context.Context, n *Note, cause error) {
	within, cancel := context.WithTimeout(ctx, tellIn)
	defer cancel()
	e := event.OfAuditFailure(a.config.Namespace, &event.AuditFailure{
		Scheduled: change.MillisOf(n.Due), Attempt: n.Attempt, Error: cause.Error(), Time: change.MillisOf(time.Now()),
	})
	told, err := a.events.Told(within, &e)
	if err == nil && !told {
		err = a.events.Publish(within, []event.Event{e})
	}
	if err != nil && ctx.Err() == nil {
		a.logger.Warn("that the audit failed could not be told; telling it when it fails again", "err", err)
	}
}
