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
// the census, then a case a quest, which is valid during the call. A user's name
// that nobody has is ErrUnknownUser. Quests of which only children exist come too.
func (s *Store) Survey(
	ctx context.Context, of remedy.Scope, begin func(remedy.Census) error, each func(*remedy.Case) error,
) error {
	return s.SurveyAt(ctx, of, func(change.LSN, change.Visible) error { return nil }, begin, each)
}

// SurveyAt does so and says first where the snapshot is, as Moment does.
func (s *Store) SurveyAt(
	ctx context.Context, of remedy.Scope, at func(change.LSN, change.Visible) error,
	begin func(remedy.Census) error, each func(*remedy.Case) error,
) error {
	err := s.inSnapshot(ctx, "", func(sn *snapshot) error {
		lsn, visible, err := sn.position(ctx)
		if err == nil {
			err = at(lsn, visible)
		}
		if err != nil {
			return err
		}
		census := remedy.Census{}
		if of.User != "" {
			id, err := s.userID(ctx, sn.conn, of.User)
			if err != nil {
				return err
			}
			census.UserID = id
		}
		q := query{store: s, user: census.UserID, assignees: of.Assignees}
		if err := q.takeCensus(ctx, sn, &census); err != nil {
			return err
		}
		if err := begin(census); err != nil {
			return err
		}
		return q.readCases(ctx, sn, each)
	})
	if err != nil {
		return fmt.Errorf("read quests: %w", err)
	}
	return nil
}

// query reads the cases of a scope.
type query struct {
	store     *Store
	user      string // whose quests alone, by id; "" is everybody's
	assignees bool
}

func (q *query) readCases(ctx context.Context, sn *snapshot, each func(*remedy.Case) error) error {
	g, err := sn.group(ctx, func(e change.Entity) (string, []int16) {
		if e == change.Quest {
			return q.quests() + " ORDER BY 1", questFormats[:questRank+1]
		}
		return q.children(e) + " ORDER BY 1, 2", childFormats
	})
	if err != nil {
		return err
	}
	b := newCaseBuilder(q.store.cfg.Statuses)
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

// UserID is the id of the user who has the name, or the id. That nobody has is
// ErrUnknownUser.
func (s *Store) UserID(ctx context.Context, who string) (string, error) {
	id, err := s.userID(ctx, s.pool, who)
	if !errors.Is(err, ErrUnknownUser) {
		return id, err
	}
	u := s.cfg.Schema.User
	sql := fmt.Sprintf("SELECT %s::text FROM %s WHERE %[1]s::text = lower($1)", quoteName(u.ID), s.tables.user)
	if scanned := s.pool.QueryRow(ctx, sql, who).Scan(&id); scanned == nil || !errors.Is(scanned, pgx.ErrNoRows) {
		return id, readError("look up user", scanned)
	}
	return "", err
}

// querier is a pool, or one connection of it.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (s *Store) userID(ctx context.Context, conn querier, name string) (string, error) {
	u := s.cfg.Schema.User
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT %s::text FROM %s WHERE %s = $1 LIMIT 2",
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
func (q *query) takeCensus(ctx context.Context, sn *snapshot, c *remedy.Census) error {
	s := q.store
	a, p, u := &s.cfg.Schema.Application, &s.cfg.Schema.Participant, &s.cfg.Schema.User
	sql := fmt.Sprintf("SELECT count(*) FROM %s q", s.tables.quest) + q.where("q", s.cfg.Schema.Quest.ID)
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

// where confines a query to the person's quests.
func (q *query) where(alias, questColumn string) string {
	if q.user == "" {
		return ""
	}
	s := q.store
	a, p := &s.cfg.Schema.Application, &s.cfg.Schema.Participant
	theirs := fmt.Sprintf("SELECT %s FROM %s WHERE %s = %s UNION ALL SELECT %s FROM %s WHERE %s = %[4]s",
		quoteName(a.QuestID), s.tables.application, quoteName(a.User), quoteText(q.user),
		quoteName(p.QuestID), s.tables.participant, quoteName(p.User))
	if quests := &s.cfg.Schema.Quest; q.assignees {
		theirs += fmt.Sprintf(" UNION ALL SELECT %s FROM %s WHERE %s = %s",
			quoteName(quests.ID), s.tables.quest, quoteName(quests.AssignedTo), quoteText(q.user))
	}
	return fmt.Sprintf(" WHERE %s.%s IN (%s)", alias, quoteName(questColumn), theirs)
}

func (q *query) quests() string {
	s, name, rank, people := q.store, "NULL::text", "NULL::bigint", ""
	if q.assignees {
		name, rank, people = "u.name", "u.rank", s.ranked("q", s.cfg.Schema.Quest.AssignedTo)
	}
	return s.questColumns(name, rank) + fmt.Sprintf(" FROM %s q", s.tables.quest) + people + q.where("q", s.cfg.Schema.Quest.ID)
}

// questColumns selects what a case needs of a quest, up to its assignee's rank.
func (s *Store) questColumns(name, rank string) string {
	q := &s.cfg.Schema.Quest
	return fmt.Sprintf("SELECT %s, %s, %s, %s, %s, %s, %s, %s",
		column("q", q.ID, "bigint"), column("q", q.Title, "text"), column("q", q.Status, "text"), column("q", q.AssignedTo, "text"),
		column("q", q.IsDeleted, "boolean"), column("q", q.CreatedAt, "timestamptz"), name, rank)
}

// ranked joins a column with people's names, and ranks them by the database's own
// order of names, which depends on its collation and cannot be had outside.
func (s *Store) ranked(alias, userColumn string) string {
	u := &s.cfg.Schema.User
	return fmt.Sprintf(` LEFT JOIN
		(SELECT %s AS id, %s::text AS name, row_number() OVER (ORDER BY %[2]s, %[1]s) AS rank FROM %[3]s) u ON u.id = %[4]s.%[5]s`,
		quoteName(u.ID), quoteName(u.Username), s.tables.user, alias, quoteName(userColumn))
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

// children reads applications or participants with their people's names.
func (q *query) children(e change.Entity) string {
	c := q.store.child(e)
	return c.columns("u.name", "u.rank") + fmt.Sprintf(" FROM %s c", c.table) + q.store.ranked("c", c.user) + q.where("c", c.quest)
}
