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
	need := func(from change.Seq) func(*needs) { return func(n *needs) { n.ask(from) } }
	open := func(on, last change.Seq) func(*needs) { return func(n *needs) { n.open(on, last) } }
	rest := func(on change.Seq) func(*needs) { return func(n *needs) { n.rest(on) } }
	for name, c := range map[string]struct {
		said []func(*needs)
		ends bool
		need change.Seq // that the next session hears of
	}{
		"nobody needs one":              {[]func(*needs){open(10, 50)}, false, 0},
		"it begins later":               {[]func(*needs){open(10, 50), need(10)}, false, 10},
		"it begins earlier":             {[]func(*needs){open(10, 50), need(11)}, true, 11},
		"one goes on from a checkpoint": {[]func(*needs){open(10, 50), need(0)}, false, 0},
		"asked before, one will come":   {[]func(*needs){need(11), open(10, 50), need(11), rest(0), rest(51)}, false, 11},
		"one is on its way":             {[]func(*needs){open(0, 50), need(11)}, false, 11},
		"it came too late":              {[]func(*needs){open(0, 50), need(60), rest(55)}, true, 60},
		"it came":                       {[]func(*needs){open(0, 50), need(40), rest(55)}, false, 40},
		"it was another stream":         {[]func(*needs){need(52), open(10, 50)}, false, 0},
		"an empty one":                  {[]func(*needs){need(51), open(0, 50)}, false, 51},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(Config{Asked: true}, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
			ctx, end := context.WithCancelCause(t.Context())
			f.needs.start(end)
			for _, say := range c.said {
				say(&f.needs)
			}
			if ended := errors.Is(context.Cause(ctx), errNeeded); ended != c.ends || f.needs.from != c.need {
				t.Errorf("ended is %v, need is %d", ended, f.needs.from)
			}
			if ended := f.interrupted(errNeeded, backoff.NewExponentialBackOff()); ended != 0 {
				t.Errorf("the next one begins after %v", ended)
			}
			if f.interrupted(ErrBusy, nil); f.needs.from != 0 {
				t.Errorf("a standby needs one from %d on", f.needs.from)
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
			tally: &tally{}, config: Config{Asked: c.asked}, note: Note{Baseline: 10}, tail: tail{first: c.first, last: c.last},
			needs: &needs{from: c.need},
		}
		if got := s.needed(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
