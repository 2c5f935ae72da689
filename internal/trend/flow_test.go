package trend

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// shelf is a stream of one event and a store, of which the stream is away at times.
type shelf struct {
	away int // that many times
	data []byte
	kept []byte
}

func (s *shelf) Bounds(context.Context) (time.Time, uint64, uint64, error) {
	if s.away > 0 {
		s.away--
		return time.Time{}, 0, 0, errors.New("nobody answers")
	}
	return created, 1, 1, nil
}

func (s *shelf) Follow(ctx context.Context, _ []string, from uint64, _ bool, fn func(uint64, []byte) error) error {
	if from == 1 {
		if err := fn(1, s.data); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *shelf) Load(context.Context) ([]byte, error) { return s.kept, nil }

func (s *shelf) Save(_ context.Context, data []byte) error {
	s.kept = data
	return nil
}

// TestFlowOutlastsAnOutage: one line of the log says that nothing is counted, and what is
// counted after it is kept, now and then and at the end.
func TestFlowOutlastsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := opened("a", rule.Unassigned, base, drift.FromStream)
		f := e.Data.(event.Finding)
		f.Severity = rule.Warning
		e.Data = f
		data, err := e.Encode("questwatch")
		if err != nil {
			t.Fatal(err)
		}
		s := &shelf{away: 100, data: data}
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := New(s, s, 5*time.Minute, slog.New(slog.NewTextHandler(&log, nil))).Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "nobody answers") {
			t.Errorf("logged %d lines: %.300s", n, log.String())
		}
		if book, err := Decode(s.kept); err != nil || book.Sequence != 1 {
			t.Errorf("kept %+v, %v", book, err)
		}
	})
}
