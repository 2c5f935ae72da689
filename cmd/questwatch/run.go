package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/stream"
)

func runCommand() *cobra.Command {
	var noSetup, noWait, streamOnly bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Stream a database's changes and watch them",
		Long: `Run checks the server, sets up what is missing (replica identity, publication,
replication slot, streams), takes a baseline, and then follows every change.

It goes on where it stopped. It reconnects by itself. A second instance on the
same slot stands by and takes over when the first one ends. SIGTERM stops it.`,
		Example: `  questwatch run --dsn postgres://questwatch@db.example/site
  questwatch run --dsn postgres://me@db/site --nats nats://nats.example:4222
  PGPASSFILE=~/.pgpass questwatch run --dsn postgres://me@db/site --data /var/lib/questwatch
  questwatch run --config questwatch.yaml --no-setup`,
	}
	c := newCall(cmd, ofDatabase|ofInstance)
	c.text(cmd, "nats-listen", "where the embedded NATS server listens, `HOST:PORT`", func(c *config.Config) *string { return &c.NATS.Listen })
	c.text(cmd, "nats-monitoring", "the external NATS server's monitoring `URL`: it says how soon what is acknowledged is on the disk; several with commas between", func(c *config.Config) *string { return &c.NATS.Monitoring })
	c.text(cmd, "durability", "when NATS syncs what it stores, `HOW`: interval, or always (before it acknowledges)", func(c *config.Config) *string { return &c.Stream.Durability })
	complete(cmd, "durability", "interval", "always")
	c.text(cmd, "http", "where health is served, `HOST:PORT`; empty for nowhere", func(c *config.Config) *string { return &c.HTTP.Listen })
	cmd.Flags().BoolVar(&noSetup, "no-setup", false, "change nothing in the database but the slot: exit with the statements to run instead")
	cmd.Flags().BoolVar(&streamOnly, "stream-only", false, "stream the changes and do not check them")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "exit with status 3 when another instance is streaming, do not stand by")
	return c.runs(func(c *call, _ []string) error {
		if err := c.wantsDSN(); err != nil {
			return err
		}
		if noSetup {
			c.config.Postgres.Setup = false
		}
		if streamOnly {
			c.config.Watch.Enabled = false
		}
		return run(cmd, c.config, !noWait, c.logger)
	})
}

func run(cmd *cobra.Command, c config.Config, wait bool, logger *slog.Logger) (err error) {
	var saving sync.WaitGroup
	defer saving.Wait()
	ctx, done := context.WithCancel(cmd.Context())
	defer done()
	saving.Go(func() { saveMemory(ctx) })
	a, err := app.New(cmd.Context(), c, logger)
	switch {
	case err != nil && cmd.Context().Err() != nil:
		return nil // whoever stops it so early wants to hear nothing of what was under way
	case err != nil:
		return err
	}
	err = a.Run(cmd.Context(), wait)
	if errors.Is(err, stream.ErrBusy) {
		err = hint.Wrap(err, "stop the other instance, or leave out --no-wait to stand by")
	}
	if err == nil {
		logger.Info("stopping")
	}
	return errors.Join(err, a.Close())
}

// hasPassword reports whether a connection string holds a password.
func hasPassword(dsn string) bool {
	if strings.TrimSpace(dsn) == "" {
		return false
	}
	with, err := pgx.ParseConfig(dsn)
	return err == nil && with.Password != "" && strings.Contains(dsn, with.Password)
}
