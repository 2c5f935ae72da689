package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
)

func alertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alert",
		Short: "Try the channels that alert people and services, and silence them",
		Long: `Alerts are sent by the running instance, over the channels that its configuration sets up
under "alert". See README for what they say, and when.`,
		Example: `  questwatch alert test slack --config questwatch.yaml
  questwatch alert silence --quest 42 --for 2h --reason "being mended"`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(alertTestCommand(), alertSilenceCommand(), alertSilencesCommand(), alertUnsilenceCommand())
	return cmd
}

func alertTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test CHANNEL",
		Short: "Send a test over a channel",
		Long: `Test sends a notice that says that it is a test over one of the channels that are set up, such
as webhook or slack, once and from this machine, and prints what came back: the HTTP status,
or what the mail server or the command said. It needs no running instance.

Exit status: 0 the other side has taken it, 2 wrong usage or configuration, or the channel is
not set up, 3 it was not taken.`,
		Example: `  questwatch alert test slack --config questwatch.yaml
  QUESTWATCH_ALERT_WEBHOOK_URL=https://alerts.example/questwatch questwatch alert test webhook`,
		Args: wantOne("which channel to test, such as slack"),
	}
	return reports(cmd, ofNamespace, func(c *call, args []string) error {
		began := time.Now()
		answer, err := app.TryAlert(c.Context(), &c.config, args[0], c.logger)
		if err != nil {
			return err
		}
		took := time.Since(began).Round(time.Millisecond)
		return c.show(map[string]any{"channel": args[0], "answer": answer, "took_ms": took.Milliseconds()}, func() string {
			return fmt.Sprintf("%s has taken a test, in %v: %s\n", args[0], took, answer)
		})
	})
}
