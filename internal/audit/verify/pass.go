package verify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/quest"
)

// How much is done at a time.
const (
	// rangeQuests are the quests of a range, and those for which the checker waits
	// while their texts are made.
	rangeQuests = 256
	// sumRanges are the ranges of one question to the database.
	sumRanges = 64
	// window is how long a snapshot is asked. The longer, the more quests are beyond
	// it.
	window = 500 * time.Millisecond
	// listQuests are the ids that are listed while the checker waits.
	listQuests = 2048
)

// Progress is told now and then: so many of the state's quests have been summed up.
type Progress struct {
	Done   int `json:"done"`
	Quests int `json:"quests"`
}

// What keeps a comparison from being made.
var (
	errUnknown  = errors.New("the checker's state is unknown: changes are missing, or no baseline has ended yet")
	errBehind   = errors.New("the checker has not caught up")
	errReplaced = errors.New("the checker's state was replaced meanwhile")
)

// pass is one comparison.
type pass struct {
	*Verifier
	gentle bool
	tell   func(Progress)

	generation Generation
	ids        []int64 // of the state's quests, ascending
	texts      quest.Texts
	pending    map[int64]*suspect
	result     *Result
}

// run compares everything once.
func (p *pass) run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	if err := p.list(ctx); err != nil {
		return err
	}
	starts := p.starts()
	p.result.Quests, p.result.Ranges = len(p.ids), len(starts)
	for next := 0; next < len(starts); {
		differing, err := p.sumUp(ctx, starts, &next)
		if err != nil {
			return err
		}
		p.result.Differing += len(differing)
		for _, s := range p.stretches(starts, differing) {
			if err := p.compareStretch(ctx, s); err != nil {
				return err
			}
		}
		p.tell(Progress{Done: min(next*rangeQuests, len(p.ids)), Quests: len(p.ids)})
	}
	return p.resolve(ctx)
}

// begin makes sure that there is something to compare, and that it is known which
// transactions the state may hold.
func (p *pass) begin(ctx context.Context) error {
	settled := false
	err := p.state.Look(func(v *View) error {
		switch {
		case v == nil || !v.Known:
			return errUnknown
		case !v.CaughtUp:
			return errBehind
		}
		p.generation, settled = v.Generation, v.Recent.Settled()
		return nil
	})
	if err != nil || settled {
		return err
	}
	next, err := p.database.NextXID(ctx)
	if err != nil {
		return err
	}
	return p.look(func(v *View) error {
		v.Recent.Settle(next)
		return nil
	})
}

// look is State.Look on the state that the pass began with.
func (p *pass) look(fn func(*View) error) error {
	return p.state.Look(func(v *View) error {
		switch {
		case v == nil || !v.Known:
			return errUnknown
		case v.Generation != p.generation:
			return errReplaced
		}
		return fn(v)
	})
}

// list takes down the ids of the state's quests, some at a time. Those that come or
// go meanwhile may be missing: a range whose quests are others than listed differs,
// and its rows are read.
func (p *pass) list(ctx context.Context) error {
	var next func() (int64, bool)
	stop := func() {}
	defer func() { stop() }()
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := p.look(func(v *View) error {
			if next == nil {
				next, stop = iter.Pull(v.State.Walk)
			}
			for range listQuests {
				var id int64
				if id, more = next(); !more {
					return nil
				}
				p.ids = append(p.ids, id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(p.ids)
	return nil
}

// starts are where the ranges begin: together they hold every id there can be.
func (p *pass) starts() []int64 {
	starts := []int64{math.MinInt64}
	for i := rangeQuests; i < len(p.ids); i += rangeQuests {
		starts = append(starts, p.ids[i])
	}
	return starts
}

// lastOf is the last id of a range.
func lastOf(starts []int64, i int) int64 {
	if i+1 < len(starts) {
		return starts[i+1] - 1
	}
	return math.MaxInt64
}

// sumUp compares the digests of ranges from *next on, as many as one snapshot is
// good for, and returns those that differ.
func (p *pass) sumUp(ctx context.Context, starts []int64, next *int) (differing []int, err error) {
	err = p.moment(ctx, func(_ At, rows Rows) error {
		for began := time.Now(); *next < len(starts) && time.Since(began) < window; {
			end := min(*next+sumRanges, len(starts))
			digests, err := rows.Digests(ctx, starts[*next:end], lastOf(starts, end-1))
			if err != nil {
				return err
			}
			for i, want := range digests {
				got, err := p.digest(*next + i)
				if err != nil {
					return err
				}
				if got != want {
					differing = append(differing, *next+i)
				}
			}
			*next = end
		}
		return nil
	})
	return differing, err
}

// digest is that of a range in the state, now.
func (p *pass) digest(i int) (d quest.Digest, err error) {
	p.texts.Reset()
	err = p.look(func(v *View) error {
		for _, id := range p.ids[i*rangeQuests : min((i+1)*rangeQuests, len(p.ids))] {
			if q := v.State.Quest(id); q != nil {
				p.texts.Add(q, v.State.Users())
			}
		}
		return nil
	})
	p.texts.Digest(&d)
	return d, err
}

// moment takes a snapshot and waits until the checker has passed it.
func (p *pass) moment(ctx context.Context, fn func(At, Rows) error) error {
	began := time.Now()
	err := p.database.Moment(ctx, func(at At, rows Rows) error {
		p.result.Rounds++
		if err := p.wait(ctx, at.LSN); err != nil {
			return err
		}
		return fn(at, rows)
	})
	if err != nil || !p.gentle {
		return err
	}
	return sleep(ctx, idleness*time.Since(began))
}

// idleness is for how many times as long as it worked a gentle pass does nothing.
const idleness = 4

// How the checker is waited for.
const (
	pollEvery  = 5 * time.Millisecond
	hurryEvery = time.Second
)

// wait returns when the checker has passed a position.
func (p *pass) wait(ctx context.Context, lsn change.LSN) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.config.Patience, errBehind)
	defer cancel()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	var hurried time.Time
	var passed change.LSN
	for {
		err := p.look(func(v *View) error {
			passed = v.Passed
			p.result.Position = Position{Sequence: v.Sequence, LSN: lsn, epoch: v.Epoch}
			return nil
		})
		if err != nil || passed >= lsn {
			return err
		}
		if time.Since(hurried) > hurryEvery {
			hurried = time.Now()
			p.stream.Hurry()
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errBehind) {
				return hint.Wrap(fmt.Errorf("%w: it is at %s after %s, the database at %s", errBehind, passed, p.config.Patience, lsn),
					"see /readyz of the instance, and try again when it is ready")
			}
			return ctx.Err()
		case <-poll.C:
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
