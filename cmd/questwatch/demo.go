package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/demo"
)

func demoCommand() *cobra.Command {
	var o demo.Options
	var output, repair *string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show it at work on a private Postgres, and prove the result",
		Long: `Demo starts a private Postgres in a temporary folder, loads PeerQuest's tables with
five old inconsistencies, and lets simulated people apply, approve, kick, leave and
complete, with failures injected. The real program watches. At the end what it found
is compared with what the simulator knows.

Exit status: 0 all was found and nothing else, 1 not so, 3 the demo failed.`,
		Example: `  questwatch demo --for 30s
  questwatch demo --for 1m --keep /tmp/quests
  questwatch demo --for 30s --repair auto
  questwatch demo --for 30s --output json | tail -n 1 | jq .detect_after_commit_ms`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.For < 0 {
				return usageError{error: errors.New("--for must not be negative")}
			}
			if !(o.Rate > 0) || math.IsInf(o.Rate, 1) { // not a number is not above 0
				return usageError{error: errors.New("--rate must be a number above 0")}
			}
			o.Repair = *repair == "auto"
			return runDemo(cmd, o, *output == "json")
		},
	}
	spanFlag(cmd, &o.For, "for", "end by itself after this `TIME`; 0 runs until Ctrl-C")
	cmd.Flags().StringVar(&o.Keep, "keep", "", "use `DIR`, new or empty, as data directory and keep it")
	cmd.Flags().Float64Var(&o.Rate, "rate", 100, "`NUMBER` of transactions a second")
	cmd.Flags().Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "`SEED` of the traffic; the same one makes the same decisions")
	cmd.Flags().Lookup("seed").DefValue = "by the clock"
	repair = choose(cmd, "repair", "`MODE` of repairs: plan, or auto, which repairs what is found", "plan", "plan", "auto")
	output = outputFlag(cmd, "text", "json")
	return cmd
}

func runDemo(cmd *cobra.Command, o demo.Options, asJSON bool) error {
	out := cmd.OutOrStdout()
	o.Out = out
	if asJSON {
		o.Out = cmd.ErrOrStderr()
	}
	o.Live, o.Color = onTerminal(o.Out), colored(o.Out)
	result, err := demo.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	fmt.Fprint(o.Out, result.Report(func(good bool, text string) string { return paint(o.Color, good, text) }))
	if o.Keep != "" {
		fmt.Fprintf(o.Out, "  kept: %s\n", o.Keep)
	}
	if asJSON {
		if err := json.NewEncoder(out).Encode(result); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
	}
	if !result.Good() {
		return statusError(exitFindings)
	}
	return nil
}

func paint(color, good bool, text string) string {
	switch {
	case !color:
		return text
	case good:
		return "\x1b[32m" + text + "\x1b[0m"
	}
	return "\x1b[31m" + text + "\x1b[0m"
}
