package pgsource

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// follow lets the slot follow a failover: from 17 on, servers copy slots that have
// the property to those of their standbys that ask for it. It costs nothing where
// there is none. Without it the slot is as good as before, so that an error is
// logged and no more.
func (s *Source) follow(ctx context.Context, conn *pgconn.PgConn) {
	_, err := conn.Exec(ctx, fmt.Sprintf("ALTER_REPLICATION_SLOT %s (FAILOVER true)", quote(s.config.Slot))).ReadAll()
	if err != nil {
		s.config.Logger.Warn("the replication slot will not follow a failover", "slot", s.config.Slot, "err", err)
		return
	}
	s.config.Logger.Info("the replication slot follows a failover to a standby that synchronises slots", "slot", s.config.Slot)
}

// followLater is follow for a slot that was there before: an older program's, or
// one of a server that was upgraded.
func (s *Source) followLater(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.replicate(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	s.follow(ctx, conn)
	return nil
}

// warnOfIdleTimeout says what will become of the slot when nobody streams for
// long. It is no error: whoever set it may mean it. A baseline's temporary slot
// counts as idle too, and its connection is ended.
func (s *Source) warnOfIdleTimeout(timeout string) {
	if timeout == "" || timeout == "0" {
		return
	}
	s.config.Logger.Warn("the server throws replication slots away that nobody streams from: a longer pause will be a gap, and a baseline that takes longer will fail",
		"idle_replication_slot_timeout", timeout)
}
