package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/trend"
)

func trendsCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "trends",
		Short: "Show how many findings there were, by rule and over time",
		Long: `Trends shows by rule how many findings were opened, resolved and repaired, how many are
open at the end, and how long it took to find them and until they were over. A year is
kept. Hours and days are those of UTC; the first one is whole. What a baseline showed is
in columns of its own (json, csv), and in what is open.

On a terminal there is a plot of what was opened, in colour unless NO_COLOR is set. The
numbers come from the counts that a running instance keeps and from the events after
them; without kept counts all events are read.

The instance is found through its data directory (--data), or its NATS server is named
(--nats, --nats-context); where none runs, a copy of the data directory is read.

Exit status: 0 shown, 2 wrong usage, 3 no instance, or another failure.`,
		Example: `  questwatch trends --since 30d
  questwatch trends --since 24h
  questwatch trends --since 2026-10-01T00:00:00Z --output csv > trends.csv
  questwatch trends --output json | jq '.rules[] | {rule, total}'`,
	}
	cmd.Flags().StringVar(&since, "since", "30d", "begin at this `TIME` (2026-11-27T22:00:00Z), or so long ago (24h, 30d)")
	by := choose(cmd, "by", "count by `PIECE`: hour or day; by default days, or hours of two days at most", "", "hour", "day")
	return reports(cmd, ofInstance, func(c *call, _ []string) error {
		now := time.Now()
		from, err := moment(since, now)
		if err == nil && from.IsZero() {
			err = errors.New("it is empty")
		}
		if err != nil {
			return usageError{error: fmt.Errorf("--since: %w", err)}
		}
		pieces := trend.ByDay
		if *by == "hour" || *by == "" && now.Sub(from) <= 2*24*time.Hour {
			pieces = trend.ByHour
		}
		book, err := app.Trends(c.Context(), &c.config, c.logger)
		if err != nil {
			return err
		}
		report := book.Report(from, now, pieces)
		switch *c.output {
		case "json":
			return c.json(report)
		case "csv":
			return report.WriteCSV(c.OutOrStdout())
		}
		return report.WriteText(c.OutOrStdout(), lookOf(c.OutOrStdout()))
	}, "text", "json", "csv")
}

// lookOf is what the output can show: a plot is for people.
func lookOf(w io.Writer) trend.Look {
	if !onTerminal(w) {
		return trend.Look{}
	}
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return trend.Look{
		Plot: true, Blocks: strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8"),
		Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}
