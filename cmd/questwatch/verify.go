package main

import (
	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/audit/verify"
)

func verifyCommand() *cobra.Command {
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
	}
	return reports(cmd, ofInstance, func(c *call, _ []string) error {
		progress, done := progressBar(c.ErrOrStderr(), "verify")
		result, err := app.AskToVerify(c.Context(), &c.config, func(p verify.Progress) {
			if progress != nil && p.Quests > 0 {
				progress(int64(p.Done), int64(p.Quests))
			}
		}, c.logger)
		done()
		if err == nil {
			err = c.show(result, result.String)
		}
		switch {
		case err != nil:
			return err
		case result.Mismatched > 0:
			return statusError(exitFindings)
		case !result.Equal():
			return statusError(exitFailure)
		}
		return nil
	})
}
