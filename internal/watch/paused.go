package watch

import (
	"context"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// longPause is a pause after which another instance may be the writer. Marks come
// more often, and ids of events are remembered for longer.
const longPause = time.Minute

// paused holds back what is found after this process, or its connection, stood
// still for long: messages may have waited since then, and behind them may be the
// record that another instance has taken over and published it all.
type paused struct {
	awake time.Time
	until change.Seq // where the stream ended after the pause
	found []Found
}

// hold returns what may be published now.
func (p *paused) hold(ctx context.Context, cdc CDC, at change.Seq, found []Found) ([]Found, error) {
	now := time.Now()
	if !p.awake.IsZero() && now.Sub(p.awake) > longPause {
		_, last, err := cdc.Bounds(ctx)
		if err != nil {
			return nil, fmt.Errorf("look at the stream after a pause: %w", err)
		}
		p.until = last
	}
	p.awake = now
	if at < p.until {
		p.keep(found)
		return nil, nil
	}
	if len(p.found) > 0 {
		found, p.found = append(p.found, found...), nil
	}
	return found, nil
}

// keep copies what was found: the transitions that it points to are the checker's, who
// uses them again for the next message.
func (p *paused) keep(found []Found) {
	for _, f := range found {
		if f.Transition != nil {
			t := *f.Transition
			f.Transition = &t
		}
		p.found = append(p.found, f)
	}
}

// holds reports whether something is held back.
func (p *paused) holds() bool { return len(p.found) > 0 }
