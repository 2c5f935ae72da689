package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/rule"
)

func repairListCommand() *cobra.Command {
	var w repair.Wish
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the open findings with what would mend them",
		Long: `List asks the running instance for its open findings, and says of each which repair it
has: one that is made by itself, one that waits for somebody to ask, or none, and why.

Exit status: 0 listed, 2 wrong usage or configuration, 3 nobody answers, or another
failure.`,
		Example: `  questwatch repair list
  questwatch repair list --rule missing_participant --limit 20
  questwatch repair list --output json | jq '.findings[] | select(.plan).finding'`,
	}
	ruleFlag(cmd, &w.Rule)
	cmd.Flags().IntVar(&w.Limit, "limit", 0, "list this `NUMBER` at most; 0 is all")
	return reports(cmd, ofInstance, func(c *call, _ []string) error {
		if err := checkWish(&w); err != nil {
			return err
		}
		return c.listRepairs(w)
	})
}

func (c *call) listRepairs(w repair.Wish) error {
	instance, err := c.repairs()
	if err != nil {
		return err
	}
	defer instance.Close()
	if !c.asJSON() {
		return c.folded(func(out io.Writer) error { return listItems(c.Context(), instance, w, out) })
	}
	items := []*repair.Item{}
	if err := instance.List(c.Context(), w, func(it *repair.Item) { items = append(items, it) }); err != nil {
		return err
	}
	return c.json(map[string]any{"findings": items})
}

// listItems prints items as they come.
func listItems(ctx context.Context, instance *app.Repairs, w repair.Wish, out io.Writer) error {
	some, printing := false, error(nil)
	err := instance.List(ctx, w, func(it *repair.Item) {
		if some = true; printing == nil {
			_, printing = fmt.Fprintln(out, it.Line())
		}
	})
	if err == nil && !some {
		_, printing = fmt.Fprintln(out, "No such finding is open.")
	}
	return errors.Join(err, printed(printing))
}

func ruleFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "rule", "", "of this `RULE` only")
	var names []string
	for _, r := range rule.All {
		names = append(names, r.String())
	}
	complete(cmd, "rule", names...)
}

// checkWish refuses what cannot be meant.
func checkWish(w *repair.Wish) error {
	if w.Limit < 0 {
		return usageError{error: errors.New("--limit must not be negative")}
	}
	if w.Rule == "" {
		return nil
	}
	if _, err := rule.Parse(w.Rule); err != nil {
		return usageError{error: fmt.Errorf("--rule: %w", err)}
	}
	return nil
}

func repairShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show what would mend a finding, in words and as SQL",
		Long: `Show prints an open finding with its repair: what must hold, what is written, what takes
it back, and the SQL to do the same by hand. Where there is no repair it says why, and
what a person can do.

ID is what events and log lines call the finding; its beginning will do. What led to it
is shown by questwatch show finding.

Exit status: 0 shown, 2 wrong usage, or no open finding has that id, 3 nobody answers, or
another failure.`,
		Example: `  questwatch repair show b47c15b0e61be9a6aab1
  questwatch repair show b47c15 --output json | jq -r .sql`,
		Args: wantOne("which finding: its ID"),
	}
	return reports(cmd, ofInstance, func(c *call, args []string) error {
		instance, err := c.repairs()
		if err != nil {
			return err
		}
		defer instance.Close()
		it, err := instance.Show(c.Context(), args[0])
		if err != nil {
			return err
		}
		if c.asJSON() {
			return c.json(it)
		}
		return c.say("%s", it.Text()) // not folded: SQL is there to be copied
	})
}
