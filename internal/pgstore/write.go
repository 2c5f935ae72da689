package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
)

// write carries out the writes and keeps the SQL that takes them back, last
// first. The quest's row is written once, as the application's save does.
func (r *repair) write(ctx context.Context, writes []remedy.Write) error {
	assigned, status := r.builder.c.Quest.Assigned, r.builder.c.Quest.Status
	for i := range writes {
		w := &writes[i]
		switch w.Kind {
		case remedy.InsertParticipant:
			if err := r.insert(ctx, w); err != nil {
				return err
			}
		case remedy.SetAssignee:
			if w.WasAssigned != assigned {
				return errChanged
			}
			assigned = w.Assign
		case remedy.SetStatus:
			if w.WasStatus != status || w.Status != quest.InProgress {
				return errChanged
			}
			status = w.Status
		default:
			return fmt.Errorf("write %d: kind %d is not for repairs", i+1, w.Kind)
		}
	}
	return r.update(ctx, assigned, status)
}

// insert adds a participant who joined now. The unique constraint, where there
// is one, makes a race with the application an error that is tried again.
func (r *repair) insert(ctx context.Context, w *remedy.Write) error {
	s, p := r.store, &r.store.cfg.Schema.Participant
	names := []string{quoteName(p.QuestID), quoteName(p.User), quoteName(p.Status)}
	exprs := []string{"$1", "$2", "$3"}
	if p.JoinedAt != "" {
		names, exprs = append(names, quoteName(p.JoinedAt)), append(exprs, "clock_timestamp()")
	}
	extra, err := s.requiredTexts(ctx)
	if err != nil {
		return err
	}
	for _, name := range extra {
		names, exprs = append(names, quoteName(name)), append(exprs, "''")
	}
	sql := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) RETURNING %s::bigint",
		s.tables.participant, strings.Join(names, ", "), strings.Join(exprs, ", "), quoteName(p.ID))
	args := []string{fmt.Sprint(r.quest), r.user(w.User), s.words.joined}
	var id int64
	if err := each(ctx, r.conn, sql, []int16{1}, args, func(v [][]byte) error {
		id = bigint(v[0])
		return nil
	}); err != nil {
		return readError("insert participant", err)
	}
	r.receipt.Inserted = append(r.receipt.Inserted, id)
	r.undo(fmt.Sprintf("DELETE FROM %s WHERE %s = %d AND %s = %d AND %s = %s AND %s = %s;", s.tables.participant,
		quoteName(p.ID), id, quoteName(p.QuestID), r.quest, quoteName(p.User), quoteText(args[1]), quoteName(p.Status), quoteText(args[2])))
	return nil
}

// update writes the quest's row. It fails with errChanged when the row is not as
// it was read, which the lock prevents unless a trigger has a hand in it.
func (r *repair) update(ctx context.Context, assigned quest.User, status quest.Status) error {
	s, q, was := r.store, &r.store.cfg.Schema.Quest, &r.builder.c.Quest
	var set, guard, back, backGuard []string
	if assigned != was.Assigned {
		name, now, before := quoteName(q.AssignedTo), quoteText(r.user(assigned)), quoteNullable(r.user(was.Assigned))
		set, guard = append(set, name+" = "+now), append(guard, name+" IS NOT DISTINCT FROM "+before)
		back, backGuard = append(back, name+" = "+before), append(backGuard, name+" = "+now)
	}
	if status != was.Status {
		name, now, before := quoteName(q.Status), quoteText(s.words.inProgress), quoteText(r.builder.status)
		set, guard = append(set, name+" = "+now), append(guard, name+" = "+before)
		back, backGuard = append(back, name+" = "+before), append(backGuard, name+" = "+now)
	}
	if len(set) == 0 {
		return nil
	}
	if q.UpdatedAt != "" {
		set = append(set, quoteName(q.UpdatedAt)+" = clock_timestamp()")
		back = append(back, quoteName(q.UpdatedAt)+" = "+quoteNullable(r.updated))
	}
	key := fmt.Sprintf("%s = %d", quoteName(q.ID), r.quest)
	sql := fmt.Sprintf("UPDATE %s SET %s WHERE %s AND %s", s.tables.quest, strings.Join(set, ", "), key, strings.Join(guard, " AND "))
	result := r.conn.ExecParams(ctx, sql, nil, nil, nil, nil)
	tag, err := result.Close()
	if err != nil {
		return readError("update quest", err)
	}
	if tag.RowsAffected() != 1 {
		return errChanged
	}
	r.undo(fmt.Sprintf("UPDATE %s SET %s WHERE %s AND %s;", s.tables.quest, strings.Join(back, ", "), key, strings.Join(backGuard, " AND ")))
	return nil
}

func (r *repair) undo(sql string) {
	r.receipt.Undo = slices.Insert(r.receipt.Undo, 0, sql)
}

// requiredTexts lists the participant columns, other than ours, that an INSERT
// must give a value because they take no null and have no default. Frameworks
// keep defaults to themselves; for a text it is the empty one.
func (s *Store) requiredTexts(ctx context.Context) ([]string, error) {
	s.insertMu.Lock()
	defer s.insertMu.Unlock()
	if s.insertKnown {
		return s.insertTexts, nil
	}
	p := &s.cfg.Schema.Participant
	rows, err := s.pool.Query(ctx, `SELECT a.attname::text, t.typcategory::text, format_type(a.atttypid, a.atttypmod)
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
		AND (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND t.typdefault IS NULL AND a.attidentity = '' AND a.attgenerated = ''
		AND NOT a.attname = ANY($2) ORDER BY a.attnum`, s.tables.participant, []string{p.QuestID, p.User, p.Status, p.JoinedAt})
	if err != nil {
		return nil, readError("read participant columns", err)
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var name, category, kind string
		if err := rows.Scan(&name, &category, &kind); err != nil {
			return nil, readError("read participant columns", err)
		}
		if category != "S" {
			return nil, problem{
				op: "prepare insert of participants", setup: true,
				err:  fmt.Errorf("column %s of %s takes no null, has no default and is of type %s", name, p.Table, kind),
				hint: "give the column a default: nobody but the application knows a value for it",
			}.wrap()
		}
		texts = append(texts, name)
	}
	if err := rows.Err(); err != nil {
		return nil, readError("read participant columns", err)
	}
	s.insertTexts, s.insertKnown = texts, true
	return texts, nil
}

// Writable refuses a role or a server that cannot repair, before the first
// write, and says what to grant.
func (s *Store) Writable(ctx context.Context) error {
	const op = "check the right to repair"
	var role, readOnlyNow string
	var standby bool
	err := s.pool.QueryRow(ctx, "SELECT current_user::text, current_setting('transaction_read_only'), pg_is_in_recovery()").
		Scan(&role, &readOnlyNow, &standby)
	if err != nil {
		return readError(op, err)
	}
	if standby {
		return problem{op: op, err: errors.New("this server is a standby"), setup: true, hint: "connect to the primary"}.wrap()
	}
	var missing []string
	for _, n := range s.rights() {
		for _, name := range n.columns {
			var may bool
			err := s.pool.QueryRow(ctx, "SELECT has_column_privilege($1::text::regclass, $2::text, $3::text)", quoteTable(n.table), name, n.what).Scan(&may)
			if err != nil {
				return readError(op, err)
			}
			if !may {
				missing = append(missing, fmt.Sprintf("GRANT %s ON %s TO %s", n.what, quoteTable(n.table), quoteName(role)))
				break
			}
		}
	}
	if len(missing) > 0 {
		return problem{op: op, err: fmt.Errorf("role %s may not write what repairs write", role), setup: true, hint: "run: " + strings.Join(missing, "; ")}.wrap()
	}
	if readOnlyNow == "on" {
		return problem{op: op, err: errors.New("the session is read-only"), setup: true, hint: "default_transaction_read_only is on for this role or database"}.wrap()
	}
	_, err = s.requiredTexts(ctx)
	return err
}

// rights are the privileges that repairs need; what is the privilege.
func (s *Store) rights() []need {
	q, p := &s.cfg.Schema.Quest, &s.cfg.Schema.Participant
	update := []string{q.Status, q.AssignedTo}
	if q.UpdatedAt != "" {
		update = append(update, q.UpdatedAt)
	}
	insert := []string{p.QuestID, p.User, p.Status}
	if p.JoinedAt != "" {
		insert = append(insert, p.JoinedAt)
	}
	return []need{{"UPDATE", q.Table, update}, {"INSERT", p.Table, insert}}
}
