package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/tail"
	"github.com/peerquest/questwatch/internal/timetable"
)

// eventGroups are the groups of events.
var eventGroups = []string{"alert", "approval", "audit", "drift", "repair", "status", "stream"}

func tailCommand() *cobra.Command {
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
	f.declare(cmd)
	reports(cmd, ofDatabase|ofInstance, func(c *call, _ []string) error {
		o, err := f.options(c.OutOrStdout())
		if err != nil {
			return usageError{error: err}
		}
		if o.User != "" {
			if o.User, err = app.TailedUser(c.Context(), &c.config, c.wantsDSN(), o.User); err != nil {
				return err
			}
		}
		o.JSON = c.asJSON()
		show := func(w io.Writer) error { return app.Tail(c.Context(), &c.config, w, o, c.namesDSN(), c.logger) }
		if o.JSON {
			err = show(c.OutOrStdout())
		} else {
			err = c.folded(show)
		}
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
	cmd.Flags().Lookup("output").Usage = "`FORMAT`: text or json, an event a line"
	return cmd
}

// tailFlags are the command's own flags.
type tailFlags struct {
	group, severity   *string
	rule, user, since string
	quest             int64
	noFollow          bool
	given             func(flag string) bool
}

func (f *tailFlags) declare(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.given = flags.Changed
	f.group = choose(cmd, "group", "only events of this `GROUP`: "+strings.Join(eventGroups, ", "), "", eventGroups...)
	flags.StringVar(&f.rule, "rule", "", "only events about findings of this `RULE`")
	f.severity = choose(cmd, "severity", "only events of this `SEVERITY` or a higher one: info, warning, critical", "",
		rule.Info.String(), rule.Warning.String(), rule.Critical.String())
	flags.Int64Var(&f.quest, "quest", 0, "only events about the quest with this `ID`")
	flags.StringVar(&f.user, "user", "", "only events about this `PERSON`: an id, or a name that the database has")
	flags.StringVar(&f.since, "since", "", "begin with what came at this `TIME` (2026-11-27T22:00:00Z), or so long ago (90s, 1h)")
	flags.BoolVar(&f.noFollow, "no-follow", false, "end when all that is there has been shown")
}

func (f *tailFlags) options(w io.Writer) (*tail.Options, error) {
	o := &tail.Options{Filter: tail.Filter{Group: *f.group, Quest: f.quest, User: f.user}, End: f.noFollow}
	var err error
	switch {
	case f.quest < 0, f.quest == 0 && f.given("quest"):
		return nil, fmt.Errorf("--quest is %d: want a quest's id", f.quest)
	case f.user == "" && f.given("user"):
		return nil, errors.New("--user is empty: name somebody, or leave it out")
	case f.noFollow && f.since == "":
		return nil, errors.New("--no-follow shows nothing without --since")
	}
	if f.rule != "" {
		if o.Rule, err = rule.Parse(f.rule); err != nil {
			return nil, fmt.Errorf("--rule: %w", err)
		}
	}
	if *f.severity != "" {
		if o.Severity, err = rule.ParseSeverity(*f.severity); err != nil {
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
	at, err := timetable.ParseMoment(text, now)
	switch {
	case errors.Is(err, timetable.ErrFuture):
		return at, fmt.Errorf("%q %w", text, err)
	case err != nil:
		return at, fmt.Errorf("%q is neither a time as in 2026-11-27T22:00:00Z nor a length of time as in 1h or 30d", text)
	}
	return at, nil
}
