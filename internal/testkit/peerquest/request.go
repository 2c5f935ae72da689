package peerquest

import (
	"slices"
	"time"
)

// write is one statement of the application. apply does to a quest's rows what the statement does to the tables;
// id is that of the row it wrote.
type write struct {
	sql   string
	args  []any
	apply func(s *state, id int64)
	// unchecked: foreign keys do not hold it up.
	unchecked bool
}

// returning ends every statement: which row, and which transaction.
const returning = ` RETURNING id, pg_current_xact_id()::text::bigint`

// request is one HTTP request of the application: it read the quest when it began, works on what it has in memory,
// and saves whole objects.
type request struct {
	mem    *state
	writes []write
	fresh  int64 // ids below zero stand for rows that do not have theirs yet
}

func newRequest(s *state) *request { return &request{mem: s.clone()} }

func (r *request) add(w write) {
	r.fresh--
	w.apply(r.mem, r.fresh)
	r.writes = append(r.writes, w)
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func ptr[T any](v T) *T { return &v }

func (r *request) insertQuest(q questRow) {
	r.add(write{
		sql: `INSERT INTO quests_quest (title, description, difficulty, status, xp_reward, gold_reward, commission_fee,
			created_at, updated_at, due_date, completed_at, requirements, resources, slug, is_deleted, assigned_to_id,
			creator_id, category_id) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)` + returning,
		args: questArgs(q),
		apply: func(s *state, id int64) {
			s.exists, s.quest = true, q
			s.quest.id = id
		},
	})
}

func (r *request) saveQuest(mutate func(q *questRow)) {
	q := r.mem.quest
	mutate(&q)
	q.updatedAt = now()
	r.add(write{
		sql: `UPDATE quests_quest SET title=$1, description=$2, difficulty=$3, status=$4, xp_reward=$5, gold_reward=$6,
			commission_fee=$7, created_at=$8, updated_at=$9, due_date=$10, completed_at=$11, requirements=$12, resources=$13,
			slug=$14, is_deleted=$15, assigned_to_id=$16, creator_id=$17, category_id=$18 WHERE id=$19` + returning,
		args:  append(questArgs(q), q.id),
		apply: func(s *state, _ int64) { s.quest = q },
	})
}

func questArgs(q questRow) []any {
	return []any{
		q.title, q.description, q.difficulty, q.status, q.xp, q.gold, q.fee, q.createdAt, q.updatedAt, q.dueDate,
		q.completedAt, q.requirements, q.resources, q.slug, q.deleted, q.assignedTo, q.creator, q.category,
	}
}

// softDelete writes one column only, and not even updated_at.
func (r *request) softDelete() {
	r.add(write{
		sql: `UPDATE quests_quest SET is_deleted=true WHERE id=$1` + returning, args: []any{r.mem.quest.id},
		apply: func(s *state, _ int64) { s.quest.deleted = true },
	})
}

func (r *request) insertApp(user string) {
	a := application{status: pending, appliedAt: now(), applicant: user}
	r.add(write{
		sql: `INSERT INTO applications_application (status, applied_at, reviewed_at, applicant_id, quest_id, reviewed_by_id)
			VALUES ($1,$2,NULL,$3,$4,NULL)` + returning,
		args: []any{a.status, a.appliedAt, a.applicant, r.mem.quest.id},
		apply: func(s *state, id int64) {
			a := a
			a.id = id
			s.apps = append(s.apps, a)
		},
	})
}

func (r *request) saveApp(id int64, status string) { r.writeApp(id, status, "") }

// rejectPending is a save that follows a query for pending applications: it does not touch one that
// another request has approved in the meantime.
func (r *request) rejectPending(id int64) { r.writeApp(id, rejected, " AND status='pending'") }

func (r *request) writeApp(id int64, status, condition string) {
	a := *r.mem.app(id)
	a.status, a.reviewedAt, a.reviewedBy = status, ptr(now()), ptr(r.mem.quest.creator)
	r.add(write{
		sql: `UPDATE applications_application SET status=$1, applied_at=$2, reviewed_at=$3, applicant_id=$4, quest_id=$5,
			reviewed_by_id=$6 WHERE id=$7` + condition + returning,
		args: []any{a.status, a.appliedAt, a.reviewedAt, a.applicant, r.mem.quest.id, a.reviewedBy, id},
		apply: func(s *state, _ int64) {
			if old := s.app(id); old != nil {
				*old = a
			}
		},
	})
}

func (r *request) insertPart(user string, app *int64) {
	p := participant{status: joined, joinedAt: now(), application: app, user: user}
	r.add(write{
		sql: `INSERT INTO quests_questparticipant (status, joined_at, completed_at, progress_notes, application_id,
			application_date, application_message, review_notes, reviewed_at, quest_id, user_id)
			VALUES ($1,$2,NULL,'',$3,NULL,'','',NULL,$4,$5)` + returning,
		args: []any{p.status, p.joinedAt, p.application, r.mem.quest.id, p.user},
		apply: func(s *state, id int64) {
			p := p
			p.id = id
			s.parts = append(s.parts, p)
		},
	})
}

func (r *request) savePart(id int64, status string) {
	p := *r.mem.part(id)
	p.status = status
	if status == completed {
		p.completedAt = ptr(now())
	}
	r.add(write{
		sql: `UPDATE quests_questparticipant SET status=$1, joined_at=$2, completed_at=$3, progress_notes='',
			application_id=$4, quest_id=$5, user_id=$6 WHERE id=$7` + returning,
		args: []any{p.status, p.joinedAt, p.completedAt, p.application, r.mem.quest.id, p.user, id},
		apply: func(s *state, _ int64) {
			if old := s.part(id); old != nil {
				*old = p
			}
		},
	})
}

func (r *request) deletePart(id int64) {
	r.add(write{
		sql: `DELETE FROM quests_questparticipant WHERE id=$1` + returning, args: []any{id},
		apply: func(s *state, _ int64) {
			s.parts = slices.DeleteFunc(s.parts, func(p participant) bool { return p.id == id })
		},
	})
}

// hardDelete is Django's cascade: the children first.
func (r *request) hardDelete() {
	for _, p := range slices.Clone(r.mem.parts) {
		r.deletePart(p.id)
	}
	for _, a := range slices.Clone(r.mem.apps) {
		r.add(write{
			sql: `DELETE FROM applications_application WHERE id=$1` + returning, args: []any{a.id},
			apply: func(s *state, _ int64) {
				s.apps = slices.DeleteFunc(s.apps, func(o application) bool { return o.id == a.id })
			},
		})
	}
	r.deleteQuest()
}

func (r *request) deleteQuest() {
	r.add(write{
		sql: `DELETE FROM quests_quest WHERE id=$1` + returning, args: []any{r.mem.quest.id},
		apply: func(s *state, _ int64) { s.exists = false },
	})
}
