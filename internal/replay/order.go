package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// skew is by how much commit times may be out of the log's order while the clock runs.
const skew = time.Minute

// byTime is the first message that committed at a time or after it, or with end the last
// one that did at the time or before.
func (f *finder) byTime(ctx context.Context, at change.Millis, end bool) (change.Seq, error) {
	low, high, err := f.around(ctx, at, end)
	if err != nil {
		return 0, err
	}
	seq := low - 1
	if !end {
		seq = high
	}
	if low >= high {
		return seq, nil
	}
	err = f.past.Range(ctx, low, high-1, func(r change.Record) error {
		m, err := markOf(&f.decoder, &r)
		switch {
		case err != nil:
			return fmt.Errorf("message %d: %w", r.Seq, err)
		case !m.timed():
		case end && m.at <= at:
			seq = r.Seq
		case !end && m.at >= at:
			seq = r.Seq
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return seq, err
}

// around is a stretch in which the message is that byTime looks for: before it all is
// earlier, and behind it later. Where a clock was set back by more than the skew there may
// be several such places: then the stretch is as long as can be.
func (f *finder) around(ctx context.Context, at change.Millis, end bool) (low, high change.Seq, err error) {
	begin, behind := f.bounds.First, f.bounds.Last+1
	if low, err = f.first(ctx, begin, behind, mark.timed, func(m mark) bool { return m.at.Add(skew) >= at }); err != nil {
		return 0, 0, err
	}
	if high, err = f.first(ctx, begin, behind, mark.timed, func(m mark) bool { return m.at > at.Add(skew) }); err != nil {
		return 0, 0, err
	}
	if low > high {
		return begin, behind, nil
	}
	if end {
		if back, err := f.setBack(ctx, high, behind, true); back || err != nil {
			return low, behind, err
		}
	} else if back, err := f.setBack(ctx, begin, low, false); back || err != nil {
		return begin, high, err
	}
	return low, high, nil
}

// setBack reports whether the clock was set back, from low on and before high, so far that
// what committed then may belong to the other end: upward to that of low. To read all would
// take too long. It looks at messages which are the further from each other the further
// they are away: for one at some distance to belong here, the clock was set back by at least
// that much, and that is seen between messages a quarter of it apart.
func (f *finder) setBack(ctx context.Context, low, high change.Seq, upward bool) (bool, error) {
	var edge change.Millis
	for d := change.Seq(0); low+d < high; d = max(d+1, min(d+d/4, high-low-1)) { // and at the furthest
		seq := low + d
		if !upward {
			seq = high - 1 - d
		}
		m, found, err := f.at(ctx, seq, high-1, mark.timed)
		switch {
		case err != nil:
			return false, err
		case !found:
			continue
		case edge == 0:
		case upward && m.at.Add(skew) < edge, !upward && m.at > edge.Add(skew):
			return true, nil
		}
		if edge == 0 || upward == (m.at > edge) {
			edge = m.at
		}
	}
	return false, nil
}

// run is a stretch of the stream in which the positions of the log increase.
type run struct {
	first, last change.Seq
	from, to    change.LSN
}

// runs are those of the whole stream: one, unless the log was exchanged for another that
// was not as far, of a restored copy or of another server. That makes an epoch.
func (f *finder) runs(ctx context.Context) (all []run, err error) {
	for seq := f.bounds.First; seq <= f.bounds.Last; {
		r, err := f.epoch(ctx, seq)
		if err != nil {
			return nil, err
		}
		seq = r.last + 1
		switch n := len(all); {
		case n == 0 || all[n-1].from == 0: // nothing has a place before
			r.first = f.bounds.First
			all = []run{r}
		case r.from == 0 || r.from >= all[n-1].to:
			all[n-1].last, all[n-1].to = r.last, max(r.to, all[n-1].to)
		default:
			all = append(all, r)
		}
	}
	return all, nil
}

// epoch is the run that an epoch is, which begins with a message.
func (f *finder) epoch(ctx context.Context, seq change.Seq) (run, error) {
	r := run{first: seq}
	this, _, err := f.at(ctx, seq, f.bounds.Last, mark.any)
	if err != nil {
		return r, err
	}
	next, err := f.first(ctx, seq, f.bounds.Last+1, mark.any, func(m mark) bool { return m.epoch > this.epoch })
	if err != nil {
		return r, err
	}
	r.last = next - 1
	m, found, err := f.at(ctx, seq, r.last, mark.placed)
	if err != nil || !found {
		return r, err
	}
	r.from = m.lsn
	for seq := r.last; r.to == 0 && err == nil; seq-- {
		m, _, err = f.at(ctx, seq, r.last, mark.placed)
		r.to = m.lsn
	}
	return r, err
}

// byLSN is the first message at a position of the log or behind it, or with end the last one
// at it or before.
func (f *finder) byLSN(ctx context.Context, p Point, end bool) (change.Seq, error) {
	all, err := f.runs(ctx)
	if err != nil || len(all) == 0 {
		return f.bounds.First, err
	}
	r := all[0]
	if len(all) > 1 {
		var within []run
		for _, one := range all {
			if one.from <= p.LSN && p.LSN <= one.to {
				within = append(within, one)
			}
		}
		if len(within) != 1 {
			return 0, severalLogs(p, all)
		}
		r = within[0]
	}
	seq, err := f.first(ctx, r.first, r.last+1, mark.placed, func(m mark) bool { return m.lsn > p.LSN || m.lsn == p.LSN && !end })
	if end {
		seq--
	}
	return seq, err
}

// runsShown is how many runs a person is told of.
const runsShown = 5

func severalLogs(p Point, all []run) error {
	var said []string
	for _, r := range all[:min(len(all), runsShown)] {
		said = append(said, fmt.Sprintf("messages %d to %d are those from %s to %s", r.first, r.last, r.from, r.to))
	}
	if more := len(all) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return hint.Wrap(&PointError{p.text, "is not one place in the stream: the database's log began anew in between, as after a restored backup or on another server"},
		"give a time or a message's sequence; %s", strings.Join(said, ", "))
}
