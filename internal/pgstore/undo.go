package pgstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
)

// Undo takes an entry of the journal back, in one transaction and under the same
// locks, and returns the entry that says so. It refuses with a remedy.ChangedError
// when somebody has written since what the repair wrote, with ErrUndone and ErrNoEntry.
func (s *Store) Undo(ctx context.Context, entry int64, actor, reason string) (undoing *remedy.Entry, err error) {
	var e *remedy.Entry
	err = s.onJournal(ctx, func(conn *pgx.Conn) error {
		e, err = entryToUndo(ctx, conn, entry)
		return err
	})
	if err == nil {
		err = s.inRepair(ctx, e.Quest, func(r *repair) error {
			r.journal = true
			if err := r.lock(ctx); err != nil {
				return err
			}
			// Somebody may have been faster until the lock.
			if e, err = entryToUndo(ctx, r.pgx, entry); err != nil {
				return err
			}
			undoing, err = r.takeBack(ctx, e, actor, reason)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("undo entry %d: %w", entry, err)
	}
	return undoing, nil
}

func entryToUndo(ctx context.Context, conn *pgx.Conn, id int64) (*remedy.Entry, error) {
	found, err := entries(ctx, conn, " WHERE r.id = $1", id)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, remedy.ErrNoEntry
	case found[0].UndoneBy != 0:
		return nil, fmt.Errorf("%w, by entry %d", remedy.ErrUndone, found[0].UndoneBy)
	case found[0].Undoes != 0:
		return nil, fmt.Errorf("%w: it is itself the undoing of entry %d", remedy.ErrUndone, found[0].Undoes)
	}
	return &found[0], nil
}

// takeBack restores what an entry's rows were, last first, and writes that down.
func (r *repair) takeBack(ctx context.Context, e *remedy.Entry, actor, reason string) (*remedy.Entry, error) {
	var rows []remedy.Image
	for i := len(e.Rows) - 1; i >= 0; i-- {
		row, err := r.restore(ctx, &e.Rows[i])
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	o := e.Order
	o.Actor, o.Reason, o.Automatic = actor, reason, false
	return r.record(ctx, &o, e.ID, rows)
}

// restore gives one row back what it had, if it is as the repair left it.
func (r *repair) restore(ctx context.Context, was *remedy.Image) (remedy.Image, error) {
	row := remedy.Image{Entity: was.Entity, ID: was.ID}
	var err error
	if row.Before, err = r.read(ctx, was.Entity, was.ID, slices.Sorted(maps.Keys(was.After))); err != nil {
		return row, err
	}
	table, key := r.store.tableOf(was.Entity), r.store.keyOf(was.Entity)
	if changed, column := r.store.changed(was.After, row.Before); changed {
		return row, &remedy.ChangedError{Table: table, ID: was.ID, Column: column}
	}
	where := fmt.Sprintf(" WHERE %s = %d", quoteName(key), was.ID)
	if was.Before == nil {
		return row, r.execOne(ctx, "delete "+was.Entity, "DELETE FROM "+quoteTable(table)+where)
	}
	columns := slices.Sorted(maps.Keys(was.Before))
	var set []string
	for _, name := range columns {
		value := "NULL"
		if v := was.Before[name]; v != nil {
			value = quoteText(*v)
		}
		set = append(set, quoteName(name)+" = "+value)
	}
	sql := "UPDATE " + quoteTable(table) + " SET " + strings.Join(set, ", ") + where
	if err := r.execOne(ctx, "restore "+was.Entity, sql); err != nil {
		return row, err
	}
	wanted := maps.Clone(was.Before)
	delete(wanted, r.touched(was.Entity)) // a trigger may well be about that
	return row, r.settle(ctx, &row, columns, wanted)
}

// changed compares a row with what a repair left; the column is "" where it is gone. The
// time of the last change, which says the least, comes last.
func (s *Store) changed(left, now map[string]*string) (changed bool, column string) {
	if now == nil {
		return true, ""
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if !same(left[name], now[name]) && (column == "" || column == s.cfg.Schema.Quest.UpdatedAt) {
			changed, column = true, name
		}
	}
	return changed, column
}

// touched names the column of an entity that has the time of its last change, "" for none.
func (r *repair) touched(entity string) string {
	if entity == change.Quest.String() {
		return r.store.cfg.Schema.Quest.UpdatedAt
	}
	return ""
}
