package peerquest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Statuses, as the application spells them.
const (
	open       = "open"
	inProgress = "in-progress"
	completed  = "completed"

	pending  = "pending"
	approved = "approved"
	rejected = "rejected"
	kicked   = "kicked"

	joined  = "joined"
	working = "in_progress"
	dropped = "dropped"
)

// questRow is a whole row, because Django's save writes every column from memory.
type questRow struct {
	id                             int64
	title, description, difficulty string
	status                         string
	xp, gold, fee                  int
	createdAt, updatedAt           time.Time
	dueDate, completedAt           *time.Time
	requirements, resources, slug  string
	deleted                        bool
	assignedTo                     *string
	creator                        string
	category                       int64
}

type application struct {
	id         int64
	status     string
	appliedAt  time.Time
	reviewedAt *time.Time
	applicant  string
	reviewedBy *string
}

type participant struct {
	id          int64
	status      string
	joinedAt    time.Time
	completedAt *time.Time
	application *int64
	user        string
}

func (p participant) active() bool { return p.status != dropped }

// state is one quest with its rows, as committed or as a request has it in memory.
type state struct {
	exists bool
	quest  questRow
	apps   []application
	parts  []participant
}

func (s *state) clone() *state {
	c := *s
	c.apps, c.parts = slices.Clone(s.apps), slices.Clone(s.parts)
	return &c
}

func (s *state) app(id int64) *application {
	for i := range s.apps {
		if s.apps[i].id == id {
			return &s.apps[i]
		}
	}
	return nil
}

func (s *state) part(id int64) *participant {
	for i := range s.parts {
		if s.parts[i].id == id {
			return &s.parts[i]
		}
	}
	return nil
}

func (s *state) partOf(user string) *participant {
	for i := range s.parts {
		if s.parts[i].user == user {
			return &s.parts[i]
		}
	}
	return nil
}

func (s *state) pending() []application {
	return slices.DeleteFunc(slices.Clone(s.apps), func(a application) bool { return a.status != pending })
}

func (s *state) active() []participant {
	return slices.DeleteFunc(slices.Clone(s.parts), func(p participant) bool { return !p.active() })
}

func (s *state) takesPart(user string) bool {
	return slices.ContainsFunc(s.parts, func(p participant) bool { return p.user == user && p.active() })
}

func (s *state) applied(user string) bool {
	return slices.ContainsFunc(s.apps, func(a application) bool { return a.applicant == user })
}

func (s *state) approvedApp(user string) (int64, bool) {
	for _, a := range s.apps {
		if a.applicant == user && a.status == approved {
			return a.id, true
		}
	}
	return 0, false
}

func (s *state) isAssignee(user string) bool {
	return s.quest.assignedTo != nil && *s.quest.assignedTo == user
}

// readState reads a quest back in one snapshot.
func readState(ctx context.Context, db *pgx.Conn, id int64) (*state, error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // a read has nothing to lose
	s := &state{}
	rows, err := tx.Query(ctx, `SELECT id, title, description, difficulty, status, xp_reward, gold_reward,
		commission_fee, created_at, updated_at, due_date, completed_at, requirements, resources, slug, is_deleted,
		assigned_to_id::text, creator_id::text, category_id FROM quests_quest WHERE id = $1`, id)
	if err == nil {
		q := &s.quest
		_, err = pgx.ForEachRow(rows, []any{
			&q.id, &q.title, &q.description, &q.difficulty, &q.status, &q.xp, &q.gold, &q.fee, &q.createdAt, &q.updatedAt,
			&q.dueDate, &q.completedAt, &q.requirements, &q.resources, &q.slug, &q.deleted, &q.assignedTo, &q.creator, &q.category,
		}, func() error { s.exists = true; return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("read quest %d: %w", id, err)
	}
	rows, err = tx.Query(ctx, `SELECT id, status, applied_at, reviewed_at, applicant_id::text, reviewed_by_id::text
		FROM applications_application WHERE quest_id = $1 ORDER BY id`, id)
	if err == nil {
		s.apps, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (a application, err error) {
			err = r.Scan(&a.id, &a.status, &a.appliedAt, &a.reviewedAt, &a.applicant, &a.reviewedBy)
			return a, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read applications of quest %d: %w", id, err)
	}
	rows, err = tx.Query(ctx, `SELECT id, status, joined_at, completed_at, application_id, user_id::text
		FROM quests_questparticipant WHERE quest_id = $1 ORDER BY id`, id)
	if err == nil {
		s.parts, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (p participant, err error) {
			err = r.Scan(&p.id, &p.status, &p.joinedAt, &p.completedAt, &p.application, &p.user)
			return p, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read participants of quest %d: %w", id, err)
	}
	return s, nil
}
