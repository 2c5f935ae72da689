package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// mend repairs a quest, if the snapshot shows anything that may be. What is
// reported is what was there under the lock.
func (a *auditor) mend(ctx context.Context, c *remedy.Case) error {
	seen, writes, err := a.phases.run(c, true)
	if err != nil {
		return err
	}
	if len(writes) == 0 {
		return a.found(c, seen, nil, false, "")
	}
	var now []record
	order := remedy.Order{Namespace: a.cfg.Namespace, Instance: "audit", Quest: c.Quest.ID, Actor: a.cfg.Actor, Reason: a.cfg.Reason}
	receipt, err := a.db.Repair(ctx, &order, func(locked *remedy.Case) ([]remedy.Part, error) {
		translateRanks(locked, c)
		steps, _, err := a.phases.run(locked, true)
		now = now[:0]
		for i := range steps {
			now = append(now, a.recordOf(locked, &steps[i]))
		}
		return partsOf(steps), err
	})
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("repair quest %d: %w", c.Quest.ID, ctx.Err())
		}
		a.result.Failed++
		return a.found(c, seen, nil, false, err.Error())
	}
	if err := a.mended(receipt); err != nil {
		return err
	}
	for i := range now {
		if err := a.keep(&now[i], receipt.Inserted, true, ""); err != nil {
			return err
		}
	}
	if len(now) > 0 {
		a.result.QuestsAffected++
	}
	return a.healed(c, seen, now)
}

// partsOf are the repairs among the steps.
func partsOf(steps []step) []remedy.Part {
	var parts []remedy.Part
	for i := range steps {
		s := &steps[i]
		if s.planned() {
			v := &s.violation
			parts = append(parts, remedy.Part{Rule: v.Rule, Cause: v.Cause, Action: s.plan.Action, User: v.User, Writes: s.plan.Writes})
		}
	}
	return parts
}

// mended keeps what a repair wrote.
func (a *auditor) mended(receipt remedy.Receipt) error {
	n := int64(len(receipt.Inserted))
	a.result.Inserted += n
	a.result.Stats.Participants += n
	return a.keepUndo(receipt.Undo)
}

// keepUndo keeps a quest's statements together, the latest quest first.
func (a *auditor) keepUndo(statements []string) error {
	a.undone++
	for i, sql := range statements {
		if err := a.result.undo.add(key{-a.undone, int64(i)}, []byte(sql)); err != nil {
			return err
		}
	}
	return nil
}

// healed notes what the snapshot showed and the lock did not.
func (a *auditor) healed(c *remedy.Case, seen []step, now []record) error {
	for i := range seen {
		s := &seen[i]
		r := a.recordOf(c, s)
		if !s.planned() || slices.ContainsFunc(now, func(other record) bool { return sameFinding(&r.finding, &other.finding) }) {
			continue
		}
		r.finish(nil)
		r.finding.Detail += "; healed by somebody else before the repair"
		payload, err := r.payload()
		if err != nil {
			return err
		}
		if err := a.result.skipped.add(r.key, payload); err != nil {
			return err
		}
		a.result.Skipped++
	}
	return nil
}

func sameFinding(a, b *Finding) bool {
	return a.Rule == b.Rule && equal(a.UserID, b.UserID) && (a.Rule != rule.MissingParticipant || equal(a.ApplicationID, b.ApplicationID))
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// translateRanks replaces ranks among the quest's people by those among all
// users, which only the snapshot has, as it alone has the name of an assignee
// without a row. Somebody who came in between gets the rank of the one before.
func translateRanks(locked, snapshot *remedy.Case) {
	global := make(map[string]remedy.Person, len(snapshot.People))
	for _, p := range snapshot.People {
		if p.Rank != 0 {
			global[p.ID] = p
		}
	}
	order := make([]quest.User, 0, len(locked.People))
	for u := range locked.People {
		p := &locked.People[u]
		if p.Rank != 0 {
			order = append(order, quest.User(u))
		} else if known, ok := global[p.ID]; ok {
			*p = known
		}
	}
	slices.SortFunc(order, func(a, b quest.User) int { return int(locked.People[a].Rank - locked.People[b].Rank) })
	last := int64(1)
	for _, u := range order {
		if known, ok := global[locked.People[u].ID]; ok {
			last = known.Rank
		}
		locked.People[u].Rank = last
	}
}
