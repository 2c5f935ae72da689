package pgsource

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/change"
)

// Switch is a point where the server's log left a timeline for the next one: a
// standby was promoted there, or a backup restored.
type Switch struct {
	Timeline uint32
	// At is the end of what the two have in common.
	At change.LSN
}

// History lists the switches on the way to the present timeline, oldest first.
// There are none on the first timeline, or where the server has lost the file.
func (s *Source) History(ctx context.Context) ([]Switch, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.replicate(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	identity, err := pglogrepl.IdentifySystem(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("identify the server: %w", err)
	}
	if identity.Timeline == 1 {
		return nil, nil
	}
	file, err := pglogrepl.TimelineHistory(ctx, conn, identity.Timeline)
	if codeOf(err) == codeUndefinedFile {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the history of timeline %d: %w", identity.Timeline, err)
	}
	return parseHistory(string(file.Content))
}

// parseHistory reads a history file: a line for each switch, with the timeline,
// where it was left, and why.
func parseHistory(text string) (list []Switch, err error) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("history of timelines has the line %q", line)
		}
		timeline, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("history of timelines has the line %q: %w", line, err)
		}
		at, err := change.ParseLSN(fields[1])
		if err != nil {
			return nil, fmt.Errorf("history of timelines has the line %q: %w", line, err)
		}
		list = append(list, Switch{Timeline: uint32(timeline), At: at})
	}
	return list, nil
}

// prepare makes a new replication connection fit for use.
func (s *Source) prepare(ctx context.Context, conn *pgconn.PgConn) error {
	// A limit that servers know from 17 on; naming it when connecting would keep
	// older ones from letting us in.
	const lift = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'`
	if _, err := conn.Exec(ctx, lift).ReadAll(); err != nil {
		return fmt.Errorf("lift the limit on transactions: %w", err)
	}
	// Between Fit and now another server may have taken over the address. Whatever
	// was decided by the first one's slot and timeline does not hold for the second.
	fit := s.fit.Load()
	if fit == nil {
		return nil
	}
	identity, err := pglogrepl.IdentifySystem(ctx, conn)
	if err != nil {
		return fmt.Errorf("identify the server: %w", err)
	}
	if identity.SystemID != fit.System || uint32(identity.Timeline) != fit.Timeline {
		return fmt.Errorf("another server has taken over: system %s timeline %d in place of system %s timeline %d",
			identity.SystemID, identity.Timeline, fit.System, fit.Timeline)
	}
	return nil
}
