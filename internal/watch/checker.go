package watch

import (
	"errors"
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Rules configures what is judged, and how the database spells it.
type Rules struct {
	Schema   change.Schema
	Statuses quest.Statuses
	Drift    drift.Config
	Policy   rule.Policy
	Ways     rule.Ways
	// Repair says which repairs are planned: those that are opened and have a plan are
	// told. It shapes no state.
	Repair remedy.Modes
}

// Checker turns the messages of a stream into events. It does no I/O.
type Checker struct {
	rules   Rules
	state   *quest.State
	tracker *drift.Tracker
	decoder change.Decoder
	step    change.Step

	// seen is the newest time of a control record. Marks alone will not do for
	// the times of stream events: a gap can come before the first of them.
	seen change.Millis
	// writer is who the newest epoch record says writes the stream.
	writer Writer
	// known is false until a baseline has ended, and again after a gap.
	known bool
	// blind is true from when a column that a rule needs is gone or retyped until the
	// next baseline: the rows in between cannot be understood.
	blind bool
	// reading is true between the two ends of a baseline; baselines counts those that
	// have ended.
	reading   bool
	baselines int
	// inside is true in the middle of a transaction.
	inside bool
	// passed and recent say which of the database's transactions the state holds.
	passed change.LSN
	recent quest.Recent
	// large is the transaction that is being streamed as it comes.
	large large
	// refused counts the logical messages that were not believed.
	refused Refused
	// changes counts the rows' changes that were applied.
	changes uint64

	violations  []rule.Violation
	turns       []rule.Turn
	transitions []drift.Transition
	found       []Found
}

// Writer is an instance of the program that writes the stream.
type Writer struct {
	Epoch    uint64
	Instance string
}

// Found is an event, and the transition it tells of if it tells of one.
type Found struct {
	Event      event.Event
	Position   event.Position
	Transition *drift.Transition
}

// NewChecker starts with nothing known.
func NewChecker(rules Rules) *Checker {
	state := quest.NewState(rules.Schema, rules.Statuses)
	return &Checker{rules: rules, state: state, tracker: drift.NewTracker(rules.Drift, state.Users())}
}

// State is the state as of the last message taken.
func (c *Checker) State() *quest.State { return c.state }

// Now is stream time.
func (c *Checker) Now() change.Millis { return c.tracker.Now() }

// Writer is who writes the stream as of the last message taken.
func (c *Checker) Writer() Writer { return c.writer }

// Known reports whether the state rests on a whole baseline.
func (c *Checker) Known() bool { return c.known }

// Passed is a position of the database's log: the state holds everything that
// committed below it.
func (c *Checker) Passed() change.LSN { return c.passed }

// Recent says which transactions touched which quests lately.
func (c *Checker) Recent() *quest.Recent { return &c.recent }

// Changes counts the rows' changes that were taken, those of baselines too.
func (c *Checker) Changes() uint64 { return c.changes }

// Baselines counts the baselines that have replaced the state.
func (c *Checker) Baselines() int { return c.baselines }

// Open lists the open findings in a fixed order.
func (c *Checker) Open() []drift.Finding { return c.tracker.Open() }

// Violated calls fn for everything that is violated now, open or only suspected.
func (c *Checker) Violated(fn func(r rule.Rule, quest int64, user string)) { c.tracker.Violated(fn) }

// Finding is an open finding by its id; false when it is not open, or never was.
func (c *Checker) Finding(id string) (drift.Finding, bool) { return c.tracker.Get(id) }

// Take applies a message and returns the events that are due after it, in order.
// The result is valid until the next Take. After an error the checker must be
// thrown away.
func (c *Checker) Take(r change.Record) ([]Found, error) {
	c.found, c.transitions = c.found[:0], c.transitions[:0]
	err := c.take(r)
	if err != nil {
		err = fmt.Errorf("message %d on %s: %w", r.Seq, r.Subject, err)
		if errors.Is(err, change.ErrMalformed) {
			err = &change.Malformed{Seq: r.Seq, What: "message of the stream", Err: err}
		}
		return nil, err
	}
	c.plan(r.Seq)
	return c.found, nil
}

func (c *Checker) take(r change.Record) error {
	if change.IsControl(r.Data) {
		control, err := c.decoder.Control(r.Data)
		if err != nil {
			return err
		}
		return c.control(r.Seq, control)
	}
	if err := c.decoder.Step(r.Data, &c.step); err != nil {
		return err
	}
	return c.apply(r.Seq, &c.step)
}

func (c *Checker) apply(seq change.Seq, s *change.Step) error {
	c.inside = !s.Source.Snapshot && !s.Transaction.Whole()
	if s.Source.Snapshot && !c.reading {
		return nil // the rest of a baseline whose beginning is gone
	}
	if c.blind && !s.Source.Snapshot {
		return nil // the next baseline has what it did
	}
	if c.large.emptied && !s.Source.Snapshot {
		restored(s)
	}
	q, err := c.state.Apply(s)
	if err != nil {
		return fmt.Errorf("%w: %w", change.ErrMalformed, err)
	}
	c.changes += uint64(len(s.Changes))
	if !s.Source.Snapshot {
		c.passed = s.Transaction.CommitLSN
		c.recent.Touch(s.Transaction.ID, s.QuestID)
	}
	switch {
	case s.Source.Snapshot || !c.known:
	case s.Transaction.Messages == 0:
		c.large.touch(s.QuestID, c.state.Turns())
	default:
		where := drift.Where{Epoch: s.Source.Epoch, Transaction: s.Transaction, Origin: drift.FromStream}
		c.judge(s.QuestID, q, where)
		c.tell(seq, 0)
		c.turned(seq, q, c.state.Turns(), where)
	}
	return nil
}

// restored is for the rows that a transaction puts into tables which it has emptied, as
// who loads a backup does: they were there before, nobody approves anything by that.
func restored(s *change.Step) {
	for i := range s.Changes {
		if c := &s.Changes[i]; c.Op == change.Create {
			c.Op = change.Read
		}
	}
}

// judge compares a quest with the rules and gathers what changed.
func (c *Checker) judge(id int64, q *quest.Quest, where drift.Where) {
	c.violations = c.rules.Policy.Judge(c.violations[:0], q)
	c.transitions = c.tracker.Judge(c.transitions, id, q, c.violations, where)
}

// judgeAll judges every quest at once: after a baseline, or when a table was
// emptied.
func (c *Checker) judgeAll(where drift.Where) {
	ids := append(c.state.IDs(), c.tracker.Quests()...)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		c.judge(id, c.state.Quest(id), where)
	}
	c.tracker.Baselined(where, c.state.Len())
}

// tell makes events of the transitions gathered, from the nth on.
func (c *Checker) tell(seq change.Seq, n int) {
	for i := n; i < len(c.transitions); i++ {
		t := &c.transitions[i]
		at := c.next(seq)
		c.found = append(c.found, Found{Event: event.OfTransition(t, at), Position: at, Transition: t})
		if e, ok := event.OfSilentFailure(t, c.next(seq)); ok {
			c.found = append(c.found, Found{Event: e, Position: c.next(seq)})
		}
	}
}

// turned makes events of what a transaction turned back in a quest.
func (c *Checker) turned(seq change.Seq, q *quest.Quest, t *quest.Turns, where drift.Where) {
	c.turns = c.rules.Policy.Turned(c.turns[:0], q, t, where.Transaction.Time, c.rules.Ways)
	for i := range c.turns {
		told := c.told(seq, where)
		e := event.OfTurn(c.rules.Drift.Namespace, q, c.state.Users(), &c.turns[i], told)
		c.found = append(c.found, Found{Event: e, Position: told.Position})
	}
}

func (c *Checker) told(seq change.Seq, where drift.Where) event.Told {
	return event.Told{Where: where, At: max(where.Transaction.Time, c.tracker.Now()), Position: c.next(seq)}
}

func (c *Checker) next(seq change.Seq) event.Position {
	return event.Position{Sequence: uint64(seq), Index: len(c.found)}
}

func (c *Checker) control(seq change.Seq, r *change.Control) error {
	c.seen = max(c.seen, r.Time)
	c.inside = within(c.inside, r)
	if e, ok := event.OfControl(r, max(c.seen, c.tracker.Now()), c.next(seq)); ok {
		c.found = append(c.found, Found{Event: e, Position: c.next(seq)})
	}
	switch r.Kind {
	case change.Progress:
		c.passed = r.LSN
		c.mark(seq, r.Time)
	case change.BaselineBegin:
		c.state.BeginBaseline()
		c.reading = true
	case change.BaselineEnd:
		c.baselined(seq, r)
	case change.TxEnd:
		c.ended(seq, r)
	case change.Truncate:
		return c.truncate(r)
	case change.Gap:
		c.known = false
	case change.SchemaChanged:
		if len(r.Missing)+len(r.Retyped) > 0 {
			c.known, c.blind = false, true
		}
	case change.Epoch:
		c.writer = Writer{Epoch: r.Source.Epoch, Instance: r.Instance}
	case change.Message:
		c.heard(seq, r)
	}
	return nil
}

// within reports whether a record leaves the reader in the middle of a transaction,
// where was says whether it was in one before.
func within(was bool, r *change.Control) bool {
	switch r.Kind {
	case change.Truncate, change.SchemaChanged, change.Message:
		return r.Transaction != nil && !r.Transaction.Whole()
	case change.Epoch, change.Gap:
		return was // another writer goes on with the transaction, or a baseline follows
	case change.Progress, change.BaselineBegin, change.BaselineEnd, change.TxEnd:
	}
	return false
}

func (c *Checker) mark(seq change.Seq, at change.Millis) {
	if !c.known {
		return
	}
	c.transitions = c.tracker.Mark(c.transitions, at)
	c.tell(seq, 0)
	if s := c.tracker.Summary(); s != nil {
		position := c.next(seq)
		c.found = append(c.found, Found{Event: event.OfSummary(s, position), Position: position})
	}
}

func (c *Checker) baselined(seq change.Seq, r *change.Control) {
	if !c.reading {
		return
	}
	c.state.EndBaseline(!c.known)
	if !c.known {
		c.tracker.Missed()
	}
	c.known, c.reading, c.blind = true, false, false
	c.baselines++
	c.passed = r.LSN
	c.recent.Forget()
	c.large = large{}
	c.judgeAll(drift.Where{
		Epoch: r.Source.Epoch, Origin: drift.FromBaseline,
		Transaction: change.Transaction{CommitLSN: r.LSN - 1, EndLSN: r.LSN, Time: r.Time},
	})
	c.tell(seq, 0)
}

// ended judges the quests of a transaction that was streamed as it came. What
// is violated because a table was emptied is no workflow's failure: it is found
// as a baseline's would be.
func (c *Checker) ended(seq change.Seq, r *change.Control) {
	tx := c.large
	c.large = large{}
	if !c.known {
		return
	}
	where := drift.Where{Epoch: r.Source.Epoch, Transaction: *r.Transaction, Origin: drift.FromStream}
	if tx.emptied {
		where.Origin = drift.FromBaseline
		c.judgeAll(where)
		c.tell(seq, 0)
		return
	}
	for _, id := range tx.quests() {
		q, n := c.state.Quest(id), len(c.transitions)
		c.judge(id, q, where)
		c.tell(seq, n)
		c.turned(seq, q, tx.turns(q), where)
	}
}

func (c *Checker) truncate(r *change.Control) error {
	for _, name := range r.Entities {
		e, err := change.ParseEntity(name)
		if err != nil {
			return fmt.Errorf("%w: truncate: %w", change.ErrMalformed, err)
		}
		c.state.Truncate(e)
	}
	if r.Transaction != nil {
		c.recent.TouchAll(r.Transaction.ID)
	}
	c.large.emptied = true
	return nil
}
