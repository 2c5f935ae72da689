package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/terminal"
)

func alertSilenceCommand() *cobra.Command {
	var one alert.Silence
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "silence",
		Short: "Tell nobody of a rule, a quest or a user for a time",
		Long: `Silence keeps all channels but an Alertmanager, which has silences of its own, from telling
of what is about a rule, a quest, a user, or all that are given together, until its end. What
happens meanwhile is in the events and in questwatch tail, and is not told later.

It says how many of the findings that are open now it covers. A user may be given by name,
which is looked up in the database.

It is in force within some seconds, outlives restarts, and ends by itself. Exit status: 0 it is
kept, 2 wrong usage or configuration, 3 another failure.`,
		Example: `  questwatch alert silence --quest 42 --for 2h --reason "being mended"
  questwatch alert silence --rule orphan_participant --for 24h`,
		Args: cobra.NoArgs,
	}
	names := make([]string, 0, len(rule.All))
	for _, r := range rule.All {
		names = append(names, r.String())
	}
	cmd.Flags().StringVar(&one.Rule, "rule", "", "about the rule `NAME`: "+strings.Join(names, ", "))
	complete(cmd, "rule", names...)
	cmd.Flags().Int64Var(&one.Quest, "quest", 0, "about the quest with the `ID`")
	cmd.Flags().StringVar(&one.User, "user", "", "about the user with the `ID`, as events have it, or with the name")
	spanFlag(cmd, &length, "for", "for how `LONG`, as in 90m, 24h or 7d; 30d at most")
	actorFlags(cmd, &one.Actor, &one.Reason)
	cmd.Flags().Lookup("actor").Usage, cmd.Flags().Lookup("reason").Usage = "`WHO` asks for it", "why, in `WORDS`"
	return reports(cmd, ofDatabase|ofInstance, func(c *call, _ []string) error {
		one.Since = time.Now().UTC().Truncate(time.Second)
		one.Until = one.Since.Add(length)
		if err := one.Check(); err != nil {
			return usageError{error: err}
		}
		return c.silences(func(kept *app.Silences) error { return c.addSilence(kept, one) })
	})
}

// keptSilence is one that was asked for, and what it covers of what is open now.
type keptSilence struct {
	alert.Silence
	Open    int    `json:"open_findings"`
	Covered int    `json:"open_covered"`
	Unknown string `json:"open_error,omitempty"` // why both are not known
}

func (c *call) addSilence(silences *app.Silences, one alert.Silence) error {
	open, unknown := silences.Open(c.Context())
	who, err := one.User, error(nil)
	if who != "" {
		one.User, err = app.Person(c.Context(), &c.config, c.wantsDSN(), who, open)
	}
	if err == nil {
		err = silences.Add(c.Context(), &one)
	}
	if err != nil {
		return err
	}
	kept := keptSilence{Silence: one, Open: len(open)}
	if unknown != nil {
		kept.Unknown = unknown.Error()
	}
	for i := range open {
		if one.About(&open[i]) {
			kept.Covered++
		}
	}
	return c.show(&kept, func() string {
		lines := []string{silenceLine(&one)}
		if !strings.EqualFold(who, one.User) {
			lines = append(lines, terminal.Clean(fmt.Sprintf("%s is the user %s.", who, one.User)))
		}
		lines = append(lines, terminal.Clean(kept.covers()), fmt.Sprintf("questwatch alert unsilence %s ends it.\n", one.ID))
		return strings.Join(lines, "\n")
	})
}

func (k *keptSilence) covers() string {
	switch {
	case k.Unknown != "":
		return "How many of the findings that are open now it covers is not known: " + k.Unknown
	case k.Covered == 0:
		return fmt.Sprintf("It matches nothing that is open now (%d findings are); it will hold for what comes.", k.Open)
	}
	return fmt.Sprintf("It covers %d of the %d findings that are open now.", k.Covered, k.Open)
}

func alertSilencesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "silences",
		Short: "List the silences that are in force",
		Long: `Silences lists what nobody is told of now, until when, for whom and why; the first to end
first. questwatch status shows them too.

Exit status: 0 listed, 2 wrong usage or configuration, 3 no instance, or another failure.`,
		Example: `  questwatch alert silences --output json`,
		Args:    cobra.NoArgs,
	}
	return reports(cmd, ofInstance, func(c *call, _ []string) error {
		return c.silences(func(kept *app.Silences) error {
			list, err := kept.List(c.Context())
			if err != nil {
				return err
			}
			return c.show(list, func() string {
				var lines strings.Builder
				for i := range list {
					lines.WriteString(silenceLine(&list[i]) + "\n")
				}
				return cmp.Or(lines.String(), "Nothing is silenced.\n")
			})
		})
	})
}

func alertUnsilenceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unsilence ID",
		Short: "End a silence before its time",
		Long: `Unsilence ends a silence, within some seconds. What a channel was not told of meanwhile it is
not told now, but for what it had to put off.

Exit status: 0 it is over, 2 wrong usage, or there is no such silence, 3 no instance, or
another failure.`,
		Example: `  questwatch alert unsilence k3m2xq`,
		Args:    wantOne("which silence: its ID, as in questwatch alert silences"),
	}
	return runs(cmd, ofInstance, func(c *call, args []string) error {
		return c.silences(func(kept *app.Silences) error {
			if err := kept.End(c.Context(), args[0]); err != nil {
				return err
			}
			return c.say("Silence %s is over.\n", args[0])
		})
	})
}

func silenceLine(one *alert.Silence) string { return terminal.Clean(one.ID + "  " + one.String()) }

// silences does something with the silences of the instance that the settings mean.
func (c *call) silences(do func(*app.Silences) error) error {
	kept, err := app.ConnectSilences(c.Context(), &c.config, c.logger)
	if err != nil {
		return err
	}
	defer kept.Close()
	return do(kept)
}
