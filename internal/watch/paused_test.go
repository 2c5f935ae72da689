package watch_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/watch"
)

// A writer that stood still, wherever it did, says nothing of what it reads
// afterwards when another one has taken over meanwhile. Where none has, it says
// all.
func TestPausedWriterLooksAheadFirst(t *testing.T) {
	s := faulty()
	s.epoch++
	s.control(change.Control{Kind: change.Epoch, Time: s.clock, Reason: "resume", Instance: "another"})
	for at := 2; at < len(s.records); at++ {
		for self, want := range map[string]error{"us": watch.ErrDeposed, "another": context.DeadlineExceeded} {
			m := newMemory(s)
			m.asleepAt = at
			synctest.Test(t, func(t *testing.T) {
				flow := watch.New(testRules(), m, m, m, m, slog.New(slog.DiscardHandler))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := flow.Run(ctx, watch.Writer{Epoch: 2, Instance: self}); !errors.Is(err, want) {
					t.Errorf("Run returned %v", err)
				}
			})
			switch n := len(faultySubjects); {
			case self == "us" && len(m.events) != m.asleep:
				t.Errorf("asleep before message %d: %d events until then, %d in all", at, m.asleep, len(m.events))
			case self != "us" && len(m.events) != n+1:
				t.Errorf("asleep before message %d: %d events, want %d", at, len(m.events), n+1)
			}
		}
	}
}
