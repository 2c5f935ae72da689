package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/replay"
)

func showQuestCommand() *cobra.Command {
	var at string
	var limit int
	cmd := &cobra.Command{
		Use:   "quest ID",
		Short: "Show what a quest was at a moment, and how it came to that",
		Long: `Show quest prints a quest's status, applications, participants and open findings as they
were at a moment, and the transactions that touched it up to then, repairs among them.

The moment is the end of the stream, or --at: a commit's time (2026-11-27T22:00:00Z,
"2026-11-27 22:00:00", -2h, -7d), a position of the database's log (0/1DAE9F8) or a
message's sequence; what committed then counts. All comes from the stream: give the
--config that the instance runs with. An instance is found as by show finding. People's
names come from the database, where one is named. All times are UTC.

Exit status: 0 shown, 2 wrong usage or a moment that is not in the stream, 3 no such
quest, no instance, or another failure.`,
		Example: `  questwatch show quest 42
  questwatch show quest 42 --at 2026-11-27T22:00:00Z --data /var/lib/questwatch
  questwatch show quest 42 --at 0/1DAE9F8 --output json | jq .open`,
		Args: wantOne("which quest: its ID"),
	}
	cmd.Flags().StringVar(&at, "at", "", "show it as it was at this `POINT`; the end of the stream by default")
	limitFlag(cmd, &limit, "show this `NUMBER` of transactions at most, the newest")
	return reports(cmd, ofDatabase|ofInstance, func(c *call, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || id < 1 {
			return usageError{error: fmt.Errorf("%q is no quest's id", args[0])}
		}
		point, err := pastMoment(at)
		if err == nil {
			err = checkLimit(limit)
		}
		if err != nil {
			return usageError{error: err}
		}
		m, err := app.ShowQuest(c.Context(), &c.config, id, point, limit, c.namesDSN(), c.logger)
		switch {
		case err != nil:
			return err
		case c.asJSON():
			return m.WriteJSON(c.OutOrStdout())
		}
		return c.folded(m.WriteText)
	})
}

// pastMoment reads a point that is one moment; none for "".
func pastMoment(text string) (replay.Point, error) {
	point, err := replay.ParsePoint(text, time.Now())
	if err == nil && point.Baseline {
		err = errors.New("baseline is no moment")
	}
	if err != nil {
		return point, fmt.Errorf("--at: %w", err)
	}
	return point, nil
}
