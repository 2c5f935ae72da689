package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/replay"
)

func incidentCommand() *cobra.Command {
	var s settings
	var output string
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
An instance is found as by replay; the data directory of one that does not run is opened.
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
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case output != "html" && output != "json":
			return usageError{error: fmt.Errorf("--output is %q: want html or json", output)}
		case limit < 1 || limit > replay.MaxLimit:
			return usageError{error: fmt.Errorf("--limit is %d: want 1 to %d", limit, replay.MaxLimit)}
		}
		logger, err := s.load(cmd)
		if err != nil {
			return err
		}
		story, err := app.Incident(cmd.Context(), &s.config, args[0], limit, s.namesDSN(), private, logger)
		switch {
		case err != nil:
			return askedID(err)
		case output == "json":
			return story.WriteJSON(cmd.OutOrStdout())
		}
		return story.WriteHTML(cmd.OutOrStdout())
	}
	s.common(cmd)
	s.server(cmd)
	flags := cmd.Flags()
	flags.StringVar(&output, "output", "html", "`FORMAT`: html, or json: one last line")
	flags.BoolVar(&private, "no-names", false, "leave out what people are called and what they wrote")
	flags.IntVar(&limit, "limit", replay.DefaultLimit, "tell this `NUMBER` of transactions at most: the newest, and those that began and ended it")
	complete(cmd, "output", "html", "json")
	return cmd
}

// askedID makes a usage error of an id that is at fault.
func askedID(err error) error {
	var wrong *replay.IDError
	var many *replay.AmbiguousError
	if errors.As(err, &wrong) || errors.As(err, &many) {
		return usageError{error: err}
	}
	return err
}
