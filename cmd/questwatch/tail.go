package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/tail"
)

// eventGroups are the groups of events.
var eventGroups = []string{"alert", "approval", "audit", "drift", "repair", "status", "stream"}

func tailCommand() *cobra.Command {
	var s settings
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show events as they come",
		Long: `Tail shows the consistency events of a running instance, a line each, as they come:
time (UTC), severity, kind, what happened, and the finding that show finding explains.

The instance is found through its data directory (--data), or its NATS server is named
(--nats, --nats-context). People's names come from the database, where one is named
(--dsn or libpq's variables). Ctrl-C ends it.

Exit status: 0 ended by Ctrl-C or --no-follow, 2 wrong usage, 3 no instance, or another
failure.`,
		Example: `  questwatch tail
  questwatch tail --severity warning --since 1h
  questwatch tail --rule missing_participant --quest 42 --since 2026-11-27T22:00:00Z --no-follow
  questwatch tail --output json | jq .data.quest_id`,
	}
	asJSON := outputFlag(cmd, "an event a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := f.options(cmd.OutOrStdout())
		if err != nil {
			return usageError{error: err}
		}
		if o.JSON, err = asJSON(); err != nil {
			return err
		}
		logger, err := s.load(cmd)
		if err != nil {
			return err
		}
		err = app.Tail(cmd.Context(), &s.config, cmd.OutOrStdout(), o, s.namesDSN(), logger)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	s.common(cmd)
	s.server(cmd)
	f.declare(cmd)
	return cmd
}

// tailFlags are the command's own flags.
type tailFlags struct {
	group, rule, severity, user, since string
	quest                              int64
	noFollow                           bool
}

func (f *tailFlags) declare(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.group, "group", "", "only events of this `GROUP`: "+strings.Join(eventGroups, ", "))
	flags.StringVar(&f.rule, "rule", "", "only events about findings of this `RULE`")
	flags.StringVar(&f.severity, "severity", "", "only events of this `SEVERITY` or a higher one: info, warning, critical")
	flags.Int64Var(&f.quest, "quest", 0, "only events about the quest with this `ID`")
	flags.StringVar(&f.user, "user", "", "only events about the person with this `ID`")
	flags.StringVar(&f.since, "since", "", "begin with what came at this `TIME` (2026-11-27T22:00:00Z), or so long ago (90s, 1h)")
	flags.BoolVar(&f.noFollow, "no-follow", false, "end when all that is there has been shown")
	complete(cmd, "group", eventGroups...)
	complete(cmd, "severity", rule.Info.String(), rule.Warning.String(), rule.Critical.String())
}

func (f *tailFlags) options(w io.Writer) (*tail.Options, error) {
	o := &tail.Options{Filter: tail.Filter{Group: f.group, Quest: f.quest, User: f.user}, End: f.noFollow}
	var err error
	switch {
	case f.group != "" && !slices.Contains(eventGroups, f.group):
		return nil, fmt.Errorf("--group is %q: want one of %s", f.group, strings.Join(eventGroups, ", "))
	case f.quest < 0:
		return nil, fmt.Errorf("--quest is %d: want a quest's id", f.quest)
	case f.noFollow && f.since == "":
		return nil, errors.New("--no-follow shows nothing without --since")
	}
	if f.rule != "" {
		if o.Rule, err = rule.Parse(f.rule); err != nil {
			return nil, fmt.Errorf("--rule: %w", err)
		}
	}
	if f.severity != "" {
		if o.Severity, err = rule.ParseSeverity(f.severity); err != nil {
			return nil, fmt.Errorf("--severity: %w", err)
		}
	}
	if o.Since, err = moment(f.since, time.Now()); err != nil {
		return nil, fmt.Errorf("--since: %w", err)
	}
	o.Color = colored(w)
	return o, nil
}

// moment reads a time, or how long ago one was; the zero time for "".
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := length(text); err == nil {
		if ago < 0 {
			return time.Time{}, fmt.Errorf("%q is in the future", text)
		}
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q is neither a time as in 2026-11-27T22:00:00Z nor a length of time as in 1h or 30d", text)
	case at.After(now):
		return time.Time{}, fmt.Errorf("%s is in the future", text)
	}
	return at, nil
}

// length reads a length of time, in which days may stand alone: 30d.
func length(text string) (time.Duration, error) {
	days, found := strings.CutSuffix(text, "d")
	if n, err := strconv.ParseInt(days, 10, 32); found && err == nil {
		const most = 100 * 365
		return time.Duration(min(max(n, -1), most)) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}
