package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/terminal"
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

// repairs is the running instance that the settings mean.
func (s *settings) repairs(cmd *cobra.Command) (*app.Repairs, error) {
	logger, err := s.load(cmd)
	if err != nil {
		return nil, err
	}
	return app.ConnectRepairs(cmd.Context(), &s.config, logger)
}

// askedWell makes a usage error of one that is the asker's.
func askedWell(err error) error {
	if asked := new(app.AskedError); errors.As(err, &asked) {
		return usageError{error: err}
	}
	return err
}

// outputFlag declares the flag for the form of what is printed, json being one last line
// unless it is said what else, and returns how to check it.
func outputFlag(cmd *cobra.Command, jsonIs ...string) (asJSON func() (bool, error)) {
	format := cmd.Flags().String("output", "text", "`FORMAT`: text, or json: "+append(jsonIs, "one last line")[0])
	complete(cmd, "output", "text", "json")
	return func() (bool, error) {
		if *format != "text" && *format != "json" {
			return false, usageError{error: fmt.Errorf("--output is %q: want text or json", *format)}
		}
		return *format == "json", nil
	}
}

// printJSON prints a result as one line.
func printJSON(cmd *cobra.Command, result any) error {
	line, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	return printed(fmt.Fprintln(cmd.OutOrStdout(), string(terminal.JSON(line))))
}

// printed is the error of printing a result.
func printed(_ int, err error) error {
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
