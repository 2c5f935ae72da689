package main

import (
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
	var s settings
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
	asJSON := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wantJSON, err := asJSON()
		if err != nil {
			return err
		}
		one.Since = time.Now().UTC().Truncate(time.Second)
		one.Until = one.Since.Add(length)
		if err := one.Check(); err != nil {
			return usageError{error: err}
		}
		return s.silences(cmd, func(kept *app.Silences) error { return s.addSilence(cmd, kept, one, wantJSON) })
	}
	s.common(cmd)
	s.server(cmd)
	names := make([]string, 0, len(rule.All))
	for _, r := range rule.All {
		names = append(names, r.String())
	}
	cmd.Flags().StringVar(&one.Rule, "rule", "", "about the rule `NAME`: "+strings.Join(names, ", "))
	complete(cmd, "rule", names...)
	cmd.Flags().Int64Var(&one.Quest, "quest", 0, "about the quest with the `ID`")
	cmd.Flags().StringVar(&one.User, "user", "", "about the user with the `ID`, as events have it, or with the name")
	cmd.Flags().DurationVar(&length, "for", 0, "for how `LONG`, as in 90m or 24h; 720h at most")
	actorFlags(cmd, &one.Actor, &one.Reason)
	cmd.Flags().Lookup("actor").Usage, cmd.Flags().Lookup("reason").Usage = "`WHO` asks for it", "why, in `WORDS`"
	return cmd
}

// keptSilence is one that was asked for, and what it covers of what is open now.
type keptSilence struct {
	alert.Silence
	Open    int    `json:"open_findings"`
	Covered int    `json:"open_covered"`
	Unknown string `json:"open_error,omitempty"` // why both are not known
}

func (s *settings) addSilence(cmd *cobra.Command, silences *app.Silences, one alert.Silence, asJSON bool) error {
	open, unknown := silences.Open(cmd.Context())
	who, err := one.User, error(nil)
	if who != "" {
		one.User, err = app.Person(cmd.Context(), &s.config, s.wantsDSN(), who, open)
	}
	if err == nil {
		err = silences.Add(cmd.Context(), &one)
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
	if asJSON {
		return printJSON(cmd, &kept)
	}
	lines := []string{silenceLine(&one)}
	if !strings.EqualFold(who, one.User) {
		lines = append(lines, fmt.Sprintf("%s is the user %s.", who, one.User))
	}
	lines = append(lines, kept.covers(), fmt.Sprintf("questwatch alert unsilence %s ends it.", one.ID))
	for _, text := range lines {
		if err := printed(fmt.Fprintln(cmd.OutOrStdout(), terminal.Clean(text))); err != nil {
			return err
		}
	}
	return nil
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
	var s settings
	cmd := &cobra.Command{
		Use:   "silences",
		Short: "List the silences that are in force",
		Long: `Silences lists what nobody is told of now, until when, for whom and why; the first to end
first. questwatch status shows them too.

Exit status: 0 listed, 2 wrong usage or configuration, 3 no instance, or another failure.`,
		Example: `  questwatch alert silences --output json`,
		Args:    cobra.NoArgs,
	}
	asJSON := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wantJSON, err := asJSON()
		if err != nil {
			return err
		}
		return s.silences(cmd, func(kept *app.Silences) error {
			list, err := kept.List(cmd.Context())
			switch {
			case err != nil:
				return err
			case wantJSON:
				return printJSON(cmd, list)
			case len(list) == 0:
				return printed(fmt.Fprintln(cmd.OutOrStdout(), "Nothing is silenced."))
			}
			for i := range list {
				if err := printed(fmt.Fprintln(cmd.OutOrStdout(), silenceLine(&list[i]))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	s.base(cmd)
	s.server(cmd)
	return cmd
}

func alertUnsilenceCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "unsilence ID",
		Short: "End a silence before its time",
		Long: `Unsilence ends a silence, within some seconds. What a channel was not told of meanwhile it is
not told now, but for what it had to put off.

Exit status: 0 it is over, 2 wrong usage, or there is no such silence, 3 no instance, or
another failure.`,
		Example: `  questwatch alert unsilence k3m2xq`,
		Args:    wantOne("which silence: its ID, as in questwatch alert silences"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.silences(cmd, func(kept *app.Silences) error {
				if err := kept.End(cmd.Context(), args[0]); err != nil {
					return err
				}
				return printed(fmt.Fprintf(cmd.OutOrStdout(), "Silence %s is over.\n", args[0]))
			})
		},
	}
	s.base(cmd)
	s.server(cmd)
	return cmd
}

func silenceLine(one *alert.Silence) string { return terminal.Clean(one.ID + "  " + one.String()) }

// silences does something with the silences of the instance that the settings mean.
func (s *settings) silences(cmd *cobra.Command, do func(*app.Silences) error) error {
	logger, err := s.load(cmd)
	if err != nil {
		return err
	}
	kept, err := app.ConnectSilences(cmd.Context(), &s.config, logger)
	if err != nil {
		return err
	}
	defer kept.Close()
	return askedWell(do(kept))
}
