package watch_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/rule"
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
				var logs bytes.Buffer
				flow := watch.New(quietRules(), m, m, m, m, slog.New(slog.NewTextHandler(&logs, nil)))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := flow.Run(ctx, watch.Writer{Epoch: 2, Instance: self}); !errors.Is(err, want) {
					t.Errorf("Run returned %v", err)
				}
				if self == "us" {
					return
				}
				if n := flow.Status().Open[rule.MissingParticipant]; n != 1 {
					t.Errorf("asleep before message %d: %d are open", at, n)
				}
				for text, want := range map[string]int{"drift opened": 2, "drift resolved": 1} {
					if n := strings.Count(logs.String(), text); n != want {
						t.Errorf("asleep before message %d: %q was logged %d times", at, text, n)
					}
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
