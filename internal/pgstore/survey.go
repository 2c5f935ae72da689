package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
)

// Survey reads every quest in one snapshot, in ascending order of ids: first
// the census, then a case a quest, which is valid during the call. A username
// confines it to the quests where that person has a row; a name that nobody has
// is ErrUnknownUser. Quests of which only children exist come too.
func (s *Store) Survey(
	ctx context.Context, username string, begin func(remedy.Census) error, each func(*remedy.Case) error,
) error {
	err := s.inSnapshot(ctx, "", func(sn *snapshot) error {
		census := remedy.Census{}
		if username != "" {
			id, err := s.userID(ctx, sn, username)
			if err != nil {
				return err
			}
			census.UserID = id
		}
		if err := s.takeCensus(ctx, sn, &census); err != nil {
			return err
		}
		if err := begin(census); err != nil {
			return err
		}
		return s.readCases(ctx, sn, census.UserID, each)
	})
	if err != nil {
		return fmt.Errorf("read quests: %w", err)
	}
	return nil
}

func (s *Store) readCases(ctx context.Context, sn *snapshot, userID string, each func(*remedy.Case) error) error {
	g, err := sn.group(ctx, func(e change.Entity) (string, []int16) {
		if e == change.Quest {
			return s.questQuery(userID) + " ORDER BY 1", questFormats[:questCreated+1]
		}
		return s.childQuery(e, userID) + " ORDER BY 1, 2", childFormats[:]
	})
	if err != nil {
		return err
	}
	b := newCaseBuilder(s.cfg.Statuses)
	for id, ok := g.quest(); ok; id, ok = g.quest() {
		b.reset(id)
		if err := g.rows(ctx, id, b.add); err != nil {
			return err
		}
		if err := each(&b.c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) userID(ctx context.Context, sn *snapshot, name string) (string, error) {
	u := s.cfg.Schema.User
	rows, err := sn.conn.Query(ctx, fmt.Sprintf("SELECT %s::text FROM %s WHERE %s = $1 LIMIT 2",
		quoteName(u.ID), s.tables.user, quoteName(u.Username)), name)
	if err != nil {
		return "", readError("look up user", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return "", readError("look up user", err)
	case len(ids) == 0:
		return "", problem{
			op: fmt.Sprintf("look up user %q", name), err: ErrUnknownUser, setup: true,
			hint: "names are compared exactly, capitals included",
		}.wrap()
	case len(ids) > 1:
		return "", problem{op: fmt.Sprintf("look up user %q", name), err: errors.New("several users have this name"), setup: true}.wrap()
	}
	return ids[0], nil
}

// takeCensus counts the people with rows. Only those in the user table count, as
// in the original audit.
func (s *Store) takeCensus(ctx context.Context, sn *snapshot, c *remedy.Census) error {
	a, p, u := &s.cfg.Schema.Application, &s.cfg.Schema.Participant, &s.cfg.Schema.User
	sql := fmt.Sprintf("SELECT count(*) FROM %s q", s.tables.quest)
	if c.UserID != "" {
		sql += s.scope("q", s.cfg.Schema.Quest.ID, c.UserID)
	}
	if err := sn.conn.QueryRow(ctx, sql).Scan(&c.Quests); err != nil {
		return readError("count quests", err)
	}
	if c.UserID != "" {
		c.People = 1
		return nil
	}
	sql = fmt.Sprintf(`SELECT count(*) FROM %s u WHERE u.%s IN (SELECT %s FROM %s UNION ALL SELECT %s FROM %s)`,
		s.tables.user, quoteName(u.ID),
		quoteName(a.User), s.tables.application, quoteName(p.User), s.tables.participant)
	return readError("count users", sn.conn.QueryRow(ctx, sql).Scan(&c.People))
}

// scope confines a query to the quests where a person has a row.
func (s *Store) scope(alias, questColumn, userID string) string {
	a, p := &s.cfg.Schema.Application, &s.cfg.Schema.Participant
	return fmt.Sprintf(" WHERE %s.%s IN (SELECT %s FROM %s WHERE %s = %s UNION ALL SELECT %s FROM %s WHERE %s = %[6]s)",
		alias, quoteName(questColumn),
		quoteName(a.QuestID), s.tables.application, quoteName(a.User), quoteText(userID),
		quoteName(p.QuestID), s.tables.participant, quoteName(p.User))
}

// questQuery reads quests, of one person's where userID is not "".
func (s *Store) questQuery(userID string) string {
	q := &s.cfg.Schema.Quest
	sql := fmt.Sprintf("SELECT %s, %s, %s, %s, %s, %s FROM %s q",
		column("q", q.ID, "bigint"), column("q", q.Title, "text"), column("q", q.Status, "text"), column("q", q.AssignedTo, "text"),
		column("q", q.IsDeleted, "boolean"), column("q", q.CreatedAt, "timestamptz"), s.tables.quest)
	if userID != "" {
		sql += s.scope("q", q.ID, userID)
	}
	return sql
}

// child names the columns of an application or a participant alike.
type child struct{ table, id, quest, user, status, time, reviewed string }

func (s *Store) child(e change.Entity) child {
	if a := &s.cfg.Schema.Application; e == change.Application {
		return child{s.tables.application, a.ID, a.QuestID, a.User, a.Status, a.AppliedAt, a.ReviewedAt}
	}
	p := &s.cfg.Schema.Participant
	return child{s.tables.participant, p.ID, p.QuestID, p.User, p.Status, p.JoinedAt, ""}
}

// childColumns selects what a case needs of an application or a participant.
func (c *child) columns(name, rank string) string {
	return fmt.Sprintf("SELECT %s, %s, %s, %s, %s, %s, %s, %s",
		column("c", c.quest, "bigint"), column("c", c.id, "bigint"), column("c", c.user, "text"), column("c", c.status, "text"),
		column("c", c.time, "timestamptz"), name, rank, column("c", c.reviewed, "timestamptz"))
}

// childQuery reads applications or participants with their people's names, and
// ranks them by the database's own order of names, which depends on its
// collation and cannot be had outside.
func (s *Store) childQuery(e change.Entity, userID string) string {
	c, u := s.child(e), &s.cfg.Schema.User
	sql := c.columns("u.name", "u.rank") + fmt.Sprintf(` FROM %s c LEFT JOIN
		(SELECT %s AS id, %s::text AS name, row_number() OVER (ORDER BY %[3]s, %[2]s) AS rank FROM %[4]s) u ON u.id = c.%[5]s`,
		c.table, quoteName(u.ID), quoteName(u.Username), s.tables.user, quoteName(c.user))
	if userID != "" {
		sql += s.scope("c", c.quest, userID)
	}
	return sql
}
