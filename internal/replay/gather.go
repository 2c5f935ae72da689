package replay

import (
	"context"
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// changesShown is how many changes of an entity are kept of a transaction: the last
// ones, which say what came of it.
const changesShown = 20

// gatherer reads the steps of a quest and keeps the transactions that led to a
// finding. It needs memory for those, and for what the followed rows were last.
type gatherer struct {
	stream  Stream
	finding *event.Finding
	scope   scope
	columns [change.Participant + 1]columns
	limit   int

	to      change.Seq // what is behind it does not count
	decoder change.Decoder
	step    change.Step
	steps   int
	group   *group
	known   map[rowKey]row
	times   times
	// founded says that the quest's row was made before anything else was read: there
	// is nothing older.
	founded bool

	kept    []*Transaction
	leftOut int
	// began and ended say that those transactions were met.
	began, ended bool
}

type rowKey struct {
	entity change.Entity
	id     int64
}

// group is a transaction, or a baseline's reading of the quest, while its messages
// come.
type group struct {
	Transaction
	tx     change.Transaction // of its first message
	leads  bool
	counts [change.Participant + 1]int
	// rows are what a baseline showed of the followed rows.
	rows map[rowKey]row
}

// times are when those things last happened that sentences name.
type times struct {
	approved, joined, left, revoked, cleared, deleted change.Millis
	fixed                                             bool // the violation has begun
}

// read takes the quest's messages between two sequences.
func (g *gatherer) read(ctx context.Context, from, to change.Seq) error {
	if from > to {
		return nil
	}
	g.to = to
	err := g.stream.Steps(ctx, g.finding.QuestID, from, to, func(r change.Record) error { return g.take(ctx, r) })
	if err == nil {
		err = g.close(ctx)
	}
	if err != nil {
		return err
	}
	for _, t := range g.kept {
		if err := g.fillEnd(ctx, t); err != nil {
			return fmt.Errorf("find the end of transaction %d: %w", t.ID, err)
		}
	}
	return nil
}

// take is called for each message of the quest.
func (g *gatherer) take(ctx context.Context, r change.Record) error {
	if err := g.decoder.Step(r.Data, &g.step); err != nil {
		return fmt.Errorf("message %d: %w", r.Seq, err)
	}
	s := &g.step
	if g.group == nil || !g.group.holds(s) {
		if err := g.close(ctx); err != nil {
			return err
		}
		g.open(s, r.Seq)
	}
	g.group.last = r.Seq
	if s.Transaction.EndLSN != 0 {
		g.group.End = positionOf(s.Transaction.EndLSN)
	}
	for i := range s.Changes {
		c, err := read(&g.columns, &s.Changes[i])
		if err == nil {
			err = g.change(&c)
		}
		if err != nil {
			return fmt.Errorf("message %d: %w", r.Seq, err)
		}
	}
	g.steps++
	return nil
}

// holds reports whether a step goes on with the group. A transaction that was
// interrupted goes on in another epoch.
func (g *group) holds(s *change.Step) bool {
	t := s.Transaction
	return g.tx.ID == t.ID && g.tx.CommitLSN == t.CommitLSN && g.Baseline == s.Source.Snapshot &&
		(g.Epoch == s.Source.Epoch || t.Messages == 0 && !g.Baseline)
}

func (g *gatherer) open(s *change.Step, seq change.Seq) {
	t := s.Transaction
	g.group = &group{tx: t, Transaction: Transaction{
		ID: t.ID, Commit: positionOf(t.CommitLSN), Time: t.Time, Stamp: event.Stamp(t.Time), Epoch: s.Source.Epoch,
		Baseline: s.Source.Snapshot, Sequence: seq, Changes: []*Change{},
	}}
	g.group.Began = g.is(&g.finding.Transaction, s)
	g.group.Ended = g.finding.ResolvedBy != nil && g.is(g.finding.ResolvedBy, s)
	if s.Source.Snapshot {
		g.group.rows = map[rowKey]row{}
	}
}

// is compares a transaction as a finding names it. The rest of one that was streamed
// as it came can have been written in a later epoch.
func (g *gatherer) is(t *event.Transaction, s *change.Step) bool {
	return t.ID == s.Transaction.ID && t.CommitLSN == s.Transaction.CommitLSN &&
		(t.Epoch == s.Source.Epoch || s.Transaction.Messages == 0 && t.Epoch > s.Source.Epoch)
}

func (g *gatherer) change(c *seen) error {
	if g.group.Baseline {
		return g.restated(c)
	}
	if g.steps == 0 && c.Entity == change.Quest && c.Op == change.Create && !c.Moved {
		g.founded = true
	}
	g.times.note(c, g.finding, g.scope.user, g.group.Time)
	g.follow(c)
	g.group.leads = g.group.leads || g.scope.leads(c)
	if g.scope.shows(c) {
		return g.group.show(c)
	}
	g.group.Others++
	return nil
}

func (g *group) show(c *seen) error {
	described, err := c.describe()
	g.add(c.Entity, described)
	return err
}

func (g *group) add(e change.Entity, c *Change) {
	g.Changes = append(g.Changes, c)
	if g.counts[e]++; g.counts[e] > changesShown {
		oldest := slices.IndexFunc(g.Changes, func(o *Change) bool { return o.Entity == c.Entity })
		g.Changes = slices.Delete(g.Changes, oldest, oldest+1)
		g.More++
	}
}

// follow keeps what a followed row is now.
func (g *gatherer) follow(c *seen) {
	if c.before != nil {
		delete(g.known, rowKey{c.Entity, c.before.id})
	}
	if c.after != nil && g.scope.follows(c.Entity, c.after) {
		g.known[rowKey{c.Entity, c.after.id}] = *c.after
	}
}

// note takes in a change that happened at a time.
func (m *times) note(c *seen, f *event.Finding, user string, at change.Millis) {
	if m.fixed {
		return
	}
	came := c.after != nil && (c.before == nil || c.before.user != c.after.user)
	went := c.before != nil && (c.after == nil || c.before.user != c.after.user)
	restated := c.before == nil || c.after == nil || c.before.status != c.after.status
	switch c.Entity {
	case change.Quest:
		if c.after != nil && c.after.user == "" && c.before != nil && c.before.user != "" {
			m.cleared = at
		}
		if c.after == nil {
			m.deleted = at
		}
	case change.Application:
		if f.ApplicationID != nil && c.id() == *f.ApplicationID && restated {
			m.approved = at
		}
		if c.before != nil && c.before.user == user && (went || restated) {
			m.revoked = at
		}
	case change.Participant:
		if came && (user == "" || c.after.user == user) {
			m.joined = at
		}
		if c.before != nil && (went || restated) && (user == "" || c.before.user == user) {
			m.left = at
		}
	}
}

// close judges whether the group that has ended led to the finding.
func (g *gatherer) close(ctx context.Context) error {
	t := g.group
	if t == nil {
		return nil
	}
	g.group = nil
	if t.Baseline {
		whole, err := g.completed(ctx, t)
		if err != nil || !whole {
			return err
		}
		g.compare(t)
	}
	if t.Began {
		g.began, g.times.fixed = true, true
	}
	g.ended = g.ended || t.Ended
	if !t.leads && !t.Began && !t.Ended {
		return nil
	}
	g.keep(&t.Transaction)
	return nil
}

// keep makes room by giving up the oldest that neither began nor ended it.
func (g *gatherer) keep(t *Transaction) {
	g.kept = append(g.kept, t)
	if len(g.kept) <= g.limit {
		return
	}
	oldest := slices.IndexFunc(g.kept, func(t *Transaction) bool { return !t.Began && !t.Ended })
	if oldest >= 0 {
		g.kept = slices.Delete(g.kept, oldest, oldest+1)
		g.leftOut++
	}
}
