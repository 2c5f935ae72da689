package main

import (
	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
)

func repairCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "See what can be repaired, and repair it",
		Long: `Repair shows the open findings with what would mend them, and has the running instance
carry that out: under the quest's lock, after looking once more, with a row in the
journal. What is never repaired, such as somebody who left, is never repaired here
either.

With repair.mode auto the instance repairs by itself what a failure left behind, and
nothing else.`,
		Example: `  questwatch repair list
  questwatch repair show b47c15
  questwatch repair apply b47c15 --reason "ticket 4711"
  questwatch repair log --since 24h
  questwatch repair undo 12
  questwatch repair pause --reason "maintenance"`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(repairListCommand(), repairShowCommand(), repairApplyCommand(),
		repairLogCommand(), repairUndoCommand(), repairPauseCommand(), repairResumeCommand())
	return cmd
}

// repairs connects to the running instance that the settings mean.
func (c *call) repairs() (*app.Repairs, error) {
	return app.ConnectRepairs(c.Context(), &c.config, c.logger)
}
