package main

import (
	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
)

func setupCommand() *cobra.Command {
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
	cmd.Flags().BoolVar(&printOnly, "print", false, "print the SQL for the configured tables, and touch nothing")
	return runs(cmd, ofDatabase, func(c *call, _ []string) error {
		if printOnly {
			return c.say("%s", app.SetupSQL(&c.config))
		}
		return c.setUp()
	})
}

func (c *call) setUp() error {
	if err := c.wantsDSN(); err != nil {
		return err
	}
	db, err := app.OpenStore(c.Context(), &c.config)
	if err != nil {
		return err
	}
	defer db.Close()
	changed, err := db.Setup(c.Context())
	switch {
	case err != nil:
		return err
	case changed:
		return c.say("Schema questwatch is set up.\n")
	}
	return c.say("Schema questwatch is there already: nothing to do.\n")
}
