package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/quest"
)

// How much is done at a time.
const (
	// rangeQuests are the quests of a range.
	rangeQuests = 256
	// sumRanges are the ranges of one question to the database.
	sumRanges = 64
	// window is how long a snapshot is asked.
	window = 2 * time.Second
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
	errStalled  = errors.New("changes do not flow from the database")
)

// pass is one comparison.
type pass struct {
	*Verifier
	gentle bool
	tell   func(Progress)

	generation Generation
	ids        []int64 // of the state's quests, ascending
	starts     []int64 // of the ranges, which together hold every id there can be
	quest      quest.Quest
	texts      quest.Texts
	pending    map[int64]*suspect
	result     *Result
}

// run compares everything once.
func (p *pass) run(ctx context.Context) error {
	if !p.stream.Streaming() {
		return errStalled
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	for next := 0; next == 0 || next < len(p.starts); {
		differing, err := p.sumUp(ctx, &next)
		if err != nil {
			return err
		}
		p.result.Differing += len(differing)
		for _, s := range p.stretches(differing) {
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

// divide makes ranges of the quests that the state has. Those that come later fall
// into one of them too.
func (p *pass) divide(ids []int64) {
	p.ids, p.starts = ids, []int64{math.MinInt64}
	for i := rangeQuests; i < len(ids); i += rangeQuests {
		p.starts = append(p.starts, ids[i])
	}
	p.result.Quests, p.result.Ranges = len(p.ids), len(p.starts)
}

// last is the last id of a range.
func (p *pass) last(i int) int64 {
	if i+1 < len(p.starts) {
		return p.starts[i+1] - 1
	}
	return math.MaxInt64
}

// quests are the ids of some ranges' quests.
func (p *pass) quests(from, to int) []int64 {
	return p.ids[from*rangeQuests : min((to+1)*rangeQuests, len(p.ids))]
}

// sumUp compares the digests of ranges from *next on, as many as one snapshot is
// good for, and returns those that differ.
func (p *pass) sumUp(ctx context.Context, next *int) (differing []int, err error) {
	err = p.moment(ctx, func(s *sight, rows Rows) error {
		if p.starts == nil {
			p.divide(s.state.IDs())
		}
		for began := time.Now(); *next < len(p.starts) && time.Since(began) < window; {
			end := min(*next+sumRanges, len(p.starts))
			digests, err := rows.Digests(ctx, p.starts[*next:end], p.last(end-1))
			if err != nil {
				return err
			}
			for i, want := range digests {
				if p.digest(s, *next+i) != want {
					differing = append(differing, *next+i)
				}
			}
			*next = end
		}
		return nil
	})
	return differing, err
}

// digest is that of a range in the state.
func (p *pass) digest(s *sight, i int) (d quest.Digest) {
	p.texts.Reset()
	for _, id := range p.quests(i, i) {
		if s.state.Quest(id, &p.quest) {
			p.texts.Add(&p.quest, s.users)
		}
	}
	p.texts.Digest(&d)
	return d
}

// sight is the state as it was when the checker had passed a snapshot of the
// database.
type sight struct {
	state *quest.Snapshot
	users *quest.Users
	// beyond are the quests that the state may have from transactions that the
	// snapshot does not see.
	beyond map[int64]struct{}
	// certain says that there are no others.
	certain bool
}

func newSight(v *View, at At) *sight {
	s := &sight{state: v.State.Snapshot(), beyond: map[int64]struct{}{}, certain: at.Visible.Xmin >= v.Recent.Floor()}
	s.users = s.state.Users()
	v.beyond(at, s.beyond)
	return s
}

// beyond notes the quests that the state may have from transactions that a snapshot does
// not see.
func (v *View) beyond(at At, quests map[int64]struct{}) {
	v.Recent.Each(func(xid uint64, id int64) {
		if !at.Visible.Sees(xid) {
			quests[id] = struct{}{}
		}
	})
}

// moment takes a snapshot, and the state when the checker has passed it.
func (p *pass) moment(ctx context.Context, fn func(*sight, Rows) error) error {
	began := time.Now()
	err := p.database.Moment(ctx, func(at At, rows Rows) error {
		p.result.Rounds++
		var s *sight
		err := p.wait(ctx, at.LSN, func(v *View) {
			s = newSight(v, at)
			p.result.Position = Position{Sequence: v.Sequence, LSN: at.LSN, epoch: v.Epoch}
		})
		if err != nil {
			return err
		}
		return fn(s, rows)
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

// wait calls take once, with the checker as it is when it has passed a position.
func (p *pass) wait(ctx context.Context, at change.LSN, take func(*View)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.config.Patience, errBehind)
	defer cancel()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	var hurried time.Time
	var passed change.LSN
	for {
		err := p.look(func(v *View) error {
			if passed = v.Passed; passed >= at {
				take(v)
			}
			return nil
		})
		if err != nil || passed >= at {
			return err
		}
		if time.Since(hurried) > hurryEvery {
			hurried = time.Now()
			p.stream.Hurry()
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errBehind) {
				return hint.Wrap(fmt.Errorf("%w: it is at %s after %s, the database at %s", errBehind, passed, p.config.Patience, at),
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
