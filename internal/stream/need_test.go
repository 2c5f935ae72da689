package stream

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/cenkalti/backoff/v5"

	"github.com/peerquest/questwatch/internal/change"
)

// A session ends when a reader cannot do with its baseline, whoever says so first.
func TestNeed(t *testing.T) {
	type said struct{ need, baseline, last change.Seq }
	need := func(seq change.Seq) said { return said{need: seq, last: -1 + 1<<62} }
	begins := func(baseline, last change.Seq) said { return said{baseline: baseline, last: last} }
	for name, c := range map[string]struct {
		said []said
		ends bool
		need change.Seq // that the next session hears of
	}{
		"nobody needs one":              {[]said{begins(10, 50)}, false, 0},
		"it begins later":               {[]said{begins(10, 50), need(10)}, false, 10},
		"it begins earlier":             {[]said{begins(10, 50), need(11)}, true, 11},
		"one goes on from a checkpoint": {[]said{begins(10, 50), need(0)}, false, 0},
		"asked before the session":      {[]said{need(11), begins(10, 50)}, true, 11},
		"one is on its way":             {[]said{begins(0, 50), need(11)}, false, 11},
		"it came too late":              {[]said{begins(0, 50), need(60), begins(55, 90)}, true, 60},
		"it came":                       {[]said{begins(0, 50), need(40), begins(55, 90)}, false, 40},
		"it was another stream":         {[]said{need(52), begins(10, 50)}, false, 0},
		"an empty one":                  {[]said{need(51), begins(0, 50)}, false, 51},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(Config{Asked: true}, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
			ctx, end := context.WithCancelCause(t.Context())
			f.end = end
			for _, s := range c.said {
				if s.last == 1<<62-1 {
					f.Need(s.need)
				} else {
					f.begins(s.baseline, s.last)
				}
			}
			if ended := errors.Is(context.Cause(ctx), errNeeded); ended != c.ends || f.need != c.need {
				t.Errorf("ended is %v, need is %d", ended, f.need)
			}
			if ended := f.interrupted(errNeeded, backoff.NewExponentialBackOff()); ended != 0 {
				t.Errorf("the next one begins after %v", ended)
			}
			if f.interrupted(ErrBusy, nil); f.need != 0 {
				t.Errorf("a standby needs one from %d on", f.need)
			}
		})
	}
}

// Where a reader says what it needs, a baseline that has been discarded is none of the
// session's business, unless no message is left that a reader could go on from.
func TestNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		asked             bool
		need, first, last change.Seq
		want              change.Seq
	}{
		"nobody says":               {false, 0, 11, 50, 11},
		"nothing is needed":         {true, 0, 11, 50, 0},
		"one is needed":             {true, 11, 11, 50, 11},
		"no message is left":        {true, 0, 51, 50, 51},
		"nobody says, none is left": {false, 0, 51, 50, 51},
	} {
		s := &session{
			config: Config{Asked: c.asked}, note: Note{Baseline: 10}, tail: tail{first: c.first, last: c.last},
			begins: func(baseline, last change.Seq) change.Seq {
				if baseline != 10 || last != c.last {
					t.Errorf("%s: begins at %d in a stream up to %d", name, baseline, last)
				}
				return c.need
			},
		}
		if got := s.needed(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
