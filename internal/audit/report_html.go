package audit

import (
	"bufio"
	_ "embed"
	"html/template"
	"strings"

	"github.com/peerquest/questwatch/internal/rule"
)

//go:embed report.html
var htmlSource string

// htmlParts are the pieces of the page. They are executed one after the other,
// so that a page of any length costs no memory.
var htmlParts = template.Must(template.New("report").Funcs(template.FuncMap{
	"clean": clean, "when": when, "join": func(s []string) string { return strings.Join(s, ", ") },
}).Parse(htmlSource))

type htmlRow struct {
	*Finding
	Note    *notes
	Who     string
	Missing bool
	NoQuest bool
}

func (r *Result) writeHTML(w *bufio.Writer, v View) error {
	part := func(name string, data any) error { return htmlParts.ExecuteTemplate(w, name, data) }
	participants, issues := r.before()
	err := part("head", map[string]any{
		"At": v.At.UTC().Format("2006-01-02 15:04:05 MST"), "Scope": r.scopeWords(), "Mode": r.modeWords(), "Rules": r.rulesWords(),
		"Status": r.Status(), "Healthy": r.Status() == "healthy", "Summary": r.summary(), "Stats": &r.Stats,
		"Fix": r.Config.Mode() == "fix", "ParticipantsBefore": participants, "Left": issues - r.Stats.IssuesFixed,
		"Incomplete": errorText(r.Incomplete), "Dangling": r.Dangling,
	})
	if err != nil {
		return err
	}
	if err := r.htmlPhases(part, v.Detailed); err != nil {
		return err
	}
	if err := r.htmlPeople(part); err != nil {
		return err
	}
	if err := r.htmlPlan(part); err != nil {
		return err
	}
	if err := r.htmlSkipped(part); err != nil {
		return err
	}
	if err := r.htmlUndo(part); err != nil {
		return err
	}
	return part("tail", map[string]any{"Observations": r.observations(), "Recommendations": r.recommendations()})
}

type htmlPart func(name string, data any) error

func (r *Result) htmlPhases(part htmlPart, detailed bool) error {
	begin := func(rl rule.Rule) error {
		return part("phase", map[string]any{
			"Number": rl, "Heading": heading(rl), "Count": r.Stats.ByRule.Of(rl), "Detailed": detailed, "Native": !r.Config.Compat,
		})
	}
	end := func(rl rule.Rule) error {
		return part("phase-end", r.Stats.ByRule.Of(rl))
	}
	return r.byPhase(begin, end, func(f *Finding, n *notes) error {
		row := htmlRow{
			Finding: f, Note: n, Who: who(f, n), Missing: f.Rule == rule.MissingParticipant && n.Reviewed != 0,
			NoQuest: f.Rule == rule.DanglingReference,
		}
		if detailed {
			return part("finding-detailed", row)
		}
		return part("finding", row)
	})
}

func (r *Result) htmlPeople(part htmlPart) error {
	if r.PeopleAffected == 0 {
		return nil
	}
	if err := part("people", r.PeopleAffected); err != nil {
		return err
	}
	err := r.Affected(func(p *Affected) error {
		return part("person", map[string]any{"P": p, "Words": p.ByRule.words()})
	})
	if err != nil {
		return err
	}
	return part("table-end", nil)
}

func (r *Result) htmlPlan(part htmlPart) error {
	if r.Config.Mode() != "dry_run" {
		return nil
	}
	if err := part("plan", r.planned.count); err != nil {
		return err
	}
	if err := r.WouldFix(func(p Planned) error { return part("planned", p) }); err != nil {
		return err
	}
	return part("table-end", nil)
}

func (r *Result) htmlSkipped(part htmlPart) error {
	if r.Skipped == 0 {
		return nil
	}
	if err := part("skipped", r.Skipped); err != nil {
		return err
	}
	if err := r.SkippedFindings(func(f Finding) error { return part("skipped-one", f) }); err != nil {
		return err
	}
	return part("table-end", nil)
}

func (r *Result) htmlUndo(part htmlPart) error {
	if r.Config.Mode() != "fix" || r.undo.count == 0 {
		return nil
	}
	if err := part("undo", nil); err != nil {
		return err
	}
	if err := r.Undo(func(sql string) error { return part("statement", sql) }); err != nil {
		return err
	}
	return part("undo-end", nil)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
