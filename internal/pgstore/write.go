package pgstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
)

// write carries out the writes, and returns the rows that it changed. It keeps the SQL
// that takes them back, last first. The quest's row is written once, as the
// application's save does.
func (r *repair) write(ctx context.Context, writes []remedy.Write) ([]remedy.Image, error) {
	var rows []remedy.Image
	assigned, role := r.row.assigned, r.row.role
	for i := range writes {
		w := &writes[i]
		var row remedy.Image
		var err error
		switch w.Kind {
		case remedy.InsertParticipant:
			row, err = r.insert(ctx, w)
		case remedy.ReactivateParticipant:
			row, err = r.reactivate(ctx, w)
		case remedy.SetAssignee:
			if w.WasAssigned != assigned {
				return nil, errChanged
			}
			assigned = w.Assign
			continue
		case remedy.SetStatus:
			if w.WasStatus != role || w.Status != quest.InProgress {
				return nil, errChanged
			}
			role = w.Status
			continue
		default:
			return nil, fmt.Errorf("write %d: kind %d is not for repairs", i+1, w.Kind)
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if assigned == r.row.assigned && role == r.row.role {
		return rows, nil
	}
	row, err := r.update(ctx, assigned, role)
	return append(rows, row), err
}

// insert adds a participant who joined now. The unique constraint, where there
// is one, makes a race with the application an error that is tried again.
func (r *repair) insert(ctx context.Context, w *remedy.Write) (row remedy.Image, err error) {
	s, p := r.store, &r.store.cfg.Schema.Participant
	columns, err := s.participantColumns(ctx)
	if err != nil {
		return row, err
	}
	names, exprs := s.insertion("$1", "$2", "$3", columns)
	sql := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) RETURNING %s::bigint",
		s.tables.participant, names, exprs, quoteName(p.ID))
	args := []string{fmt.Sprint(r.quest), r.user(w.User), s.words.joined}
	row.Entity = change.Participant.String()
	if err := each(ctx, r.conn, sql, []int16{1}, args, func(v [][]byte) error {
		row.ID = bigint(v[0])
		return nil
	}); err != nil {
		return row, readError("insert participant", err)
	}
	r.receipt.Inserted = append(r.receipt.Inserted, row.ID)
	r.undo(fmt.Sprintf("DELETE FROM %s WHERE %s = %d AND %s = %d AND %s = %s AND %s = %s;", s.tables.participant,
		quoteName(p.ID), row.ID, quoteName(p.QuestID), r.quest, quoteName(p.User), quoteText(args[1]), quoteName(p.Status), quoteText(args[2])))
	return row, r.settle(ctx, &row, columns.readable, map[string]*string{p.QuestID: &args[0], p.User: &args[1], p.Status: &args[2]})
}

// insertion is what a participant's insert names and gives.
func (s *Store) insertion(questID, user, status string, columns *participantColumns) (names, exprs string) {
	p := &s.cfg.Schema.Participant
	n, e := []string{quoteName(p.QuestID), quoteName(p.User), quoteName(p.Status)}, []string{questID, user, status}
	if p.JoinedAt != "" {
		n, e = append(n, quoteName(p.JoinedAt)), append(e, "clock_timestamp()")
	}
	for _, name := range columns.required {
		n, e = append(n, quoteName(name)), append(e, "''")
	}
	return strings.Join(n, ", "), strings.Join(e, ", ")
}

// reactivate brings a participant back. The row is locked here too: without a journal
// nobody has yet.
func (r *repair) reactivate(ctx context.Context, w *remedy.Write) (row remedy.Image, err error) {
	s, p := r.store, &r.store.cfg.Schema.Participant
	if w.State != quest.Joined {
		return row, fmt.Errorf("reactivate participant %d: only to the status of who joined", w.Participant)
	}
	row = remedy.Image{Entity: change.Participant.String(), ID: w.Participant, Before: map[string]*string{}}
	key := fmt.Sprintf("%s = %d AND %s = %d AND %s = %s", quoteName(p.ID), w.Participant, quoteName(p.QuestID), r.quest, quoteName(p.User), quoteText(r.user(w.User)))
	sql := fmt.Sprintf("SELECT %s::text FROM %s WHERE %s FOR UPDATE", quoteName(p.Status), s.tables.participant, key)
	if err := each(ctx, r.conn, sql, nil, nil, func(v [][]byte) error {
		if status := string(v[0]); v[0] != nil && s.cfg.Statuses.Participant[status] == w.WasState {
			row.Before[p.Status] = &status
		}
		return nil
	}); err != nil {
		return row, readError("lock participant", err)
	}
	before := row.Before[p.Status]
	if before == nil {
		return row, errChanged
	}
	name := quoteName(p.Status)
	if err := r.execOne(ctx, "reactivate participant", fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", s.tables.participant, name, quoteText(s.words.joined), key)); err != nil {
		return row, err
	}
	r.undo(fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s AND %[2]s = %[5]s;", s.tables.participant, name, quoteText(*before), key, quoteText(s.words.joined)))
	return row, r.settle(ctx, &row, []string{p.Status}, map[string]*string{p.Status: &s.words.joined})
}

// update writes the quest's row. It fails with errChanged when the row is not as
// it was read, which the lock prevents unless a trigger has a hand in it.
func (r *repair) update(ctx context.Context, assigned quest.User, role quest.Status) (remedy.Image, error) {
	s, q, was := r.store, &r.store.cfg.Schema.Quest, r.row
	row := remedy.Image{Entity: change.Quest.String(), ID: r.quest, Before: map[string]*string{}}
	wanted := map[string]*string{}
	var set, guard, back, backGuard []string
	write := func(column, before, now string) {
		name := quoteName(column)
		row.Before[column], wanted[column] = nullable(before), nullable(now)
		set, guard = append(set, name+" = "+quoteNullable(now)), append(guard, is(column, before))
		back, backGuard = append(back, name+" = "+quoteNullable(before)), append(backGuard, is(column, now))
	}
	if assigned != was.assigned {
		write(q.AssignedTo, r.user(was.assigned), r.user(assigned))
	}
	if role != was.role {
		write(q.Status, was.status, s.words.inProgress)
	}
	if q.UpdatedAt != "" {
		row.Before[q.UpdatedAt] = nullable(was.updated)
		set = append(set, quoteName(q.UpdatedAt)+" = clock_timestamp()")
		back = append(back, quoteName(q.UpdatedAt)+" = "+quoteNullable(was.updated))
	}
	key := fmt.Sprintf("%s = %d", quoteName(q.ID), r.quest)
	sql := fmt.Sprintf("UPDATE %s SET %s WHERE %s AND %s", s.tables.quest, strings.Join(set, ", "), key, strings.Join(guard, " AND "))
	if err := r.execOne(ctx, "update quest", sql); err != nil {
		return row, err
	}
	r.undo(fmt.Sprintf("UPDATE %s SET %s WHERE %s AND %s;", s.tables.quest, strings.Join(back, ", "), key, strings.Join(backGuard, " AND ")))
	if err := r.settle(ctx, &row, slices.Sorted(maps.Keys(row.Before)), wanted); err != nil {
		return row, err
	}
	r.row = questRow{assigned: assigned, role: role, status: text(row.After[q.Status], was.status), updated: text(row.After[q.UpdatedAt], "")}
	return row, nil
}

// is compares a column with a text, "" for null.
func is(column, value string) string {
	if value == "" {
		return quoteName(column) + " IS NULL"
	}
	return quoteName(column) + " = " + quoteText(value)
}

// execOne executes what must change one row, which it does not where that is not as
// it was read.
func (r *repair) execOne(ctx context.Context, op, sql string) error {
	tag, err := r.conn.ExecParams(ctx, sql, nil, nil, nil, nil).Close()
	if err != nil {
		return readError(op, err)
	}
	if tag.RowsAffected() != 1 {
		return errChanged
	}
	return nil
}

// settle reads what a row has become, and finds out whether a trigger decided otherwise.
func (r *repair) settle(ctx context.Context, row *remedy.Image, columns []string, wanted map[string]*string) (err error) {
	if row.After, err = r.read(ctx, row.Entity, row.ID, columns); err != nil {
		return err
	}
	for _, column := range slices.Sorted(maps.Keys(wanted)) {
		if row.After == nil || !same(row.After[column], wanted[column]) {
			return fmt.Errorf("%w: a trigger, perhaps, is about column %s of %s, row %d", remedy.ErrIneffective, column, r.store.tableOf(row.Entity), row.ID)
		}
	}
	return nil
}

// read is a row's columns as texts, nil where there is no such row.
func (r *repair) read(ctx context.Context, entity string, id int64, columns []string) (map[string]*string, error) {
	var exprs []string
	for _, name := range columns {
		exprs = append(exprs, quoteName(name)+"::text")
	}
	var row map[string]*string
	sql := fmt.Sprintf("SELECT %s FROM %s WHERE %s = %d", strings.Join(exprs, ", "), quoteTable(r.store.tableOf(entity)), quoteName(r.store.keyOf(entity)), id)
	err := each(ctx, r.conn, sql, nil, nil, func(values [][]byte) error {
		row = make(map[string]*string, len(columns))
		for i, v := range values {
			row[columns[i]] = nil
			if v != nil {
				row[columns[i]] = new(string(v))
			}
		}
		return nil
	})
	return row, readError("read "+entity+" as written", err)
}

func (r *repair) undo(sql string) {
	r.receipt.Undo = slices.Insert(r.receipt.Undo, 0, sql)
}

// tableOf and keyOf name the table of an image's entity and its id.
func (s *Store) tableOf(entity string) string {
	if entity == change.Quest.String() {
		return s.cfg.Schema.Quest.Table
	}
	return s.cfg.Schema.Participant.Table
}

func (s *Store) keyOf(entity string) string {
	if entity == change.Quest.String() {
		return s.cfg.Schema.Quest.ID
	}
	return s.cfg.Schema.Participant.ID
}

func same(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// nullable and text turn "" into null and back.
func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func text(value *string, otherwise string) string {
	if value == nil {
		return otherwise
	}
	return *value
}
