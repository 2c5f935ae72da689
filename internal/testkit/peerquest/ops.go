package peerquest

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

var (
	verbs   = []string{"Translate", "Mend", "Chart", "Copy", "Guard", "Paint", "Tune", "Sort", "Test", "Deliver"}
	objects = []string{"tavern sign", "old bridge", "north coast", "guild ledger", "east gate", "town hall", "village bell", "rune archive", "new forge", "harvest letters"}
)

// create posts a quest and takes the first applications.
func (w *worker) create(ctx context.Context) (*live, error) {
	q := &live{
		worker: w, rows: &state{}, history: newHistory(), standing: map[Key]*violation{},
	}
	w.created++
	title := pick(w.rng, verbs) + " the " + pick(w.rng, objects)
	at := now()
	r := newRequest(q.rows)
	r.insertQuest(questRow{
		title: title, description: w.text(), difficulty: "initiate", status: open, xp: 25 * (1 + w.rng.IntN(8)),
		createdAt: at, updatedAt: at, slug: fmt.Sprintf("%s-%s-%d-%d", strings.ToLower(strings.ReplaceAll(title, " ", "-")), w.sim.run, w.number, w.created),
		requirements: "", resources: "", creator: pick(w.rng, w.sim.users), category: w.sim.category,
	})
	if err := q.run(ctx, inOne, r); err != nil {
		return nil, err
	}
	for range 1 + w.rng.IntN(3) {
		if err := w.apply(ctx, q); err != nil {
			return q, err
		}
	}
	return q, nil
}

// text is sometimes long and does not compress, so that Postgres stores it aside and leaves it out of updates.
func (w *worker) text() string {
	n := 40
	if w.rng.IntN(8) == 0 {
		n = 6000
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('!' + w.rng.IntN(90))
	}
	return string(b)
}

// stranger is somebody who has nothing to do with the quest yet.
func (w *worker) stranger(q *live) (string, bool) {
	for range 20 {
		u := pick(w.rng, w.sim.users)
		if u != q.rows.quest.creator && !q.rows.applied(u) && q.rows.partOf(u) == nil {
			return u, true
		}
	}
	return "", false
}

func (w *worker) apply(ctx context.Context, q *live) error {
	user, ok := w.stranger(q)
	if !ok {
		return nil
	}
	r := newRequest(q.rows)
	r.insertApp(user)
	return q.run(ctx, apart, r)
}

// turnedDown lists who may apply again: rejected, nothing else, and not taking part.
func turnedDown(s *state) []string {
	var users []string
	for _, a := range s.apps {
		other := slices.ContainsFunc(s.apps, func(b application) bool {
			return b.applicant == a.applicant && b.status != rejected
		})
		if !other && s.partOf(a.applicant) == nil && !slices.Contains(users, a.applicant) {
			users = append(users, a.applicant)
		}
	}
	return users
}

func (w *worker) applyAgain(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.insertApp(pick(w.rng, turnedDown(q.rows)))
	return q.run(ctx, apart, r)
}

// withApproval lists the active participants that have an approved application and one row only.
func withApproval(s *state) []participant {
	return slices.DeleteFunc(s.active(), func(p participant) bool {
		_, ok := s.approvedApp(p.user)
		return !ok
	})
}

func (w *worker) pickApproved(q *live) participant { return pick(w.rng, withApproval(q.rows)) }

func kick(s *state, user string) *request {
	r := newRequest(s)
	if id, ok := s.approvedApp(user); ok {
		r.saveApp(id, kicked)
	}
	r.savePart(s.partOf(user).id, dropped)
	if len(r.mem.active()) == 0 {
		r.saveQuest(func(q *questRow) { q.assignedTo, q.status = nil, open })
	}
	return r
}

func (w *worker) kick(ctx context.Context, q *live) error {
	return q.run(ctx, w.style(), kick(q.rows, w.pickApproved(q).user))
}

// leave deletes the participant and lets the application stand.
func (w *worker) leave(ctx context.Context, q *live) error {
	p := w.pickApproved(q)
	r := newRequest(q.rows)
	r.deletePart(p.id)
	left := r.mem.active()
	switch {
	case len(left) == 0:
		r.saveQuest(func(q *questRow) { q.assignedTo, q.status = nil, open })
	case r.mem.isAssignee(p.user):
		r.saveQuest(func(q *questRow) { q.assignedTo = ptr(left[0].user) })
	}
	return q.run(ctx, w.style(), r)
}

// leaveNamed is the same of an assignee whom the quest goes on naming.
func (w *worker) leaveNamed(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.deletePart(r.mem.partOf(*r.mem.quest.assignedTo).id)
	return q.run(ctx, w.style(), r)
}

// leaveCleared is the same where the quest is assigned to nobody afterwards, though others stay.
func (w *worker) leaveCleared(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.deletePart(r.mem.partOf(*r.mem.quest.assignedTo).id)
	r.saveQuest(func(q *questRow) { q.assignedTo = nil })
	return q.run(ctx, w.style(), r)
}

// departed lists who is approved and has no row as a participant.
func departed(s *state) []string {
	var users []string
	for _, a := range s.apps {
		if a.status == approved && s.partOf(a.applicant) == nil && !slices.Contains(users, a.applicant) {
			users = append(users, a.applicant)
		}
	}
	return users
}

// putBack is what the original audit's repair does to somebody who has left.
func (w *worker) putBack(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	assignTo(r, application{applicant: pick(w.rng, departed(q.rows))}, nothing)
	return q.run(ctx, inOne, r)
}

// applyBack has somebody who has left apply once more.
func (w *worker) applyBack(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.insertApp(pick(w.rng, departed(q.rows)))
	return q.run(ctx, apart, r)
}

// join takes part without an application: two transactions in any style.
func (w *worker) join(ctx context.Context, q *live) error {
	user, ok := w.stranger(q)
	if !ok {
		return nil
	}
	r := newRequest(q.rows)
	r.insertPart(user, nil)
	r.saveQuest(func(q *questRow) { q.assignedTo = ptr(user) })
	return q.run(ctx, apart, r)
}

func (w *worker) unassign(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.saveQuest(func(q *questRow) { q.assignedTo, q.status = nil, open })
	return q.run(ctx, apart, r)
}

// complete is 9 to 23 transactions in any style: status, participants, and rewards that save the quest again.
func (w *worker) complete(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.saveQuest(func(q *questRow) { q.status, q.completedAt = completed, ptr(now()) })
	for _, p := range r.mem.active() {
		r.savePart(p.id, completed)
	}
	for n := 9 + w.rng.IntN(15); len(r.writes) < n; {
		r.saveQuest(func(q *questRow) { q.gold++ })
	}
	return q.run(ctx, apart, r)
}

func (w *worker) edit(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.saveQuest(func(q *questRow) { q.resources = w.text() })
	return q.run(ctx, apart, r)
}

func (w *worker) softDelete(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.softDelete()
	return q.run(ctx, apart, r)
}

func (w *worker) hardDelete(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.hardDelete()
	return q.run(ctx, inOne, r)
}
