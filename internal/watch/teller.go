package watch

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// teller writes one line for each thing found, with people's names. A name that
// cannot be had in time is left out: a log line must never hold up the checker.
type teller struct {
	names  Names
	logger *slog.Logger
	known  map[string]string
	// quiet is until when names are not asked for, after that failed.
	quiet time.Time
}

const (
	nameTimeout = time.Second
	nameQuiet   = 30 * time.Second
	namesKept   = 10_000
)

func newTeller(names Names, logger *slog.Logger) *teller {
	return &teller{names: names, logger: logger, known: map[string]string{}}
}

func (t *teller) tell(ctx context.Context, f *Found) {
	if f.Transition != nil {
		t.transition(ctx, f.Transition)
		return
	}
	switch data := f.Event.Data.(type) {
	case event.Baseline:
		t.logger.Info("baseline judged", "quests", data.Quests, "findings", data.Findings, "by_rule", data.ByRule)
	case event.Continuity:
		t.logger.Info("stream "+f.Event.What, "reason", f.Event.Detail, "epoch", data.Epoch, "seq", data.Position.Sequence)
	}
}

func (t *teller) transition(ctx context.Context, tr *drift.Transition) {
	finding := &tr.Finding
	v := &finding.Violation
	attrs := []slog.Attr{
		slog.String("rule", v.Rule.String()), slog.String("cause", string(v.Cause)),
		slog.Int64("quest", finding.Quest), slog.String("title", finding.Title),
	}
	if finding.User != "" {
		attrs = append(attrs, slog.String("user", t.name(ctx, finding.User)))
	}
	level, message := slog.LevelInfo, "drift resolved"
	if tr.What == drift.Opened {
		message = "drift opened: " + rule.Actual(v)
		if v.Severity() >= rule.Warning {
			level = slog.LevelWarn
		}
		attrs = append(attrs, slog.String("severity", v.Severity().String()), slog.String("origin", string(finding.Where.Origin)))
	} else {
		attrs = append(attrs, slog.String("reason", string(tr.Reason)),
			slog.String("after", (time.Duration(tr.At-finding.Due)*time.Millisecond).String()))
	}
	attrs = append(attrs, slog.String("finding", finding.ID))
	if tx := finding.Where.Transaction; tx.ID != 0 {
		attrs = append(attrs, slog.String("xid", strconv.FormatUint(tx.ID, 10)), slog.String("lsn", tx.CommitLSN.String()),
			slog.String("committed", event.Stamp(tx.Time)))
	}
	t.logger.LogAttrs(ctx, level, message, attrs...)
}

// name is the person's name and id, or the id alone.
func (t *teller) name(ctx context.Context, id string) string {
	name, ok := t.known[id]
	if !ok && t.names != nil && time.Now().After(t.quiet) {
		ctx, cancel := context.WithTimeout(ctx, nameTimeout)
		defer cancel()
		found, err := t.names.Usernames(ctx, []string{id})
		if err != nil {
			t.quiet = time.Now().Add(nameQuiet)
			return id
		}
		if len(t.known) >= namesKept {
			clear(t.known)
		}
		name = found[id]
		t.known[id] = name
	}
	if name == "" {
		return id
	}
	return fmt.Sprintf("%s (%s)", name, id)
}
