package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/audit/schedule"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/terminal"
)

func auditNowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "now",
		Short: "Have a running instance audit its database now",
		Long: `Now asks the instance that is running for an audit, as its timetable would make one: it
is kept, told as an event, and compared with the audit before and with what the instance
itself holds to be violated.

Exit status: 0 no finding at warning or above, 1 some, or the instance judges otherwise,
2 wrong usage, 3 no instance, or another failure.`,
		Example: `  questwatch audit now --data /var/lib/questwatch
  questwatch audit now --output json | jq .by_rule`,
	}
	return reports(cmd, ofInstance, func(c *call, _ []string) error {
		a, err := app.AskToAudit(c.Context(), &c.config, c.logger)
		if err == nil {
			err = c.show(a, func() string { return auditText(a) })
		}
		if err == nil && (a.Mismatched > 0 || a.BySeverity[rule.Warning]+a.BySeverity[rule.Critical] > 0) {
			err = statusError(exitFindings)
		}
		return err
	})
}

func auditListCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the audits that running instances made, the newest first",
		Long: `List shows the kept reports of audits that were made by timetable (audit.schedule) or on
request (audit now), a line each. All times are UTC.

Exit status: 0 listed, 2 wrong usage, 3 no server, or another failure.`,
		Example: `  questwatch audit list
  questwatch audit list --limit 0 --output json | jq '.audits[].findings'`,
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "at most so many `AUDITS`; 0 for all")
	return reports(cmd, ofInstance, func(c *call, _ []string) error {
		if limit < 0 {
			return usageError{error: errors.New("--limit must not be negative")}
		}
		kept, err := app.OpenAuditReports(c.Context(), &c.config, c.logger)
		if err != nil {
			return err
		}
		defer kept.Close()
		all := []event.Audited{}
		err = kept.Each(c.Context(), limit, func(r *schedule.Report) error {
			all = append(all, r.Audited)
			return nil
		})
		if err != nil {
			return err
		}
		return c.show(map[string]any{"audits": all}, func() string { return auditTable(all) })
	})
}

func auditTable(all []event.Audited) string {
	if len(all) == 0 {
		return "No audit has been made yet: questwatch status says when the next one is, questwatch audit now makes one.\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-26s  %-9s  %8s  %5s  %5s  %10s  %s\n", "report", "kind", "findings", "new", "gone", "mismatched", "took")
	for i := range all {
		a, fresh, gone, wrong := &all[i], "-", "-", fmt.Sprint(all[i].Mismatched)
		if c := a.Change; c != nil {
			fresh, gone = fmt.Sprint(c.New), fmt.Sprint(c.Gone)
		}
		if a.NotCompared != "" {
			wrong = "-"
		}
		fmt.Fprintf(&b, "%-26s  %-9s  %8d  %5s  %5s  %10s  %s\n", terminal.Clean(a.Report), terminal.Clean(a.Kind), a.Findings, fresh, gone, wrong, took(a))
	}
	return b.String()
}

func auditShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [REPORT]",
		Short: "Show an audit that a running instance made, the newest by default",
		Long: `Show prints a kept report: counts, what changed since the audit before, and what the
instance judged otherwise. --output json has every finding, with ids and without names.

Exit status: 0 shown, 2 wrong usage, or there is no such report, 3 no server, or another
failure.`,
		Example: `  questwatch audit show
  questwatch audit show audit-20261130T060000.000Z --output json | jq '.all[] | .quest_id'`,
		Args: cobra.MaximumNArgs(1),
	}
	return reports(cmd, ofInstance, func(c *call, args []string) error {
		name := strings.Join(args, "")
		if name != "" && !schedule.IsName(name) {
			return usageError{error: fmt.Errorf("%q is no report's name, as in audit-20261130T060000.000Z", name)}
		}
		kept, err := app.OpenAuditReports(c.Context(), &c.config, c.logger)
		if err != nil {
			return err
		}
		defer kept.Close()
		r, err := kept.Load(c.Context(), name)
		switch {
		case err != nil:
			return err
		case r == nil && name == "":
			return usageError{error: errors.New("no audit has been made yet: questwatch audit now makes one")}
		case r == nil:
			return usageError{error: fmt.Errorf("there is no report %q: questwatch audit list shows those that are kept", name)}
		}
		return c.show(r, func() string { return reportText(r) })
	})
}

func took(a *event.Audited) string { return (time.Duration(a.Took) * time.Millisecond).String() }

// auditText is an audit as a person reads it.
func auditText(a *event.Audited) string {
	critical, unknown := fmt.Sprintf("%d critical, ", a.BySeverity[rule.Critical]), ""
	if a.BySeverity[rule.Critical] == 0 && a.ByRule[rule.MissingParticipant] > 0 { // 0 would calm whoever reads it
		critical, unknown = "", "; which are critical it cannot tell, for want of history: questwatch status does"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, began %s UTC, took %s\n", a.Report, a.Kind, a.Began.Time().UTC().Format(time.DateTime), took(a))
	fmt.Fprintf(&b, "%d quests, %d findings: %s%d warning, %d info%s\n", a.Quests, a.Findings,
		critical, a.BySeverity[rule.Warning], a.BySeverity[rule.Info], unknown)
	writeRules(&b, a)
	switch {
	case a.NotCompared != "":
		fmt.Fprintf(&b, "not compared with what the instance holds to be violated: %s\n", a.NotCompared)
	case a.Mismatched > 0:
		fmt.Fprintf(&b, "the instance judges %d things otherwise; questwatch verify compares its state with the database\n", a.Mismatched)
	default:
		b.WriteString("the instance holds the same to be violated\n")
	}
	if a.Undecided > 0 {
		fmt.Fprintf(&b, "not compared, because it was being changed: %d of a rule in a quest\n", a.Undecided)
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = terminal.Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// writeRules writes the findings by rule, with what changed since the audit before.
func writeRules(b *strings.Builder, a *event.Audited) {
	c := a.Change
	for _, r := range rule.All {
		switch {
		case c != nil && a.ByRule[r]+c.GoneByRule[r] > 0:
			fmt.Fprintf(b, "  %-25s%6d   %d new, %d gone\n", r, a.ByRule[r], c.NewByRule[r], c.GoneByRule[r])
		case a.ByRule[r] > 0:
			fmt.Fprintf(b, "  %-25s%6d\n", r, a.ByRule[r])
		}
	}
	if c != nil {
		fmt.Fprintf(b, "since %s: %d new, %d gone, %d the same\n", c.Before, c.New, c.Gone, c.Same)
	}
}

func reportText(r *schedule.Report) string {
	var b strings.Builder
	b.WriteString(auditText(&r.Audited))
	for _, d := range r.Disagreements {
		who, side := "", "the tables and not by the instance"
		if d.UserID != "" {
			who = " of " + d.UserID
		}
		if d.Checker {
			side = "the instance and not by the tables"
		}
		fmt.Fprintf(&b, "  %s\n", terminal.Clean(fmt.Sprintf("%s%s in quest %d: violated by %s", d.Rule, who, d.QuestID, side)))
	}
	return b.String()
}
