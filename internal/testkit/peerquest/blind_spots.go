package peerquest

import "context"

// The faults that the original audit did not look for, and those that leave no finding behind.

// takeBack approves and makes the application pending again at once.
func (w *worker) takeBack(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	id := w.pickPending(q).id
	r.saveApp(id, approved)
	r.saveApp(id, pending)
	return q.run(ctx, apart, r)
}

// undo saves an application as it was before its approval: the object in memory was stale.
func (w *worker) undo(ctx context.Context, q *live) error {
	id, _ := q.rows.approvedApp(w.pickApproved(q).user)
	r := newRequest(q.rows)
	r.saveApp(id, pending)
	return q.run(ctx, apart, r)
}

// goBack opens a quest in progress again, and changes nothing else.
func (w *worker) goBack(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.saveQuest(func(q *questRow) { q.status = open })
	return q.run(ctx, apart, r)
}

// abandon is the last one's departure of which the quest is not told.
func (w *worker) abandon(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.deletePart(w.pickApproved(q).id)
	return q.run(ctx, apart, r)
}

// dangle deletes the quest and leaves its rows behind, past the foreign keys.
func (w *worker) dangle(ctx context.Context, q *live) error {
	r := newRequest(q.rows)
	r.deleteQuest()
	r.writes[0].unchecked = true
	return q.run(ctx, apart, r)
}
