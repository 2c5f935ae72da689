package peerquest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// entry is a repair that somebody else made of a quest, as the journal of repairs has it.
type entry struct {
	id, xid int64
	at      time.Time
	repairs Key
	rows    []image
}

// image is a row after the repair; of one that was deleted there is none.
type image struct {
	Entity string             `json:"entity"`
	ID     int64              `json:"id"`
	After  map[string]*string `json:"after"`
}

// catchUp takes in what was repaired since it was called last, a transaction after the other. A quest whose rows were
// written at the same time is read back: the order is not known.
func (q *live) catchUp(ctx context.Context) error {
	if !q.worker.sim.cfg.Journal || !q.rows.exists {
		return nil
	}
	entries, err := q.worker.sim.entries(ctx, q.rows.quest.id, q.entry)
	if err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if q.entry = e.id; e.at.Before(q.wrote) {
			if err := q.readBack(ctx, e.at); err != nil {
				return err
			}
			q.blur(span{e.at, time.Now()})
			continue
		}
		after := q.rows.clone()
		for j := range e.rows {
			if err := e.rows[j].applyTo(after); err != nil {
				return fmt.Errorf("take in repair %d: %w", e.id, err)
			}
		}
		q.repairing = &e.repairs
		q.observe(after, span{e.at, e.at}, e.xid)
		q.repairing = nil
	}
	q.worker.sim.ledger.settle(q.standing)
	return nil
}

// entries reads the journal of a quest from an entry on.
func (s *Simulator) entries(ctx context.Context, quest, after int64) ([]entry, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, xid::text::bigint, at, rule, quest, person, rows::text FROM questwatch.repair WHERE quest = $1 AND id > $2 ORDER BY id`,
		quest, after)
	if err != nil {
		return nil, fmt.Errorf("read the journal of quest %d: %w", quest, err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e entry, err error) {
		var images string
		if err = row.Scan(&e.id, &e.xid, &e.at, &e.repairs.Rule, &e.repairs.QuestID, &e.repairs.UserID, &images); err == nil {
			err = json.Unmarshal([]byte(images), &e.rows)
		}
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the journal of quest %d: %w", quest, err)
	}
	return entries, nil
}

// applyTo does to a quest's rows what was done to the tables. Doing it twice is harmless.
func (i *image) applyTo(s *state) error {
	text := func(column string) string {
		if v := i.After[column]; v != nil {
			return *v
		}
		return ""
	}
	switch i.Entity {
	case "quest":
		if to, written := i.After["assigned_to_id"]; written {
			s.quest.assignedTo = to
		}
		if to, written := i.After["status"]; written {
			s.quest.status = *to
		}
	case "participant":
		p := s.part(i.ID)
		switch {
		case i.After == nil:
			s.parts = slices.DeleteFunc(s.parts, func(p participant) bool { return p.id == i.ID })
		case p != nil:
			p.status = text("status")
		default:
			s.parts = append(s.parts, participant{id: i.ID, status: text("status"), joinedAt: now(), user: text("user_id")})
		}
	default:
		return fmt.Errorf("a row of %q", i.Entity)
	}
	return nil
}

// CatchUp takes in what was repaired since Run ended, so that Truth is complete again.
func (s *Simulator) CatchUp(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.pool.Close()
	for _, w := range s.workers {
		for _, q := range slices.Concat(w.quests, w.retired) {
			if err := q.catchUp(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
