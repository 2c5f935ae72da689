package watch

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// teller writes one line for each thing found, with people's names. A name that
// cannot be had in time is left out: a log line must never hold up the checker.
// The level is how much it matters to the operator, see levelOf and continuity.
type teller struct {
	names  Names
	schema change.Schema
	logger *slog.Logger
	known  map[string]string
	// quiet is until when names are not asked for, after that failed.
	quiet time.Time
	// refusal is when a refused report was told last: whoever sends them must not
	// fill the log.
	refusal time.Time
}

const (
	refusalEvery = time.Minute

	nameTimeout = time.Second
	nameQuiet   = 30 * time.Second
	namesKept   = 10_000
)

func newTeller(names Names, schema change.Schema, logger *slog.Logger) *teller {
	return &teller{names: names, schema: schema, logger: logger, known: map[string]string{}}
}

// tell is called after the counts of open findings have taken in f.
func (t *teller) tell(ctx context.Context, f *Found, open map[rule.Rule]int) {
	if f.Transition != nil {
		t.transition(ctx, f.Transition)
		return
	}
	switch data := f.Event.Data.(type) {
	case event.Baseline:
		t.logger.Info("baseline judged", "quests", data.Quests, "findings", data.Findings, "by_rule", byRule(data.ByRule),
			"open", total(open))
	case event.Continuity:
		t.continuity(ctx, f.Event.What, &data)
	case event.Approval:
		t.approval(ctx, f.Event.What, &data)
	case event.Repaired:
		t.repaired(ctx, f.Event.What, &data)
	case event.Regression:
		t.logger.LogAttrs(ctx, levelOf(data.Severity), "status regressed", slog.Int64("quest", data.QuestID), slog.String("title", data.QuestTitle),
			slog.String("from", data.From), slog.String("to", data.To), slog.Uint64("xid", data.Transaction.ID),
			slog.String("lsn", data.Transaction.CommitLSN.String()), slog.String("committed", event.Stamp(data.Transaction.Time)))
	}
}

// approval tells of what no finding does: one that failed silently has its own line.
func (t *teller) approval(ctx context.Context, what string, a *event.Approval) {
	if a.Reason == event.Silent {
		return
	}
	attrs := []slog.Attr{
		slog.String("reason", string(a.Reason)), slog.Int64("quest", a.QuestID), slog.String("title", a.QuestTitle),
		slog.String("user", t.name(ctx, a.UserID)), slog.Int64("application", a.ApplicationID),
	}
	if a.Error != "" {
		attrs = append(attrs, slog.String("error", a.Error))
	}
	attrs = append(attrs, slog.Uint64("xid", a.Transaction.ID), slog.String("lsn", a.Transaction.CommitLSN.String()),
		slog.String("committed", event.Stamp(a.Transaction.Time)))
	t.logger.LogAttrs(ctx, levelOf(a.Severity), "approval "+what, attrs...)
}

// repaired tells of a repair that was applied, or undone. What it repaired has its own
// lines.
func (t *teller) repaired(ctx context.Context, what string, r *event.Repaired) {
	attrs := []slog.Attr{
		slog.String("rule", r.Rule.String()), slog.String("cause", string(r.Cause)), slog.String("action", r.Action), slog.Int64("quest", r.QuestID),
	}
	if r.UserID != nil {
		attrs = append(attrs, slog.String("user", t.name(ctx, *r.UserID)))
	}
	attrs = append(attrs, slog.Int64("entry", r.Entry), slog.String("actor", r.Actor), slog.Bool("automatic", r.Automatic))
	if r.AfterCommitMS != nil {
		attrs = append(attrs, slog.String("after_commit", (time.Duration(*r.AfterCommitMS)*time.Millisecond).String()))
	}
	attrs = append(attrs, slog.String("finding", r.Finding), slog.Uint64("xid", r.Transaction.ID), slog.String("lsn", r.Transaction.CommitLSN.String()),
		slog.String("committed", event.Stamp(r.Transaction.Time)))
	t.logger.LogAttrs(ctx, slog.LevelInfo, "repair "+what, attrs...)
}

// refused tells that messages were not believed, now and then. What they said is
// not repeated.
func (t *teller) refused(r Refused) {
	if time.Since(t.refusal) < refusalEvery {
		return
	}
	t.refusal = time.Now()
	t.logger.Warn("a logical message was not believed", "why", r.Why, "lsn", r.LSN.String(), "refused", r.Reports)
}

// caughtUp says what is open at a start: what was found before is not told again.
func (t *teller) caughtUp(seq change.Seq, known bool, open map[rule.Rule]int) {
	t.logger.Info("caught up with the stream", "seq", uint64(seq), "known", known, "open", total(open), "by_rule", byRule(open))
}

// continuity tells what happened to the stream: a gap is an error, for changes
// are lost; other columns and emptied tables may be meant.
func (t *teller) continuity(ctx context.Context, what string, c *event.Continuity) {
	level := slog.LevelInfo
	switch what {
	case "gap":
		level = slog.LevelError
	case "truncated", "schema_changed":
		level = slog.LevelWarn
	}
	var attrs []slog.Attr
	text := func(key, value string, present bool) {
		if present {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("reason", c.Reason, c.Reason != "")
	text("entities", t.entities(c.Entities), len(c.Entities) > 0)
	text("columns", strings.Join(c.Columns, ", "), len(c.Columns) > 0)
	text("missing", strings.Join(c.Missing, ", "), len(c.Missing) > 0)
	text("from", c.From.String(), c.From != 0)
	text("to", c.To.String(), c.To != 0)
	attrs = append(attrs, slog.Uint64("epoch", c.Epoch), slog.Uint64("seq", c.Position.Sequence))
	t.logger.LogAttrs(ctx, level, "stream "+what, attrs...)
}

// entities names entities with their tables.
func (t *teller) entities(names []string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = name
		if e, err := change.ParseEntity(name); err == nil {
			texts[i] = fmt.Sprintf("%s (%s)", name, t.schema.Table(e))
		}
	}
	return strings.Join(texts, ", ")
}

// byRule is numbers of findings as a text, in the rules' order.
func byRule(counts map[rule.Rule]int) string {
	var texts []string
	for _, r := range rule.All {
		if n := counts[r]; n != 0 {
			texts = append(texts, fmt.Sprintf("%s=%d", r, n))
		}
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, " ")
}

func total(counts map[rule.Rule]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// levelOf is how loudly a finding of a severity is told.
func levelOf(s rule.Severity) slog.Level {
	switch s {
	case rule.Critical:
		return slog.LevelError
	case rule.Warning:
		return slog.LevelWarn
	case rule.Info:
	}
	return slog.LevelInfo
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
	level, message, tx := slog.LevelInfo, "drift resolved", tr.By.Transaction
	if tr.What == drift.Opened {
		level, message, tx = levelOf(v.Severity), "drift opened: "+rule.Actual(v), finding.Where.Transaction
		attrs = append(attrs, slog.String("severity", v.Severity.String()), slog.String("origin", string(finding.Where.Origin)))
	} else {
		attrs = append(attrs, slog.String("reason", string(tr.Reason)),
			slog.String("after", (time.Duration(tr.At-finding.Due)*time.Millisecond).String()))
	}
	attrs = append(attrs, slog.String("finding", finding.ID))
	if tx.ID != 0 { // else it is a baseline
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
