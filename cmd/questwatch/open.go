package main

import (
	"context"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/config"
)

// openAudit opens the database for an audit.
func openAudit(ctx context.Context, dsn string) (audit.Database, func(), error) {
	c := config.Default()
	c.Postgres.DSN = dsn
	store, err := app.OpenStore(ctx, &c)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}
