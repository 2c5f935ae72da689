package pgsource

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// Slot is what the server says of our replication slot.
type Slot struct {
	Exists bool
	// Active says that a connection streams from it.
	Active bool
	// Usable is false when the server has thrown away log that the slot needs.
	Usable bool
	// Confirmed is the position below which the server forgets.
	Confirmed change.LSN
	// Publication is another text whenever anybody has changed what is published:
	// between two of them changes may have been left out.
	Publication string
	// Columns is another text whenever a column that must be there has been altered,
	// or is another table's: rows that nobody wrote may have other values since.
	Columns string
	// System and Timeline are those of the server that has it. Only Fit tells them.
	System   string
	Timeline uint32
}

// Slot looks at the slot. One of the same name that is not ours (another
// database or plugin) is an error.
func (s *Source) Slot(ctx context.Context) (slot Slot, err error) {
	err = s.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		slot, _, err = s.slot(ctx, conn)
		return err
	})
	return slot, err
}

// slot also says whether the slot stays behind in a failover though the server
// could let it follow.
func (s *Source) slot(ctx context.Context, conn *pgx.Conn) (slot Slot, stays bool, err error) {
	var plugin, database string
	schemas, tables, columns := s.names.list()
	err = conn.QueryRow(ctx, `
		SELECT coalesce(s.plugin, ''), coalesce(s.database, ''), coalesce(s.active, false), s.slot_name IS NOT NULL,
		       coalesce(s.wal_status, 'lost') <> 'lost', coalesce(s.confirmed_flush_lsn - '0/0', 0)::bigint,
		       coalesce((SELECT p.oid || '.' || p.xmin || coalesce((SELECT string_agg(' ' || r.oid || '.' || r.xmin, '' ORDER BY r.oid)
		                   FROM pg_publication_rel r WHERE r.prpubid = p.oid), '')
		                 FROM pg_publication p WHERE p.pubname = $2), ''),
		       coalesce((SELECT string_agg(a.attrelid || '.' || a.attnum || '.' || a.xmin, ' ' ORDER BY a.attrelid, a.attnum)
		                 FROM unnest($3::text[], $4::text[], $5::text[]) w(schema, name, attribute)
		                 JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
		                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w.attribute), ''),
		       coalesce(to_jsonb(s) ->> 'failover' = 'false' AND NOT s.temporary, false)
		FROM (SELECT) one LEFT JOIN pg_replication_slots s ON s.slot_name = $1`, s.config.Slot, s.config.Publication, schemas, tables, columns).
		Scan(&plugin, &database, &slot.Active, &slot.Exists, &slot.Usable, &slot.Confirmed, &slot.Publication, &slot.Columns, &stays)
	if err == nil && slot.Exists && (plugin != "pgoutput" || database != s.conn.Database) {
		err = hint.Setup(fmt.Errorf("it belongs to database %q, plugin %q", database, plugin),
			"choose another name with postgres.slot")
	}
	if err != nil {
		return Slot{}, false, fmt.Errorf("look at slot %q: %w", s.config.Slot, err)
	}
	return slot, stays, nil
}

// DropSlot removes the slot if it exists. One in use is ErrBusy.
func (s *Source) DropSlot(ctx context.Context) error {
	return s.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `
			SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, s.config.Slot)
		if codeOf(err) == codeInUse {
			return fmt.Errorf("%w: drop slot %q: %w", ErrBusy, s.config.Slot, err)
		}
		if err != nil {
			return fmt.Errorf("drop slot %q: %w", s.config.Slot, err)
		}
		return nil
	})
}

// patience bounds what a server that is well answers at once. Without it a network
// that swallows packets would hold us for as long as TCP tries, a quarter of an hour.
const patience = 30 * time.Second

// with runs fn on an ordinary connection of its own.
func (s *Source) with(ctx context.Context, fn func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return fn(ctx, conn)
}

// Snapshot is a moment of the database that a baseline can be read from and a
// stream continued from, with nothing between. It lives as long as its
// connection: a crash leaves nothing behind.
type Snapshot struct {
	source *Source
	conn   *pgconn.PgConn
	slot   string
	// Name is for SET TRANSACTION SNAPSHOT; it is valid until Persist or Close.
	Name string
	// LSN is the consistent point: what committed below it is in the snapshot, and
	// nothing else.
	LSN change.LSN
}

// baselineSlot names the temporary slot. It is the same for every instance, so
// that only one at a time takes a baseline.
func (s *Source) baselineSlot() string {
	const suffix, longest = "_baseline", 63
	return s.config.Slot[:min(len(s.config.Slot), longest-len(suffix))] + suffix
}

// Snapshot creates a temporary slot and the snapshot that goes with it. It waits
// for the transactions that are running. While another instance has one, it is
// ErrBusy.
func (s *Source) Snapshot(ctx context.Context) (*Snapshot, error) {
	conn, err := s.replicate(ctx)
	if err != nil {
		return nil, err
	}
	snap := &Snapshot{source: s, conn: conn, slot: s.baselineSlot()}
	created, err := pglogrepl.CreateReplicationSlot(ctx, conn, quote(snap.slot), "pgoutput", pglogrepl.CreateReplicationSlotOptions{
		Temporary: true, SnapshotAction: "EXPORT_SNAPSHOT", Mode: pglogrepl.LogicalReplication,
	})
	if err != nil {
		snap.Close(context.WithoutCancel(ctx))
		err = fmt.Errorf("create replication slot: %w", err)
		switch codeOf(err) {
		case codeDuplicate:
			return nil, fmt.Errorf("%w: %w", ErrBusy, err)
		case codeLimit:
			return nil, hint.Wrap(err, "raise max_replication_slots (two are needed for a moment) and restart the server, or drop unused slots: SELECT slot_name FROM pg_replication_slots WHERE NOT active")
		}
		return nil, err
	}
	at, err := change.ParseLSN(created.ConsistentPoint)
	if err != nil {
		snap.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("create replication slot: %w", err)
	}
	snap.Name, snap.LSN = created.SnapshotName, at
	return snap, nil
}

// Persist makes the permanent slot, at the snapshot's position, in place of one
// that is of no use any more. Until then the server keeps nothing for us once the
// connection ends.
func (snap *Snapshot) Persist(ctx context.Context) error {
	s := snap.source
	if err := s.DropSlot(ctx); err != nil {
		return err
	}
	var stays bool
	err := s.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `SELECT pg_copy_logical_replication_slot($1, $2, false)`, snap.slot, s.config.Slot)
		if err == nil {
			_, stays, err = s.slot(ctx, conn)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("create replication slot %q: %w", s.config.Slot, err)
		if codeOf(err) == codeLimit {
			return hint.Wrap(err, "raise max_replication_slots (two are needed for a moment) and restart the server")
		}
		return err
	}
	if stays { // a copy does not have the property, whatever its original has
		s.follow(ctx, snap.conn)
	}
	return nil
}

// Close ends the snapshot and its temporary slot.
func (snap *Snapshot) Close(ctx context.Context) error { return snap.conn.Close(ctx) }
