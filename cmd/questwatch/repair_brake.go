package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/terminal"
)

func repairPauseCommand() *cobra.Command {
	var s settings
	var b remedy.Brake
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Stop automatic repairs until questwatch repair resume",
		Long: `Pause stops automatic repairs, by whichever instance, now and after any restart. When it
returns none is under way any more. What somebody asks for with questwatch repair apply is
still repaired.

Exit status: 0 they are stopped, 2 wrong usage or configuration, or there is no journal,
3 another failure.`,
		Example: `  questwatch repair pause --reason "maintenance until six"`,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.brake(cmd, func(db brakes) error { return db.Stop(cmd.Context(), s.config.Namespace, b) })
	}
	s.common(cmd)
	s.text(cmd, "namespace", "of the instance with this `NAME`", namespaceOf)
	actorFlags(cmd, &b.Actor, &b.Reason)
	return cmd
}

func repairResumeCommand() *cobra.Command {
	var s settings
	var actor string
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Let automatic repairs go on",
		Long: `Resume ends a pause, or the halt by which the program stopped itself when far more was
found than is usual: see first what that was.

Exit status: 0 nothing stops them, 2 wrong usage or configuration, or there is no journal,
3 another failure.`,
		Example: `  questwatch repair resume`,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.brake(cmd, func(db brakes) error { return db.Resume(cmd.Context(), s.config.Namespace, actor) })
	}
	s.common(cmd)
	s.text(cmd, "namespace", "of the instance with this `NAME`", namespaceOf)
	actorFlag(cmd, &actor)
	return cmd
}

// brakes are what the database says of automatic repairs.
type brakes interface {
	Stop(ctx context.Context, namespace string, b remedy.Brake) error
	Resume(ctx context.Context, namespace, actor string) error
	Brake(ctx context.Context, namespace string) (*remedy.Brake, error)
}

// brake changes what stops automatic repairs and says what does so now.
func (s *settings) brake(cmd *cobra.Command, change func(brakes) error) error {
	if err := s.loadRepair(cmd); err != nil {
		return err
	}
	db, err := app.OpenForRepair(cmd.Context(), &s.config)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := change(db); err != nil {
		return err
	}
	b, err := db.Brake(cmd.Context(), s.config.Namespace)
	switch {
	case err != nil:
		return err
	case b == nil:
		return printed(fmt.Fprintln(cmd.OutOrStdout(), "Nothing stops automatic repairs."))
	}
	return printed(fmt.Fprintln(cmd.OutOrStdout(), terminal.Clean("Automatic repairs are "+b.String())))
}

func namespaceOf(c *config.Config) *string { return &c.Namespace }
