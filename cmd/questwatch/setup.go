package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
)

func setupCommand() *cobra.Command {
	var s settings
	var printOnly bool
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Make the journal of repairs in the database",
		Long: `Setup makes schema questwatch in the application's database: the journal of repairs, what
stops automatic ones, and the function that locks a quest. Nothing is repaired without
it, by audit --fix excepted. It touches no table of the application, may be run again at
any time, and does nothing where all is there.

Run it as a role that owns the application's tables and may create in the database; or
print the SQL and have it run by somebody who may. deploy/postgres/roles.sql grants what
the roles of the program need.

Exit status: 0 all is there, 2 wrong usage, configuration or rights, 3 another failure.`,
		Example: `  questwatch setup --dsn postgres://owner@db/site
  questwatch setup --print | psql -v ON_ERROR_STOP=1 postgres://owner@db/site`,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := s.load(cmd); err != nil {
			return err
		}
		if printOnly {
			return printed(fmt.Fprint(cmd.OutOrStdout(), app.SetupSQL(&s.config)))
		}
		return s.setUp(cmd)
	}
	s.common(cmd)
	cmd.Flags().BoolVar(&printOnly, "print", false, "print the SQL for the configured tables, and touch nothing")
	return cmd
}

func (s *settings) setUp(cmd *cobra.Command) error {
	if err := s.wantsDSN(); err != nil {
		return err
	}
	db, err := app.OpenStore(cmd.Context(), &s.config)
	if err != nil {
		return err
	}
	defer db.Close()
	changed, err := db.Setup(cmd.Context())
	switch {
	case err != nil:
		return err
	case changed:
		return printed(fmt.Fprintln(cmd.OutOrStdout(), "Schema questwatch is set up."))
	}
	return printed(fmt.Fprintln(cmd.OutOrStdout(), "Schema questwatch is there already: nothing to do."))
}
