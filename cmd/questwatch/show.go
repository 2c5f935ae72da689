package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/replay"
)

func showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show what is behind something that was found",
		Long:    `Show reads back from the streams of an instance what led to a finding, or what a quest was.`,
		Example: "  questwatch show finding b47c15b0e61be9a6aab1\n  questwatch show quest 42 --at -2h",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(showFindingCommand(), showQuestCommand())
	return cmd
}

func showFindingCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "finding ID",
		Short: "Show the transactions that led to a finding",
		Long: `Show finding prints why there is, or was, a finding: the transactions that led to it,
in their order, with what each changed, and when it was suspected, opened and resolved.

ID is what events and log lines call it; its first digits will do where they are unique.
An instance is found through its data directory (--data), or its NATS server is named
(--nats, --nats-context); where none runs, a copy of the data directory is read. People's
names come from the database, where one is named (--dsn or libpq's variables). All times
are UTC.

Exit status: 0 shown, 2 wrong usage or an id that is not unique, 3 no such finding, no
instance, or another failure.`,
		Example: `  questwatch show finding b47c15b0e61be9a6aab1
  questwatch show finding b47c15 --data /var/lib/questwatch --dsn postgres://me@db/site
  questwatch show finding b47c15 --nats nats://127.0.0.1:4222
  questwatch show finding b47c15 --output json | tail -n 1 | jq .transactions`,
		Args: wantOne("which finding: its ID"),
	}
	limitFlag(cmd, &limit, "show this `NUMBER` of transactions at most: the newest, and those that began and ended it")
	return reports(cmd, ofDatabase|ofInstance, func(c *call, args []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		e, err := app.Explain(c.Context(), &c.config, args[0], limit, c.namesDSN(), c.logger)
		switch {
		case err != nil:
			return err
		case c.asJSON():
			return e.WriteJSON(c.OutOrStdout())
		}
		return c.folded(e.WriteText)
	})
}

func limitFlag(cmd *cobra.Command, to *int, usage string) {
	cmd.Flags().IntVar(to, "limit", replay.DefaultLimit, usage)
}

func checkLimit(limit int) error {
	if limit < 1 || limit > replay.MaxLimit {
		return usageError{error: fmt.Errorf("--limit is %d: want 1 to %d", limit, replay.MaxLimit)}
	}
	return nil
}
