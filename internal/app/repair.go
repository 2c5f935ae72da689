package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

// openRepairs opens the database for repairs. Where any is to be made automatically
// there must be a journal, and the right to write what repairs write; else who asks for
// a repair hears of what is missing.
func (a *App) openRepairs(ctx context.Context) (err error) {
	if !a.config.Watch.Enabled {
		return nil
	}
	// A pool of its own also where the role is the same: while all its connections hold
	// locks, the stream must be had to pass them, by one of the other pool.
	a.repairs, err = openStore(ctx, &a.config, cmp.Or(a.config.Repair.DSN, a.config.Postgres.DSN), true)
	if err != nil {
		return err
	}
	if !a.automatic() {
		return nil
	}
	has, err := a.repairs.HasJournal(ctx)
	switch {
	case err != nil:
		return err
	case !has && !a.config.Postgres.Setup:
		return hint.Setup(fmt.Errorf("repair automatically: %w", remedy.ErrNoJournal),
			"run questwatch setup, or set repair.mode to plan")
	case !has:
		if _, err := a.repairs.Setup(ctx); err != nil {
			return hint.Wrap(fmt.Errorf("make the journal of repairs: %w", err),
				"let somebody who may create a schema run questwatch setup, or set repair.mode to plan")
		}
		a.logger.Info("made the journal of repairs", "schema", "questwatch")
	}
	return a.repairs.Writable(ctx)
}

// automatic reports whether anything is repaired without anybody asking.
func (a *App) automatic() bool {
	modes, _ := a.config.Modes() // Finish has looked for errors
	for _, o := range rule.Outcomes {
		if modes.Of(o.Rule, o.Cause) == remedy.ModeAuto {
			return true
		}
	}
	return false
}

// newRepairer makes the flow that repairs, and has it hear of what the checker finds.
func (a *App) newRepairer(rules *watch.Rules, store repair.Store) *repair.Repairer {
	c := &a.config.Repair
	r := repair.New(repair.Config{
		Namespace: a.config.Namespace, Instance: a.instance, Rules: rules.Policy, Modes: rules.Repair,
		PerMinute: c.PerMinute, PerRule: c.PerRule, Breaker: repair.Limits{Opened: c.Breaker.Opened, Percent: c.Breaker.Percent},
	}, repairState{a}, store, pulsePort{a.store}, repairEvents{toldPort{a.bus, a.config.Namespace}}, a.repairs, a.logger)
	a.watch.Follow(func(n watch.News) { r.Hear(n.Anew, n.Transitions) })
	return r
}

// repairAutomatically repairs until ctx ends, where anything is repaired without
// anybody asking.
func (a *App) repairAutomatically(ctx context.Context) error {
	if !a.automatic() {
		<-ctx.Done()
		return ctx.Err()
	}
	return a.repairer.Run(ctx)
}

// repairState is the checker, as far as it can be relied upon.
type repairState struct{ app *App }

func (p repairState) Look(fn func(*repair.View) error) error {
	a := p.app
	status, differs := a.watch.Status(), a.verifier.Status().Mismatched > 0
	return a.watch.Look(func(c *watch.Checker, _ int) error {
		if c == nil {
			return fn(nil)
		}
		return fn(&repair.View{
			State: c.State(), Open: c.Open, Finding: c.Finding, Passed: c.Passed(), Now: c.Now(),
			Fit: status.CaughtUp && c.Known() && !differs && c.Writer().Instance == a.instance && a.stream.Status().Streaming(),
		})
	})
}

// pulsePort has the stream pass the end of the log.
type pulsePort struct{ store *pgstore.Store }

func (p pulsePort) Beat(ctx context.Context) error { return p.store.Pulse(ctx) }

// repairEvents tells what becomes of repairs, once. JetStream itself forgets in
// minutes which ids it has had.
type repairEvents struct{ toldPort }

func (p repairEvents) Tell(ctx context.Context, e event.Event) error {
	last, err := p.last(ctx, e.Subject(p.namespace))
	if err != nil {
		return err
	}
	if last != nil && (last.ID == e.ID || sameWord(last, &e)) {
		return nil
	}
	return p.Publish(ctx, []event.Event{e})
}

// sameWord reports whether two events tell of one finding, for one reason, that it was
// not repaired.
func sameWord(a, b *event.Event) bool {
	x, isWord := a.Data.(event.NotRepaired)
	y, too := b.Data.(event.NotRepaired)
	return isWord && too && x.Finding == y.Finding && x.Reason == y.Reason
}

// Halted compares the last halt with the last end of one.
func (p repairEvents) Halted(ctx context.Context) (*event.Halt, error) {
	began, err := p.lastHalt(ctx, "halted")
	if began == nil || err != nil {
		return nil, err
	}
	over, err := p.lastHalt(ctx, "resumed")
	if err != nil || over != nil && over.Since == began.Since {
		return nil, err
	}
	return began, nil
}

func (p repairEvents) lastHalt(ctx context.Context, what string) (*event.Halt, error) {
	e, err := p.last(ctx, p.bus.EventSubject("repair."+what+".>"))
	if e == nil || err != nil {
		return nil, err
	}
	h, ok := e.Data.(event.Halt)
	if !ok {
		return nil, fmt.Errorf("event %s tells of no halt", e.ID)
	}
	return &h, nil
}

// last is the newest event of a subject, or nil.
func (p repairEvents) last(ctx context.Context, subject string) (*event.Event, error) {
	m, err := p.bus.LastEvent(ctx, subject)
	switch {
	case errors.Is(err, bus.ErrNoMessage):
		return nil, nil
	case err != nil:
		return nil, err
	}
	e, err := event.Parse(m.Data)
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", m.Seq, err)
	}
	return &e, nil
}

// RepairStatus is how automatic repairs stand.
func (a *App) RepairStatus() repair.Status { return a.repairer.Status() }

// OpenRepairs lists the open findings with what is to be done about them.
func (a *App) OpenRepairs(ctx context.Context) (items []repair.Item, err error) {
	err = a.repairer.List(ctx, repair.Wish{}, func(it repair.Item) error {
		items = append(items, it)
		return nil
	})
	return items, err
}

// Journalled counts the repairs that the journal has.
func (a *App) Journalled(ctx context.Context) (int, error) {
	entries, err := a.repairs.Journal(ctx, remedy.Filter{Namespace: a.config.Namespace})
	return len(entries), err
}
