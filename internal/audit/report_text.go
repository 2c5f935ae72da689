package audit

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/peerquest/questwatch/internal/rule"
)

// Without Detailed a report names so many of each kind.
const (
	findingsShown = 50
	peopleListed  = 50
	plannedShown  = 50
)

// textReport is a text report in the making. Errors of the writer are kept by
// it for Flush.
type textReport struct {
	*bufio.Writer
	r *Result
	v View
}

func (r *Result) writeText(w *bufio.Writer, v View) error {
	t := &textReport{Writer: w, r: r, v: v}
	t.head()
	for _, part := range []func() error{t.phases, t.people, t.plan, t.skipped} {
		if err := part(); err != nil {
			return err
		}
	}
	t.list("ROOT CAUSE AND PATTERN, AS FAR AS THE DATA SHOWS", r.observations())
	t.list("RECOMMENDATIONS", r.recommendations())
	if err := t.undo(); err != nil {
		return err
	}
	t.end()
	return nil
}

func (t *textReport) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

func (t *textReport) section(title string) {
	t.line("\n%s\n%s", title, strings.Repeat("-", len(title)))
}

func (t *textReport) list(title string, items []string) {
	t.section(title)
	for _, item := range items {
		t.line("%s", wrap("- ", item))
	}
}

func (t *textReport) head() {
	r, st := t.r, &t.r.Stats
	t.line("DATA SYNCHRONIZATION AUDIT REPORT\n%s", strings.Repeat("=", 33))
	t.line("Date:    %s", t.v.At.UTC().Format("2006-01-02 15:04:05 MST"))
	t.line("Scope:   %s", r.scopeWords())
	t.line("Mode:    %s", r.modeWords())
	t.line("Rules:   %s", r.rulesWords())
	t.line("Status:  %s", strings.ToUpper(r.Status()))
	if r.Incomplete != nil {
		t.line("BROKEN OFF: %s", clean(r.Incomplete.Error()))
	}
	t.section("SUMMARY")
	t.line("%s", wrap("", t.r.summary()))
	t.line("")
	t.line("Users audited:            %d", st.UsersAudited)
	t.line("Approved applications:    %d", st.Applications)
	participants, issues := r.before()
	if r.Config.Mode() == "fix" {
		t.line("                          %8s %8s", "before", "after")
		t.line("Participants:             %8d %8d", participants, st.Participants)
		t.line("Inconsistencies:          %8d %8d", issues, issues-st.IssuesFixed)
	} else {
		t.line("Participants:             %d", participants)
		t.line("Inconsistencies:          %d", issues)
	}
	if r.Dangling > 0 {
		t.line("%s", wrap("", fmt.Sprintf("Not audited: %s of quests that do not exist.", count(r.Dangling, "row"))))
	}
}

// summary is the result in a sentence or two.
func (r *Result) summary() string {
	st := &r.Stats
	if st.IssuesFound == 0 {
		return fmt.Sprintf("No inconsistency in %s.", count(r.Quests, "quest"))
	}
	what := "inconsistencies"
	if st.IssuesFound == 1 {
		what = "inconsistency"
	}
	text := fmt.Sprintf("%d %s in %s, affecting %s.", st.IssuesFound, what, count(r.QuestsAffected, "quest"), count(r.PeopleAffected, "user"))
	if n := r.found[rule.Info]; n > 0 && !r.Config.Compat {
		text += fmt.Sprintf(" Information only: %d.", n)
	}
	switch r.Config.Mode() {
	case "fix":
		text += fmt.Sprintf(" Repaired: %d; left: %d.", st.IssuesFixed, st.IssuesFound-st.IssuesFixed)
		if r.Skipped > 0 {
			text += fmt.Sprintf(" Healed by others meanwhile: %d.", r.Skipped)
		}
		if r.Failed > 0 {
			text += fmt.Sprintf(" Repair failed for %s.", count(r.Failed, "quest"))
		}
	case "dry_run":
		text += fmt.Sprintf(" A repair would mend %d.", r.planned.count)
	}
	return text
}

func (t *textReport) phases() error {
	var shown int64
	begin := func(rl rule.Rule) error {
		shown = 0
		n := t.r.Stats.ByRule.Of(rl)
		t.section(fmt.Sprintf("PHASE %d: %s (%d)", rl, strings.ToUpper(heading(rl)), n))
		if n == 0 {
			t.line("None.")
		}
		return nil
	}
	end := func(rl rule.Rule) error {
		if left := t.r.Stats.ByRule.Of(rl) - shown; left > 0 {
			t.line("… and %d more: --detailed lists all.", left)
		}
		return nil
	}
	return t.r.byPhase(begin, end, func(f *Finding, n *notes) error {
		if !t.v.Detailed && shown == findingsShown {
			return nil
		}
		shown++
		t.finding(f, n)
		return nil
	})
}

func (t *textReport) finding(f *Finding, n *notes) {
	mark := ""
	if f.Severity != 0 {
		mark = fmt.Sprintf(" [%s]", f.Severity)
	}
	if f.Fixed {
		mark += " [repaired]"
	}
	t.line("* Quest %d%s: %s%s", f.QuestID, titled(f.QuestTitle, f.Rule == rule.DanglingReference), who(f, n), mark)
	if !t.v.Detailed {
		return
	}
	if f.Rule == rule.MissingParticipant && n.Reviewed != 0 {
		t.line("    approved:  %s", when(n.Reviewed))
	}
	t.line("    expected:  %s", clean(f.Expected))
	t.line("    actual:    %s", clean(f.Actual))
	t.line("    detail:    %s", clean(f.Detail))
	if f.Fixed {
		t.line("    repaired:  %s", clean(strings.Join(n.Writes, ", ")))
	}
}

// who says in a few words whom a finding is about.
func who(f *Finding, n *notes) string {
	person := "user " + deref(f.UserID)
	if f.Username != nil {
		person = "user " + clean(*f.Username)
	}
	switch f.Rule {
	case rule.MissingParticipant:
		return fmt.Sprintf("%s, application %d", person, *f.ApplicationID)
	case rule.OrphanParticipant, rule.DuplicateParticipant:
		return fmt.Sprintf("%s, %s", person, ids("participant", f.ParticipantIDs))
	case rule.AssigneeNotParticipant:
		return "assigned to " + person
	case rule.ApprovedButDropped:
		return fmt.Sprintf("%s, application %d, %s", person, *f.ApplicationID, ids("participant", f.ParticipantIDs))
	case rule.IdleInProgress:
		return "nobody takes part"
	case rule.OpenWithParticipants, rule.Unassigned, rule.ActiveAfterCompletion, rule.DanglingReference:
	}
	people := make([]string, len(n.People))
	for i, name := range n.People {
		people[i] = clean(name)
	}
	text, rows := "participants "+strings.Join(people, ", "), len(f.ParticipantIDs)
	if f.Rule == rule.DanglingReference {
		text, rows = "rows of "+strings.Join(people, ", "), rows+len(f.ApplicationIDs)
	}
	if more := rows - len(people); more > 0 && len(people) == peopleShown {
		text += fmt.Sprintf(" and %d more", more)
	}
	if f.Rule == rule.Unassigned {
		text += "; should be assigned to " + clean(n.Suggested)
	}
	return text
}

func (t *textReport) people() error {
	t.section(fmt.Sprintf("AFFECTED USERS (%d)", t.r.PeopleAffected))
	if t.r.PeopleAffected == 0 {
		t.line("None.")
	}
	shown := 0
	err := t.r.Affected(func(p *Affected) error {
		if !t.v.Detailed && shown == peopleListed {
			return nil
		}
		shown++
		t.line("%s: %s (%s)", clean(p.Name), count(p.Findings, "finding"), p.ByRule.words())
		for _, q := range p.Quests {
			t.line("    quest %d%s", q.ID, titled(q.Title, q.Missing))
		}
		if p.MoreQuests > 0 {
			t.line("    and %d more", p.MoreQuests)
		}
		if t.r.Config.Mode() == "fix" {
			t.line("    left: %d", p.Left)
		}
		return nil
	})
	if left := t.r.PeopleAffected - int64(shown); left > 0 {
		t.line("… and %d more: --detailed lists all.", left)
	}
	return err
}

// words are the counts that are not 0.
func (c *RuleCounts) words() string {
	var parts []string
	for _, rl := range rule.All {
		if c[rl] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c[rl], rl))
		}
	}
	return strings.Join(parts, ", ")
}

func (t *textReport) plan() error {
	if t.r.Config.Mode() != "dry_run" {
		return nil
	}
	t.section(fmt.Sprintf("A REPAIR WOULD WRITE (%d)", t.r.planned.count))
	if t.r.planned.count == 0 {
		t.line("Nothing.")
	}
	var shown int64
	err := t.r.WouldFix(func(p Planned) error {
		if !t.v.Detailed && shown == plannedShown {
			return nil
		}
		shown++
		t.line("* Quest %d %s, %s: %s", p.QuestID, quoted(p.QuestTitle), p.Rule, clean(strings.Join(p.Writes, ", ")))
		return nil
	})
	if left := t.r.planned.count - shown; left > 0 {
		t.line("… and %d more: --detailed lists all.", left)
	}
	return err
}

func (t *textReport) skipped() error {
	if t.r.Skipped == 0 {
		return nil
	}
	t.section(fmt.Sprintf("HEALED BY OTHERS BEFORE THEIR REPAIR (%d)", t.r.Skipped))
	return t.r.skipped.each(func(payload []byte) error {
		f, n, err := readPayload(payload)
		if err == nil {
			t.line("* Quest %d %s, %s: %s", f.QuestID, quoted(f.QuestTitle), f.Rule, who(&f, &n))
		}
		return err
	})
}

func (t *textReport) undo() error {
	if t.r.Config.Mode() != "fix" {
		return nil
	}
	t.section("REPAIRS MADE")
	t.line("Participants created: %d; status set: %d; assignment set: %d.",
		t.r.FixedByRule.Of(rule.MissingParticipant), t.r.FixedByRule.Of(rule.OpenWithParticipants), t.r.FixedByRule.Of(rule.Unassigned))
	if t.r.undo.count == 0 {
		return nil
	}
	t.line("")
	return t.r.writeUndo(t)
}

func (t *textReport) end() {
	if t.r.Config.Compat && t.r.FixedByRule.Of(rule.MissingParticipant) > 0 {
		t.line("\n%s", wrap("", "Note: like the original, this repair put back people who may have left on purpose. Without --compat they are left alone."))
	}
	if t.r.Stats.IssuesFound > 0 {
		again := "Run the audit again before acting on a single one."
		if t.v.Past {
			again = "Audit it for a moment a little later, too (--at), before acting on a single one."
		}
		t.line("\n%s", wrap("", "Note: on a live system a finding may be an approval caught between two of its transactions. "+again))
	}
}

// titled is what follows a quest's number.
func titled(title string, missing bool) string {
	if missing {
		return ", which does not exist"
	}
	return " " + quoted(title)
}

func quoted(title string) string { return `"` + clean(title) + `"` }

func deref(s *string) string {
	if s == nil {
		return "unknown"
	}
	return clean(*s)
}

func ids(noun string, list []int64) string {
	parts := make([]string, 0, len(list))
	for _, id := range list {
		parts = append(parts, fmt.Sprint(id))
	}
	if len(list) > 1 {
		noun += "s"
	}
	return noun + " " + strings.Join(parts, ", ")
}

// wrap breaks text into lines of about 80 characters, indented below the prefix.
func wrap(prefix, text string) string {
	const width = 80
	var b strings.Builder
	b.WriteString(prefix)
	column := len(prefix)
	for i, word := range strings.Fields(text) {
		if i > 0 && column+1+len(word) > width {
			b.WriteString("\n" + strings.Repeat(" ", len(prefix)))
			column = len(prefix)
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
