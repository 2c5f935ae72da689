package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/rule"
)

func repairListCommand() *cobra.Command {
	var s settings
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
	asJSON := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wantJSON, err := asJSON()
		if err == nil {
			err = checkWish(&w)
		}
		if err != nil {
			return err
		}
		return s.listRepairs(cmd, w, wantJSON)
	}
	s.base(cmd)
	s.server(cmd)
	ruleFlag(cmd, &w.Rule)
	cmd.Flags().IntVar(&w.Limit, "limit", 0, "list this `NUMBER` at most; 0 is all")
	return cmd
}

func (s *settings) listRepairs(cmd *cobra.Command, w repair.Wish, asJSON bool) error {
	instance, err := s.repairs(cmd)
	if err != nil {
		return err
	}
	defer instance.Close()
	items := []*repair.Item{}
	var printing error
	err = instance.List(cmd.Context(), w, func(it *repair.Item) {
		if asJSON {
			items = append(items, it)
		} else if printing == nil {
			printing = printed(fmt.Fprintln(cmd.OutOrStdout(), it.Line()))
		}
	})
	switch {
	case err != nil:
		return askedWell(err)
	case asJSON:
		return printJSON(cmd, struct {
			Findings []*repair.Item `json:"findings"`
		}{items})
	}
	return printing
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
	var s settings
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
	asJSON := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		wantJSON, err := asJSON()
		if err != nil {
			return err
		}
		instance, err := s.repairs(cmd)
		if err != nil {
			return err
		}
		defer instance.Close()
		it, err := instance.Show(cmd.Context(), args[0])
		switch {
		case err != nil:
			return askedWell(err)
		case wantJSON:
			return printJSON(cmd, it)
		}
		return printed(fmt.Fprint(cmd.OutOrStdout(), it.Text()))
	}
	s.base(cmd)
	s.server(cmd)
	return cmd
}
