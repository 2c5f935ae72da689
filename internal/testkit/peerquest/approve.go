package peerquest

import (
	"context"
	"fmt"
)

// What may get lost on the way of an approval.
type lost int

const (
	nothing lost = iota
	participation
	status
	assignment
	quest // both
)

// approve is the request of a creator who approves an application. As in the application, a quest that already has
// a participant row, even of somebody dropped, does not move to in-progress.
func approve(s *state, app application, miss lost) *request {
	r := newRequest(s)
	r.saveApp(app.id, approved)
	if miss == participation {
		return r
	}
	assignTo(r, app, miss)
	for _, other := range r.mem.pending() {
		r.rejectPending(other.id)
	}
	return r
}

func assignTo(r *request, app application, miss lost) {
	first := len(r.mem.parts) == 0
	if p := r.mem.partOf(app.applicant); p != nil {
		r.savePart(p.id, joined)
	} else if app.id == 0 {
		r.insertPart(app.applicant, nil)
	} else {
		r.insertPart(app.applicant, &app.id)
	}
	if miss != assignment && miss != quest {
		r.saveQuest(func(q *questRow) { q.assignedTo = ptr(app.applicant) })
	}
	if miss != status && miss != quest && first && r.mem.quest.status == open {
		r.saveQuest(func(q *questRow) { q.status = inProgress })
	}
}

func (w *worker) pickPending(q *live) application { return pick(w.rng, q.rows.pending()) }

func (w *worker) approve(ctx context.Context, q *live) error {
	return q.run(ctx, w.style(), approve(q.rows, w.pickPending(q), nothing))
}

func (w *worker) approveRolledBack(ctx context.Context, q *live) error {
	app := w.pickPending(q)
	err := w.sim.rollBack(ctx, approve(q.rows, app, nothing).writes)
	if err != nil && !transient(err) {
		return err
	}
	if w.rng.IntN(2) == 0 {
		return ctx.Err()
	}
	return q.report(ctx, app)
}

// report has the application say that an approval failed, outside of the transaction that was rolled back.
func (q *live) report(ctx context.Context, app application) error {
	content := fmt.Sprintf(`{"quest_id":%d,"application_id":%d,"user_id":%q,"error":"peerquest.AssignError"}`, q.rows.quest.id, app.id, app.applicant)
	var xid int64
	err := q.worker.sim.pool.QueryRow(ctx, `SELECT pg_current_xact_id()::text::bigint
		FROM pg_logical_emit_message(true, 'questwatch.approval_failed', $1::text)`, content).Scan(&xid)
	if err != nil && !transient(err) {
		return fmt.Errorf("report: %w", err)
	}
	kind := Reported
	if err != nil {
		kind, xid = "", 0
	}
	q.worker.sim.ledger.turned(Turn{kind, q.rows.quest.id, app.applicant, uint64(xid)})
	return ctx.Err()
}

func (w *worker) approveTwo(ctx context.Context, q *live) error {
	apps := q.rows.pending()
	w.rng.Shuffle(len(apps), func(i, j int) { apps[i], apps[j] = apps[j], apps[i] })
	return q.concurrently(ctx, w.style(), approve(q.rows, apps[0], nothing), approve(q.rows, apps[1], nothing))
}

func (w *worker) reject(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.saveApp(w.pickPending(q).id, rejected)
	return q.run(ctx, apart, r)
}

// The faults. Each leaves something that has to be found.

func (w *worker) loseParticipant(ctx context.Context, q *live) error {
	return q.run(ctx, apart, approve(q.rows, w.pickPending(q), participation))
}

func (w *worker) loseStatus(ctx context.Context, q *live) error {
	return q.run(ctx, w.style(), approve(q.rows, w.pickPending(q), status))
}

func (w *worker) loseAssignment(ctx context.Context, q *live) error {
	return q.run(ctx, w.style(), approve(q.rows, w.pickPending(q), assignment))
}

func (w *worker) loseQuest(ctx context.Context, q *live) error {
	return q.run(ctx, w.style(), approve(q.rows, w.pickPending(q), quest))
}

// removeEndpoint rejects the application of somebody who takes part, and forgets the participant.
func (w *worker) removeEndpoint(ctx context.Context, q *live) error {
	id, _ := q.rows.approvedApp(w.pickApproved(q).user)
	r := newRequest(q.rows)
	r.saveApp(id, rejected)
	return q.run(ctx, apart, r)
}

func (w *worker) duplicate(ctx context.Context, q *live) error {
	p := pick(w.rng, q.rows.active())
	r := newRequest(q.rows)
	r.insertPart(p.user, p.application)
	return q.run(ctx, apart, r)
}

// handToStranger assigns the quest to somebody who does not take part.
func (w *worker) handToStranger(ctx context.Context, q *live) error {
	user, ok := w.stranger(q)
	if !ok {
		return nil
	}
	r := newRequest(q.rows)
	r.saveQuest(func(q *questRow) { q.assignedTo = ptr(user) })
	return q.run(ctx, apart, r)
}

// dropAlone writes of a kick the participant only, completeAlone of a completion the quest only.
func (w *worker) dropAlone(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.savePart(w.pickApproved(q).id, dropped)
	return q.run(ctx, apart, r)
}

func (w *worker) completeAlone(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.saveQuest(func(q *questRow) { q.status, q.completedAt = completed, ptr(now()) })
	return q.run(ctx, apart, r)
}

// approveAfterKick goes the way on which the status stays open: kicked, applied again, approved again.
func (w *worker) approveAfterKick(ctx context.Context, q *live) error {
	user := w.pickApproved(q).user
	if err := q.run(ctx, w.style(), kick(q.rows, user)); err != nil {
		return err
	}
	r := newRequest(q.rows)
	r.insertApp(user)
	if err := q.run(ctx, apart, r); err != nil {
		return err
	}
	app := q.rows.apps[len(q.rows.apps)-1]
	return q.run(ctx, w.style(), approve(q.rows, app, nothing))
}

// lateFix repairs by hand what is wrong at warning or above.
func (w *worker) lateFix(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	for key, v := range q.standing {
		if severityOf(v.cause) != "info" {
			fix(r, key)
		}
	}
	q.heal = false
	if len(r.writes) == 0 {
		return nil
	}
	return q.run(ctx, inOne, r)
}

func fix(r *request, key Key) {
	switch key.Rule {
	case MissingParticipant:
		r.insertPart(key.UserID, nil)
		r.saveQuest(func(q *questRow) {
			q.assignedTo = ptr(key.UserID)
			if q.status == open {
				q.status = inProgress
			}
		})
	case OrphanParticipant:
		for _, a := range r.mem.apps {
			if a.applicant == key.UserID {
				r.saveApp(a.id, approved)
				return
			}
		}
	case OpenWithParticipants:
		r.saveQuest(func(q *questRow) { q.status = inProgress })
	case Unassigned:
		r.saveQuest(func(q *questRow) { q.assignedTo = ptr(r.mem.active()[0].user) })
	case AssigneeNotParticipant:
		r.saveQuest(func(q *questRow) {
			q.assignedTo = nil
			if active := r.mem.active(); len(active) > 0 {
				q.assignedTo = ptr(active[0].user)
			}
		})
	case DuplicateParticipant:
		for i := len(r.mem.parts) - 1; i >= 0; i-- {
			if r.mem.parts[i].user == key.UserID {
				r.deletePart(r.mem.parts[i].id)
				return
			}
		}
	}
}
