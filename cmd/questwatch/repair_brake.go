package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/terminal"
)

func repairPauseCommand() *cobra.Command {
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
	actorFlags(cmd, &b.Actor, &b.Reason)
	return runs(cmd, ofDatabase|ofNamespace, func(c *call, _ []string) error {
		return c.brake(func(db brakes) error { return db.Stop(c.Context(), c.config.Namespace, b) })
	})
}

func repairResumeCommand() *cobra.Command {
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
	actorFlag(cmd, &actor)
	return runs(cmd, ofDatabase|ofNamespace, func(c *call, _ []string) error {
		return c.brake(func(db brakes) error { return db.Resume(c.Context(), c.config.Namespace, actor) })
	})
}

// brakes are what the database says of automatic repairs.
type brakes interface {
	Stop(ctx context.Context, namespace string, b remedy.Brake) error
	Resume(ctx context.Context, namespace, actor string) error
	Brake(ctx context.Context, namespace string) (*remedy.Brake, error)
}

// brake changes what stops automatic repairs and says what does so now.
func (c *call) brake(change func(brakes) error) error {
	if err := c.forRepair(); err != nil {
		return err
	}
	db, err := app.OpenForRepair(c.Context(), &c.config)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := change(db); err != nil {
		return err
	}
	b, err := db.Brake(c.Context(), c.config.Namespace)
	switch {
	case err != nil:
		return err
	case b == nil:
		return c.say("Nothing stops automatic repairs.\n")
	}
	return c.say("%s\n", terminal.Clean("Automatic repairs are "+b.String()))
}
