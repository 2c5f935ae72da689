// Command bench measures questwatch; scripts/bench builds and runs it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/bench"
	"github.com/peerquest/questwatch/internal/testkit"
)

func main() {
	testkit.ServeChildren()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// report is a result that can be shown to a person.
type report interface{ Table() string }

func root() *cobra.Command {
	var o bench.Options
	var output string
	cmd := &cobra.Command{
		Use:           "bench",
		Short:         "Measure questwatch beside pg_recvlogical, on a private Postgres",
		SilenceErrors: true, SilenceUsage: true,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.Binary, "binary", "bin/questwatch", "the program to measure")
	flags.StringVar(&output, "output", "text", "text, or json: one last line")
	flags.IntVar(&o.Rows, "rows", 1_000_000, "row changes of the backlog; five make an approval")
	flags.IntVar(&o.Rounds, "rounds", 5, "rounds; every figure is a median over them")
	flags.DurationVar(&o.For, "for", 30*time.Second, "how long latency's traffic runs in a round")
	flags.IntVar(&o.Rate, "rate", 500, "latency's approvals a second")
	flags.StringSliceVar(&o.Cases, "case", nil, "measure these only: "+strings.Join(bench.Cases(), ", "))
	add := func(use, short string, run func(context.Context) (report, error)) {
		cmd.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			if err := check(&o, output); err != nil {
				return err
			}
			o.Say = func(format string, args ...any) { fmt.Fprintf(os.Stderr, "== "+format+"\n", args...) }
			result, err := run(c.Context())
			if err != nil {
				return err // with no result
			}
			if output == "json" {
				return json.NewEncoder(os.Stdout).Encode(map[string]any{use: result})
			}
			_, err = fmt.Print(result.Table())
			return err
		}})
	}
	add("drain", "drain a backlog of one approval a transaction", func(ctx context.Context) (report, error) { return bench.RunDrain(ctx, o, 0) })
	add("drain-large", "drain the same rows in five transactions", func(ctx context.Context) (report, error) { return bench.RunDrain(ctx, o, 5) })
	add("latency", "time approvals that come at an even pace", func(ctx context.Context) (report, error) { return bench.RunLatency(ctx, o) })
	add("state", "start on a stream of many quests", func(ctx context.Context) (report, error) { return bench.RunState(ctx, o) })
	return cmd
}

func check(o *bench.Options, output string) error {
	if output != "text" && output != "json" {
		return fmt.Errorf("--output is %q: want text or json", output)
	}
	if o.Rows < 10_000 || o.Rounds < 1 || o.For <= 0 || o.Rate < 1 {
		return fmt.Errorf("--rows must be at least 10000, --rounds, --for and --rate above 0")
	}
	for _, name := range o.Cases {
		if !slices.Contains(bench.Cases(), name) {
			return fmt.Errorf("--case %q: known are %s", name, strings.Join(bench.Cases(), ", "))
		}
	}
	return nil
}
