package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/remedy"
)

func repairUndoCommand() *cobra.Command {
	var actor, reason string
	cmd := &cobra.Command{
		Use:   "undo ENTRY",
		Short: "Take a repair back",
		Long: `Undo restores what the rows were before a repair, in one transaction, and writes that
down in the journal. It refuses where somebody has changed one of those rows since, and
says which column. ENTRY is its number in questwatch repair log. No instance need run.

What was undone is never repaired automatically again.

Exit status: 0 undone, 2 wrong usage or configuration, or no such entry, 3 it was refused,
or another failure.`,
		Example: `  questwatch repair undo 12 --reason "was right as it was"`,
		Args:    wantOne("which repair: its number in questwatch repair log"),
	}
	actorFlags(cmd, &actor, &reason)
	return reports(cmd, ofDatabase, func(c *call, args []string) error {
		entry, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || entry < 1 {
			return usageError{error: fmt.Errorf("%q is no entry's number: see questwatch repair log", args[0])}
		}
		return c.undoRepair(entry, actor, reason)
	})
}

func (c *call) undoRepair(entry int64, actor, reason string) error {
	if err := c.forRepair(); err != nil {
		return err
	}
	db, err := app.OpenForRepair(c.Context(), &c.config)
	if err != nil {
		return err
	}
	defer db.Close()
	undoing, err := db.Undo(c.Context(), entry, actor, reason)
	switch {
	case errors.Is(err, remedy.ErrNoEntry):
		return usageError{error: err}
	case err != nil:
		return err
	case c.asJSON():
		return c.json(logOf(undoing))
	}
	names, err := db.Usernames(c.Context(), peopleOf([]remedy.Entry{*undoing}))
	if err != nil {
		return err
	}
	return c.say("%s", entryText(undoing, names))
}

// actorFlags declares who asks for something, and why.
func actorFlags(cmd *cobra.Command, actor, reason *string) {
	actorFlag(cmd, actor)
	cmd.Flags().StringVar(reason, "reason", "", "why, in `WORDS`, for the journal")
}

func actorFlag(cmd *cobra.Command, actor *string) {
	cmd.Flags().StringVar(actor, "actor", whoami(), "`WHO` asks for it, for the journal")
	cmd.Flags().Lookup("actor").DefValue = "the user of this system"
}
