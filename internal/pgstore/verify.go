package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// NextXID is above the id of every transaction that had one before the call. It
// takes one to know.
func (s *Store) NextXID(ctx context.Context) (next uint64, err error) {
	err = s.onSide(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT pg_current_xact_id()::text::bigint + 1").Scan(&next)
	})
	return next, readError("read the next transaction id", err)
}

// Moment is a snapshot to compare with what the log says. It is for the duration
// of the call that it is given to.
type Moment struct {
	store *Store
	sn    *snapshot
	// LSN is above the commit of everything that the snapshot sees.
	LSN     change.LSN
	Visible change.Visible
}

// Moment calls fn with a snapshot of its own.
func (s *Store) Moment(ctx context.Context, fn func(*Moment) error) error {
	return s.inSnapshot(ctx, "", func(sn *snapshot) error {
		at, visible, err := sn.position(ctx)
		if err != nil {
			return err
		}
		return fn(&Moment{store: s, sn: sn, LSN: at, Visible: visible})
	})
}

// position is above the commit of everything that the snapshot sees, which was taken by
// the statement before: what it sees had written its commit by then.
func (sn *snapshot) position(ctx context.Context) (at change.LSN, visible change.Visible, err error) {
	var lsn, seen string
	err = sn.conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text, pg_current_snapshot()::text").Scan(&lsn, &seen)
	if err != nil {
		return 0, visible, readError("read the log's position", err)
	}
	if at, err = change.ParseLSN(lsn); err == nil {
		visible, err = change.ParseVisible(seen)
	}
	return at, visible, err
}

// Digests are those of consecutive ranges of quests: each begins at one of starts,
// which ascend, and ends before the next one, the last one at last.
func (m *Moment) Digests(ctx context.Context, starts []int64, last int64) ([]quest.Digest, error) {
	rows, err := m.sn.conn.Query(ctx, m.store.digestQuery(starts, last))
	if err != nil {
		return nil, readError("sum up quests", err)
	}
	digests := make([]quest.Digest, len(starts))
	var at int
	var count, sum int64
	_, err = pgx.ForEachRow(rows, []any{&at, &count, &sum}, func() error {
		if at < 1 || at > len(digests) {
			return errors.New("sum up quests: one is in no range")
		}
		digests[at-1] = quest.Digest{Rows: count, Sum: uint64(sum)}
		return nil
	})
	return digests, readError("sum up quests", err)
}

// digestQuery makes the same texts of rows as quest.Texts does.
func (s *Store) digestQuery(starts []int64, last int64) string {
	q, a, p := &s.cfg.Schema.Quest, &s.cfg.Schema.Application, &s.cfg.Schema.Participant
	st := &s.cfg.Statuses
	var bounds []string
	for _, id := range starts {
		bounds = append(bounds, strconv.FormatInt(id, 10))
	}
	part := func(table, key string, texts ...string) string {
		return fmt.Sprintf("SELECT width_bucket(t.%s::bigint, '{%s}'::bigint[]) AS r, %s AS x FROM %s t WHERE %s",
			quoteName(key), strings.Join(bounds, ","), strings.Join(texts, " || "+quoteText(string(quest.TextSeparator))+" || "),
			table, between("t", key, starts[0], last))
	}
	kind := func(letter rune) string { return quoteText(string(letter)) }
	text := func(name string) string { return "coalesce(" + column("t", name, "text") + ", '')" }
	id := func(name string) string { return column("t", name, "bigint") + "::text" }
	return "SELECT r, count(*), bit_xor(('x' || encode(substr(sha256(convert_to(x, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint) FROM (" +
		part(s.tables.quest, q.ID, kind(quest.TextOfQuest), id(q.ID), roleOf(q.Status, st.Quest),
			"CASE WHEN "+column("t", q.IsDeleted, "boolean")+" THEN '1' ELSE '0' END", text(q.AssignedTo), text(q.Title)) + " UNION ALL " +
		part(s.tables.application, a.QuestID, kind(quest.TextOfApplication), id(a.ID), id(a.QuestID), roleOf(a.Status, st.Application), text(a.User)) + " UNION ALL " +
		part(s.tables.participant, p.QuestID, kind(quest.TextOfParticipant), id(p.ID), id(p.QuestID), roleOf(p.Status, st.Participant),
			"encode(timestamptz_send(coalesce("+column("t", p.JoinedAt, "timestamptz")+", 'epoch')), 'hex')", text(p.User)) +
		") rows GROUP BY r"
}

// roleOf turns a status into its role's number, as text. The words are compared as
// the program does, whatever the column's collation.
func roleOf[Role ~uint8](status string, roles map[string]Role) string {
	sql := "CASE " + column("t", status, "text") + ` COLLATE "C"`
	for _, word := range slices.Sorted(maps.Keys(roles)) {
		sql += fmt.Sprintf(" WHEN %s THEN '%d'", quoteText(word), roles[word])
	}
	return sql + " ELSE '0' END"
}

// between confines a column to a range, in a way that an index on it serves.
func between(alias, name string, first, last int64) string {
	return fmt.Sprintf("%s.%s BETWEEN '%d'::bigint AND '%d'::bigint", alias, quoteName(name), first, last)
}

// Range reads all rows of the quests with ids from first to last, as Baseline does,
// but the columns that Schema.Columns lists only.
func (m *Moment) Range(ctx context.Context, first, last int64, fn func(questID int64, rows []change.Change) error) error {
	return m.read(ctx, func(key string) string { return between("t", key, first, last) }, fn)
}

// Quests does so for the quests with these ids.
func (m *Moment) Quests(ctx context.Context, ids []int64, fn func(questID int64, rows []change.Change) error) error {
	var list []string
	for _, id := range ids {
		list = append(list, strconv.FormatInt(id, 10))
	}
	return m.read(ctx, func(key string) string {
		return fmt.Sprintf("t.%s = ANY ('{%s}'::bigint[])", quoteName(key), strings.Join(list, ","))
	}, fn)
}

func (m *Moment) read(ctx context.Context, where func(key string) string, fn func(int64, []change.Change) error) (err error) {
	defer func() {
		if e := run(ctx, m.sn.conn.PgConn(), "CLOSE ALL"); e != nil && err == nil {
			err = readError("read quests", e)
		}
	}()
	b := &baseline{store: m.store, fn: fn, where: where}
	for _, e := range change.Entities {
		if err := b.plan(ctx, m.sn, e, m.store.cfg.Schema.Columns(e), false); err != nil {
			return fmt.Errorf("read quests: %w", err)
		}
	}
	if err := b.read(ctx, m.sn); err != nil {
		return fmt.Errorf("read quests: %w", err)
	}
	return nil
}
