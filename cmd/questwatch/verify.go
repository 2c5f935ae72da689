package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/terminal"
)

func verifyCommand() *cobra.Command {
	var s settings
	var output string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Have a running instance compare its state with its database",
		Long: `Verify asks the instance that is running to compare what it holds in memory with what
the database holds, quest by quest and at the same position, while both go on. The
instance does so by itself every hour too (watch.verify_every).

A difference is told in the instance's log and status and as audit.mismatch events; the
instance then takes a new baseline, which replaces its state.

Exit status: 0 all quests are equal, 1 some differ, 2 wrong usage or configuration, 3 a
failure: nobody answers, or some quests could not be compared.`,
		Example: `  questwatch verify --data /var/lib/questwatch
  questwatch verify --nats nats://nats.example:4222
  questwatch verify --output json | jq .mismatches`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usageError{error: fmt.Errorf("--output is %q: want text or json", output)}
			}
			logger, err := s.load(cmd)
			if err != nil {
				return err
			}
			progress, done := progressBar(cmd.ErrOrStderr(), "verify")
			result, err := app.AskToVerify(cmd.Context(), &s.config, func(p verify.Progress) {
				if progress != nil && p.Quests > 0 {
					progress(int64(p.Done), int64(p.Quests))
				}
			}, logger)
			done()
			if err != nil {
				return err
			}
			return report(cmd, result, output == "json")
		},
	}
	s.base(cmd)
	s.server(cmd)
	cmd.Flags().StringVar(&output, "output", "text", "`FORMAT`: text, or json (one last line)")
	complete(cmd, "output", "text", "json")
	return cmd
}

// report prints a comparison and turns it into how the program ends.
func report(cmd *cobra.Command, result *verify.Result, asJSON bool) error {
	text := result.String()
	if asJSON {
		line, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("encode the result: %w", err)
		}
		text = string(terminal.JSON(line)) + "\n"
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), text)
	switch {
	case err != nil:
		return fmt.Errorf("print the result: %w", err)
	case result.Mismatched > 0:
		return statusError(exitFindings)
	case !result.Equal():
		return statusError(exitFailure)
	}
	return nil
}
