package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Wish is what somebody asks for: findings by their ids or the beginnings of them, or
// those of a rule. Without either it is all that are open.
type Wish struct {
	Findings []string `json:"findings,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	// Limit is how many at most; 0 is all of them. Only those that have a repair count
	// where repairs are asked for.
	Limit int `json:"limit,omitempty"`
}

// Errors of a wish that cannot be meant.
var (
	// ErrUnknown: no open finding has that id.
	ErrUnknown = errors.New("no such open finding")
	// ErrAmbiguous: several have it.
	ErrAmbiguous = errors.New("open findings begin with")
)

// batch is how many items are made of one look at the checker, which stands still
// meanwhile.
const batch = 50

// List calls fn with the items of a wish, by quest.
func (r *Repairer) List(ctx context.Context, w Wish, fn func(Item) error) error {
	ids, err := r.wished(w)
	if err != nil {
		return err
	}
	told := 0
	for len(ids) > 0 {
		n := min(batch, len(ids))
		items, err := r.describe(ctx, ids[:n])
		if err != nil {
			return err
		}
		for _, it := range items {
			if told++; w.Limit > 0 && told > w.Limit {
				return nil
			}
			if err := fn(it); err != nil {
				return err
			}
		}
		ids = ids[n:]
	}
	return nil
}

// Show is one item, with the SQL of its plan.
func (r *Repairer) Show(ctx context.Context, id string) (*Item, error) {
	ids, err := r.wished(Wish{Findings: []string{id}})
	if err != nil {
		return nil, err
	}
	sketches, err := r.sketches(ids)
	if err != nil {
		return nil, err
	}
	if len(sketches) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	s := &sketches[0]
	it := r.items(ctx, sketches)[0]
	if it.Plan != nil {
		it.SQL, err = r.lookup.Script(ctx, it.QuestID, s.proposal.Writes, func(u quest.User) string { return s.people[u] })
	}
	return &it, err
}

// wished lists the ids of the open findings of a wish, by quest.
func (r *Repairer) wished(w Wish) ([]string, error) {
	var open []drift.Finding
	err := r.state.Look(func(v *View) error {
		if v == nil || !v.Fit {
			return ErrUnfit
		}
		open = v.Open()
		return nil
	})
	if err != nil {
		return nil, err
	}
	var ids []string
	if len(w.Findings) > 0 {
		for _, given := range w.Findings {
			id, err := match(open, given)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		return ids, nil
	}
	var of rule.Rule
	if w.Rule != "" {
		if of, err = rule.Parse(w.Rule); err != nil {
			return nil, err
		}
	}
	for i := range open {
		if of == 0 || open[i].Violation.Rule == of {
			ids = append(ids, open[i].ID)
		}
	}
	return ids, nil
}

// match is the open finding that an id, or the beginning of one, means.
func match(open []drift.Finding, given string) (id string, err error) {
	given = strings.ToLower(strings.TrimSpace(given))
	found, which := 0, "say more of one of them:"
	for i := range open {
		if f := &open[i]; given != "" && strings.HasPrefix(f.ID, given) {
			found, id = found+1, f.ID
			which += fmt.Sprintf("\n    %s  %s, quest %d", f.ID, f.Violation.Rule, f.Quest)
		}
	}
	switch {
	case found == 0:
		return "", fmt.Errorf("%w: %s", ErrUnknown, given)
	case found > 1:
		return "", hint.Wrap(fmt.Errorf("%d %w %q", found, ErrAmbiguous, given), "%s", which)
	}
	return id, nil
}

// describe makes items of those findings that are open still.
func (r *Repairer) describe(ctx context.Context, ids []string) ([]Item, error) {
	sketches, err := r.sketches(ids)
	if err != nil {
		return nil, err
	}
	return r.items(ctx, sketches), nil
}

func (r *Repairer) sketches(ids []string) (sketches []sketch, err error) {
	err = r.state.Look(func(v *View) error {
		if v == nil || !v.Fit {
			return ErrUnfit
		}
		for _, id := range ids {
			if f, open := v.Finding(id); open {
				sketches = append(sketches, r.sketch(v, &f))
			}
		}
		return nil
	})
	return sketches, err
}

// Request asks for repairs.
type Request struct {
	Wish
	// DryRun changes nothing and says what would be done.
	DryRun bool `json:"dry_run,omitempty"`
	// Actor asks, and Reason says why.
	Actor  string `json:"actor"`
	Reason string `json:"reason,omitempty"`
}

// The outcomes of a repair that was asked for.
const (
	Applied   = "applied"
	Planned   = "planned"    // a dry run
	Healed    = "healed"     // there is nothing to repair any more
	LeftAlone = "left_alone" // it has no repair, or none as it is now
	Failed    = "failed"
)

// Answer says what became of one finding.
type Answer struct {
	Item    Item   `json:"item"`
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
	// Entry is the journal's, and XID the transaction.
	Entry int64  `json:"entry,omitempty"`
	XID   uint64 `json:"xid,omitempty"`
}

// Apply carries out the repairs that somebody asks for, one after the other, and
// calls fn with what became of each. Neither pauses nor budgets hold for them. An error
// of fn ends it.
func (r *Repairer) Apply(ctx context.Context, req Request, fn func(Answer) error) error {
	ids, err := r.wished(req.Wish)
	if err != nil {
		return err
	}
	done := 0
	for _, id := range ids {
		if req.Limit > 0 && done >= req.Limit {
			return nil
		}
		items, err := r.describe(ctx, []string{id})
		if err != nil {
			return err
		}
		if len(items) == 0 {
			continue // it has ended since
		}
		if items[0].Plan == nil && len(req.Findings) == 0 {
			continue // nobody asked for this one
		}
		done++
		answer, err := r.apply(ctx, &req, items[0])
		if err != nil {
			return err
		}
		if err := fn(answer); err != nil {
			return err
		}
	}
	return nil
}

// apply carries out one repair. An error is one that the others would meet with too.
func (r *Repairer) apply(ctx context.Context, req *Request, it Item) (a Answer, err error) {
	a.Item = it
	switch {
	case it.Plan == nil:
		a.Outcome, a.Error = LeftAlone, it.LeftAlone
		return a, nil
	case req.DryRun:
		a.Outcome = Planned
		return a, nil
	}
	entry, err := r.patiently(ctx, req, it.Finding.Finding)
	switch {
	case err == nil:
		a.Outcome, a.Entry, a.XID = Applied, entry.ID, entry.XID
	case ctx.Err() != nil, errors.Is(err, remedy.ErrNoJournal), errors.Is(err, ErrUnfit):
		return a, cmp.Or(ctx.Err(), err)
	case errors.Is(err, remedy.ErrHealed), errors.Is(err, ErrEnded), errors.Is(err, remedy.ErrRepaired):
		a.Outcome, a.Error = Healed, err.Error()
	case errors.As(err, new(remedy.LeftAlone)):
		a.Outcome, a.Error = LeftAlone, err.Error()
	default:
		a.Outcome, a.Error = Failed, err.Error()
		r.logger.Warn("a repair that was asked for did not work", "finding", it.Finding.Finding, "quest", it.QuestID, "err", err, "actor", req.Actor)
	}
	return a, nil
}

// asked is how often a repair that was asked for waits for the stream.
const asked = 3

// patiently carries out one repair, and gives the stream some time.
func (r *Repairer) patiently(ctx context.Context, req *Request, id string) (*remedy.Entry, error) {
	for try := 1; ; try++ {
		f, p, _, err := r.propose(id)
		switch {
		case err != nil:
			return nil, err
		case p.LeftAlone != "":
			return nil, remedy.LeftAlone(p.LeftAlone)
		}
		order := remedy.OrderFor(&f, p.Action)
		order.Actor, order.Reason = req.Actor, req.Reason
		entry, err := r.carry(ctx, &f, &order)
		if !errors.Is(err, remedy.ErrBehind) || try == asked {
			return entry, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause(try)):
		}
	}
}
