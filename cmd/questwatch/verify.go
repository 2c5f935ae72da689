package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/config"
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
			if _, err := s.load(cmd); err != nil {
				return err
			}
			progress, done := progressBar(cmd.ErrOrStderr(), "verify")
			result, err := app.AskToVerify(cmd.Context(), &s.config, func(p verify.Progress) {
				if progress != nil && p.Quests > 0 {
					progress(int64(p.Done), int64(p.Quests))
				}
			})
			done()
			if err != nil {
				return err
			}
			return report(cmd, result, output == "json")
		},
	}
	s.base(cmd)
	s.text(cmd, "data", "the data `DIR` of the instance's embedded NATS server", func(c *config.Config) *string { return &c.Data })
	s.text(cmd, "nats", "the `URL` of the external NATS server that the instance uses; NATS_URL works too", func(c *config.Config) *string { return &c.NATS.URL })
	s.text(cmd, "nats-context", "reach that server as the nats command's context `NAME` says", func(c *config.Config) *string { return &c.NATS.Context })
	s.text(cmd, "namespace", "first part of the instance's stream and subject `NAME`s", func(c *config.Config) *string { return &c.Namespace })
	cmd.Flags().StringVar(&output, "output", "text", "`FORMAT`: text, or json (one last line)")
	complete(cmd, "output", "text", "json")
	return cmd
}

// report prints a comparison and turns it into how the program ends.
func report(cmd *cobra.Command, result *verify.Result, asJSON bool) (err error) {
	if asJSON {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(result)
	} else {
		_, err = fmt.Fprint(cmd.OutOrStdout(), result)
	}
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
