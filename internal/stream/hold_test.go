package stream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// stuck is a writer that stores up to a sequence.
type stuck struct {
	published, acked change.Seq
	err              error
}

func (w *stuck) Publish(context.Context, string, []byte) (change.Seq, error) {
	w.published++
	return w.published, w.err
}
func (w *stuck) Acked() change.Seq { return w.acked }
func (w *stuck) Err() error        { return w.err }
func (w *stuck) Close()            {}

// answering is a stream that answers from some moment on.
type answering struct {
	CDC
	after time.Time
}

func (a answering) Bounds(ctx context.Context) (first, last change.Seq, err error) {
	if time.Now().Before(a.after) {
		<-ctx.Done()
	}
	return 0, 0, ctx.Err()
}

// A session waits while JetStream says that it takes nothing, and after it was full
// for a while though it does not say; not at all for any other reason.
func TestHold(t *testing.T) {
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		err, writer error
		away, mute  time.Duration
		want        time.Duration
	}{
		"away":             {err: gone, writer: gone, away: time.Minute, want: time.Minute},
		"mute":             {err: gone, writer: gone, mute: time.Minute, want: time.Minute},
		"fenced":           {err: gone, writer: gone},
		"full":             {err: fmt.Errorf("x: %w", ErrFull), writer: ErrFull, want: fullPause},
		"full and away":    {err: ErrFull, writer: ErrFull, away: time.Minute, want: time.Minute},
		"Postgres is gone": {err: gone, away: time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			told := 0
			s := &session{writer: &stuck{err: c.writer}, stall: func(err error) {
				if err == nil {
					t.Errorf("%s: no reason", name)
				}
				told++
			}}
			s.cdc = answering{after: begin.Add(c.mute)}
			s.config.Takes = func(context.Context) error {
				if time.Since(begin) < c.away {
					return ErrAway
				}
				return nil
			}
			s.hold(t.Context(), c.err)
			if took := time.Since(begin); took < c.want || took > c.want+2*holdEvery {
				t.Errorf("%s: held for %s, want %s", name, took, c.want)
			}
			if held := c.want > 0; s.held.Load() != held || held != (told > 0) {
				t.Errorf("%s: held %t, told %d times", name, s.held.Load(), told)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		s := &session{writer: &stuck{err: gone}, stall: func(error) {}}
		s.config.Takes = func(context.Context) error { return ErrAway }
		s.hold(ctx, gone)
		if ctx.Err() == nil {
			t.Error("not held to the end")
		}
	})
}

func TestFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flight
		if w := f.waiting(time.Now()); w != 0 {
			t.Errorf("without a writer: %s", w)
		}
		under := &stuck{published: 100, acked: 100}
		w := f.of(under, new(atomic.Uint64))
		want := func(seconds int) {
			t.Helper()
			if got := f.waiting(time.Now()); got != time.Duration(seconds)*time.Second {
				t.Errorf("waiting for %s, want %d s", got, seconds)
			}
		}
		publish := func() {
			t.Helper()
			if _, err := w.Publish(t.Context(), "", nil); err != nil {
				t.Fatal(err)
			}
		}
		want(0)
		time.Sleep(time.Second)
		publish()
		time.Sleep(2 * time.Second)
		publish()
		want(2)
		under.acked++
		want(0)
		time.Sleep(3 * time.Second)
		want(3)
		under.acked++
		want(0)
		time.Sleep(time.Second)
		want(0)
		publish()
		time.Sleep(time.Second)
		want(1)
		w = f.of(&stuck{}, new(atomic.Uint64))
		want(0)
	})
}
