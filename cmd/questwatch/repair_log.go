package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/terminal"
)

func repairLogCommand() *cobra.Command {
	var f remedy.Filter
	var ruleName, since string
	cmd := &cobra.Command{
		Use:   "log",
		Short: "List the repairs that were made, the newest first",
		Long: `Log reads the journal of repairs in the database: what was repaired, when, for whom, what
the rows were before and after, and what has been undone. No instance need run. All
times are UTC.

Exit status: 0 listed, 2 wrong usage or configuration, or there is no journal, 3 another
failure.`,
		Example: `  questwatch repair log --since 24h
  questwatch repair log --quest 42
  questwatch repair log --limit 0 --output json | jq '.entries[] | select(.undone_by)'`,
	}
	ruleFlag(cmd, &ruleName)
	cmd.Flags().Int64Var(&f.Quest, "quest", 0, "of the quest with this `ID` only")
	cmd.Flags().StringVar(&since, "since", "", "made at this `TIME` (2026-11-27T22:00:00Z) or later, or since so long ago (24h)")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "list this `NUMBER` at most; 0 is all")
	return reports(cmd, ofDatabase|ofNamespace, func(c *call, _ []string) (err error) {
		if f.Limit < 0 {
			return usageError{error: errors.New("--limit must not be negative")}
		}
		from, err := moment(since, time.Now())
		if err != nil {
			return usageError{error: fmt.Errorf("--since: %w", err)}
		}
		if ruleName != "" {
			if f.Rule, err = rule.Parse(ruleName); err != nil {
				return usageError{error: fmt.Errorf("--rule: %w", err)}
			}
		}
		if !from.IsZero() {
			f.Since = remedy.Micros(from.UnixMicro())
		}
		return c.logRepairs(f)
	})
}

func (c *call) logRepairs(f remedy.Filter) error {
	if err := c.forRepair(); err != nil {
		return err
	}
	f.Namespace = c.config.Namespace
	db, err := app.OpenForRepair(c.Context(), &c.config)
	if err != nil {
		return err
	}
	defer db.Close()
	entries, err := db.Journal(c.Context(), f)
	if err != nil {
		return err
	}
	if c.asJSON() {
		logged := make([]loggedEntry, 0, len(entries))
		for i := range entries {
			logged = append(logged, logOf(&entries[i]))
		}
		return c.json(map[string]any{"entries": logged})
	}
	names, err := db.Usernames(c.Context(), peopleOf(entries))
	if err != nil {
		return err
	}
	for i := range entries {
		if err := c.say("%s", entryText(&entries[i], names)); err != nil {
			return err
		}
	}
	return nil
}

// loggedEntry is an entry's JSON form.
type loggedEntry struct {
	Entry       int64          `json:"entry"`
	At          time.Time      `json:"at"`
	Transaction uint64         `json:"transaction"`
	Namespace   string         `json:"namespace"`
	Instance    string         `json:"instance"`
	Finding     string         `json:"finding"`
	Rule        rule.Rule      `json:"rule"`
	Cause       rule.Cause     `json:"cause"`
	Action      remedy.Action  `json:"action"`
	QuestID     int64          `json:"quest_id"`
	UserID      string         `json:"user_id,omitempty"`
	Actor       string         `json:"actor"`
	Reason      string         `json:"reason,omitempty"`
	Automatic   bool           `json:"automatic"`
	Undoes      int64          `json:"undoes,omitempty"`
	UndoneBy    int64          `json:"undone_by,omitempty"`
	Rows        []remedy.Image `json:"rows"`
}

func logOf(e *remedy.Entry) loggedEntry {
	return loggedEntry{
		Entry: e.ID, At: timeOf(e.At), Transaction: e.XID, Namespace: e.Namespace, Instance: e.Instance,
		Finding: e.Finding, Rule: e.Rule, Cause: e.Cause, Action: e.Action, QuestID: e.Quest, UserID: e.User,
		Actor: e.Actor, Reason: e.Reason, Automatic: e.Automatic, Undoes: e.Undoes, UndoneBy: e.UndoneBy, Rows: e.Rows,
	}
}

func timeOf(at remedy.Micros) time.Time { return time.UnixMicro(int64(at)).UTC() }

func peopleOf(entries []remedy.Entry) []string {
	people := map[string]bool{}
	for i := range entries {
		if user := entries[i].User; user != "" {
			people[user] = true
		}
	}
	return slices.Sorted(maps.Keys(people))
}

// entryText is an entry for a person: a line of what was done, and one a row.
func entryText(e *remedy.Entry, names map[string]string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "entry %d  %s  quest %d", e.ID, timeOf(e.At).Format("2006-01-02 15:04:05 MST"), e.Quest)
	if e.User != "" {
		fmt.Fprintf(&out, " %s", cmp.Or(names[e.User], e.User))
	}
	switch {
	case e.Undoes != 0:
		fmt.Fprintf(&out, "  undoes entry %d", e.Undoes)
	default:
		fmt.Fprintf(&out, "  %s, %s", e.Rule, e.Action)
	}
	fmt.Fprintf(&out, "  by %s", e.Actor)
	if e.Automatic {
		out.WriteString(", automatic")
	}
	if e.Reason != "" {
		fmt.Fprintf(&out, ": %s", e.Reason)
	}
	if e.UndoneBy != 0 {
		fmt.Fprintf(&out, "  (undone by entry %d)", e.UndoneBy)
	}
	text := terminal.Clean(out.String()) + "\n"
	for i := range e.Rows {
		text += "    " + terminal.Clean(rowText(&e.Rows[i])) + "\n"
	}
	return text
}

func rowText(row *remedy.Image) string {
	what := fmt.Sprintf("%s %d", row.Entity, row.ID)
	switch {
	case row.Before == nil:
		return what + " created"
	case row.After == nil:
		return what + " deleted"
	}
	var changes []string
	for _, column := range slices.Sorted(maps.Keys(row.Before)) {
		changes = append(changes, fmt.Sprintf("%s %s -> %s", column, valueText(row.Before[column]), valueText(row.After[column])))
	}
	return what + "  " + strings.Join(changes, ", ")
}

func valueText(value *string) string {
	if value == nil {
		return "null"
	}
	return *value
}
