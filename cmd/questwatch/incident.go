package main

import (
	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
)

func incidentCommand() *cobra.Command {
	var private bool
	var limit int
	cmd := &cobra.Command{
		Use:   "incident ID",
		Short: "Tell the story of a finding in one page, to be sent around",
		Long: `Incident prints the story of a finding as one page of HTML, or as a line of JSON: what it
is, the transactions that led to it and ended it, what the instance said of it (verdicts,
failed approvals, repairs), and the command that shows the stretch of the stream again.
The page stands alone: it loads nothing and needs no JavaScript.

ID is what events and log lines call it; its first digits will do where they are unique.
An instance is found as by replay; of one that does not run the data directory is read.
People's names come from the database, where one is named (--dsn or libpq's variables).
--no-names leaves out what people are called and what they wrote: names, titles, who
repaired, and the texts of errors. People are numbered then; the JSON form still has ids.

Exit status: 0 told, 2 wrong usage or an id that is not unique, 3 no such finding, no
instance, or another failure.`,
		Example: `  questwatch incident b47c15b0e61be9a6aab1 --data /var/lib/questwatch > incident.html
  questwatch incident b47c15 --no-names > incident.html
  questwatch incident b47c15 --output json | jq .replay`,
		Args: wantOne("which finding: its ID"),
	}
	cmd.Flags().BoolVar(&private, "no-names", false, "leave out what people are called and what they wrote")
	limitFlag(cmd, &limit, "tell this `NUMBER` of transactions at most: the newest, and those that began and ended it")
	return reports(cmd, ofDatabase|ofInstance, func(c *call, args []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		story, err := app.Incident(c.Context(), &c.config, args[0], limit, c.namesDSN(), private, c.logger)
		switch {
		case err != nil:
			return err
		case c.asJSON():
			return story.WriteJSON(c.OutOrStdout())
		}
		return story.WriteHTML(c.OutOrStdout())
	}, "html", "json")
}
