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
	"golang.org/x/term"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/trend"
)

func trendsCommand() *cobra.Command {
	var s settings
	var since, by, output string
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
(--nats, --nats-context).

Exit status: 0 shown, 2 wrong usage, 3 no instance, or another failure.`,
		Example: `  questwatch trends --since 30d
  questwatch trends --since 24h
  questwatch trends --since 2026-10-01T00:00:00Z --output csv > trends.csv
  questwatch trends --output json | jq '.rules[] | {rule, total}'`,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		now := time.Now()
		from, pieces, err := trendsOf(since, by, output, now)
		if err != nil {
			return usageError{error: err}
		}
		logger, err := s.load(cmd)
		if err != nil {
			return err
		}
		book, err := app.Trends(cmd.Context(), &s.config, logger)
		if err != nil {
			return err
		}
		report := book.Report(from, now, pieces)
		switch output {
		case "json":
			return printJSON(cmd, report)
		case "csv":
			return report.WriteCSV(cmd.OutOrStdout())
		}
		return report.WriteText(cmd.OutOrStdout(), lookOf(cmd.OutOrStdout()))
	}
	s.base(cmd)
	s.server(cmd)
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "30d", "begin at this `TIME` (2026-11-27T22:00:00Z), or so long ago (24h, 30d)")
	flags.StringVar(&by, "by", "", "count by `PIECE`: hour or day; by default days, or hours of two days at most")
	flags.StringVar(&output, "output", "text", "`FORMAT`: text, json (one last line) or csv")
	complete(cmd, "by", "hour", "day")
	complete(cmd, "output", "text", "json", "csv")
	return cmd
}

// trendsOf reads what somebody asks for; without by it is days, or hours of two days at
// most.
func trendsOf(since, by, output string, now time.Time) (from time.Time, pieces trend.Piecewise, err error) {
	from, err = moment(since, now)
	if err == nil && from.IsZero() {
		err = errors.New("it is empty")
	}
	if err != nil {
		return from, 0, fmt.Errorf("--since: %w", err)
	}
	switch {
	case by == "hour", by == "" && now.Sub(from) <= 2*24*time.Hour:
		pieces = trend.ByHour
	case by == "day", by == "":
		pieces = trend.ByDay
	default:
		return from, 0, fmt.Errorf("--by is %q: want hour or day", by)
	}
	if output != "text" && output != "json" && output != "csv" {
		err = fmt.Errorf("--output is %q: want text, json or csv", output)
	}
	return from, pieces, err
}

// lookOf is what the output can show: a plot is for people.
func lookOf(w io.Writer) trend.Look {
	out, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(out.Fd())) {
		return trend.Look{}
	}
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return trend.Look{
		Plot: true, Blocks: strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8"),
		Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}
