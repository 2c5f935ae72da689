package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Journal lists the entries that a filter wants, the newest first.
func (s *Store) Journal(ctx context.Context, f remedy.Filter) ([]remedy.Entry, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, connectError(&s.pool.Config().ConnConfig.Config, err)
	}
	defer conn.Release()
	if err := s.wantsJournal(ctx, conn.Conn()); err != nil {
		return nil, err
	}
	var where []string
	var args []any
	only := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if f.Namespace != "" {
		only("r.namespace = $%d", f.Namespace)
	}
	if f.Quest != 0 {
		only("r.quest = $%d", f.Quest)
	}
	if f.Rule != 0 {
		only("r.rule = $%d", f.Rule.String())
	}
	if f.Since != 0 {
		only("r.at >= $%d", time.UnixMicro(int64(f.Since)))
	}
	tail := ""
	if len(where) > 0 {
		tail = " WHERE " + strings.Join(where, " AND ")
	}
	tail += " ORDER BY r.id DESC"
	if f.Limit > 0 {
		tail += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	return entries(ctx, conn.Conn(), tail, args...)
}

func (s *Store) wantsJournal(ctx context.Context, conn *pgx.Conn) error {
	there, err := s.hasJournal(ctx, conn)
	if err == nil && !there {
		err = problem{op: "look for the journal", err: remedy.ErrNoJournal, setup: true, hint: "run questwatch setup"}.wrap()
	}
	return err
}

const entryColumns = `SELECT r.id, r.at, r.xid::text::bigint, r.namespace, r.instance, r.finding, r.rule, r.cause, r.action, r.quest, r.person,
	r.actor, r.reason, r.automatic, r.violated, coalesce(r.undoes, 0), coalesce(u.id, 0), r.rows::text
	FROM questwatch.repair r LEFT JOIN questwatch.repair u ON u.undoes = r.id`

// entries reads what a condition and order select.
func entries(ctx context.Context, conn *pgx.Conn, tail string, args ...any) ([]remedy.Entry, error) {
	const op = "read the journal"
	rows, err := conn.Query(ctx, entryColumns+tail, args...)
	if err != nil {
		return nil, journalError(op, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e remedy.Entry, err error) {
		var at time.Time
		var violated *time.Time
		var ruleName, images string
		err = row.Scan(&e.ID, &at, &e.XID, &e.Namespace, &e.Instance, &e.Finding, &ruleName, &e.Cause, &e.Action, &e.Quest, &e.User,
			&e.Actor, &e.Reason, &e.Automatic, &violated, &e.Undoes, &e.UndoneBy, &images)
		if err != nil {
			return e, err
		}
		e.At = remedy.Micros(at.UnixMicro())
		if violated != nil {
			e.Violated = change.MillisOf(*violated)
		}
		if e.Rule, err = rule.Parse(ruleName); err == nil {
			err = json.Unmarshal([]byte(images), &e.Rows)
		}
		if err != nil {
			return e, fmt.Errorf("entry %d: %w", e.ID, err)
		}
		return e, nil
	})
	return all, journalError(op, err)
}

// record writes a repair down, in the journal and in a message of the stream: both
// are there when the transaction commits, or neither.
func (r *repair) record(ctx context.Context, o *remedy.Order, undoes int64, rows []remedy.Image) (*remedy.Entry, error) {
	images, err := json.Marshal(rows)
	if err != nil {
		return nil, fmt.Errorf("encode the rows of a repair: %w", err)
	}
	e := &remedy.Entry{Order: *o, Undoes: undoes, Rows: rows}
	var violated *time.Time
	if o.Violated != 0 {
		violated = new(o.Violated.Time())
	}
	var at time.Time
	err = r.pgx.QueryRow(ctx, `INSERT INTO questwatch.repair
		(namespace, instance, finding, rule, cause, action, quest, person, actor, reason, automatic, violated, undoes, rows)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, nullif($13::bigint, 0), $14::jsonb) RETURNING id, at, xid::text::bigint`,
		o.Namespace, o.Instance, o.Finding, o.Rule.String(), string(o.Cause), string(o.Action), o.Quest, o.User,
		o.Actor, o.Reason, o.Automatic, violated, undoes, string(images)).Scan(&e.ID, &at, &e.XID)
	if err != nil {
		return nil, journalError("write the journal", err)
	}
	e.At = remedy.Micros(at.UnixMicro())
	said := change.Repaired{
		Namespace: o.Namespace, Entry: e.ID, Undoes: undoes,
		Finding: o.Finding, Rule: o.Rule.String(), Cause: string(o.Cause), Action: string(o.Action),
		QuestID: o.Quest, UserID: o.User, Actor: o.Actor, Automatic: o.Automatic, Violated: o.Violated,
	}
	_, err = r.pgx.Exec(ctx, "SELECT pg_logical_emit_message(true, $1::text, $2::text)", change.RepairPrefix, said.Encode())
	return e, readError("write the repair's message", err)
}
