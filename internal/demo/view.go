package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// view shows what is found while it is found: a panel that is drawn anew on a
// terminal, one line for each finding elsewhere.
type view struct {
	demo  *demo
	start time.Time
	lines int  // of the panel on the screen
	shown int  // findings printed, without a terminal
	told  bool // that the traffic has ended, without a terminal
	names map[string]string
}

func newView(d *demo) *view { return &view{demo: d, start: time.Now(), names: map[string]string{}} }

const finishing = "finishing: waiting until what was written last has been judged…"

const drawEvery = 200 * time.Millisecond

func (v *view) run(ctx context.Context) error {
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			v.draw(ctx)
		}
	}
}

// end draws the last state, which stays on the screen.
func (v *view) end() { v.draw(context.Background()) }

func (v *view) draw(ctx context.Context) {
	s := v.demo.seen
	s.mu.Lock()
	opened, recent, resolved := s.opened, append([]sighting(nil), s.recent...), s.resolved
	s.mu.Unlock()
	note := ""
	if v.demo.finishing.Load() {
		note = finishing
	}
	if !v.demo.options.Live {
		if note != "" && !v.told {
			v.told = true
			v.demo.say("%s", note)
		}
		for _, f := range opened[v.shown:] {
			v.demo.say("%s", v.line(ctx, &f))
		}
		v.shown = len(opened)
		return
	}
	var panel strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&panel, "\x1b[%dA", v.lines)
	}
	counts := map[rule.Severity]int{}
	baseline := 0
	for i := range opened {
		if opened[i].Origin == drift.FromBaseline {
			baseline++
		} else {
			counts[opened[i].Severity]++
		}
	}
	rows := []string{
		fmt.Sprintf("%s  %4.0f s  %d transactions, %d row changes", v.paint(bold, "questwatch demo"), time.Since(v.start).Seconds(), v.demo.sim.Transactions(), v.demo.sim.Changes()),
		fmt.Sprintf("found: %s %s %s   from before: %d   resolved again: %d",
			v.paint(red, fmt.Sprintf("%d critical", counts[rule.Critical])), v.paint(yellow, fmt.Sprintf("%d warning", counts[rule.Warning])),
			v.paint(dim, fmt.Sprintf("%d info", counts[rule.Info])), baseline, resolved),
		v.paint(dim, note),
	}
	for i := range keepRecent {
		row := ""
		if i < len(recent) {
			row = v.line(ctx, &recent[i])
		}
		rows = append(rows, row)
	}
	// A line that wraps would make the panel higher than it is drawn.
	const wrap, noWrap = "\x1b[?7h", "\x1b[?7l"
	panel.WriteString(noWrap)
	for _, row := range rows {
		panel.WriteString("\x1b[2K" + row + "\n")
	}
	panel.WriteString(wrap)
	v.lines = len(rows)
	fmt.Fprint(v.demo.options.Out, panel.String())
}

// ANSI styles.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (v *view) paint(style, text string) string {
	if !v.demo.options.Color {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// line is a finding on one line.
func (v *view) line(ctx context.Context, f *sighting) string {
	style, word := dim, f.Severity.String()
	switch {
	case f.resolved:
		style, word = green, "resolved"
	case f.Severity == rule.Critical:
		style = red
	case f.Severity == rule.Warning:
		style = yellow
	}
	who := ""
	if f.UserID != nil {
		who = " " + v.name(ctx, *f.UserID)
	}
	when := f.OpenedAt
	if f.resolved {
		when = f.ResolvedAt
	}
	from := fmt.Sprintf("xid %d, %s after commit", f.Transaction.ID, f.at.Sub(f.Transaction.Time.Time()).Round(10*time.Millisecond))
	switch {
	case f.Origin == drift.FromBaseline:
		from = "there before"
	case f.resolved && f.ResolvedBy != nil:
		from = fmt.Sprintf("by xid %d", f.ResolvedBy.ID)
	}
	return fmt.Sprintf("%s %s %-24s quest %d%s: %s (%s)", clock(when), v.paint(style, fmt.Sprintf("%-8s", word)),
		f.Rule, f.QuestID, who, f.Cause, from)
}

func clock(stamp string) string {
	t, err := time.Parse("2006-01-02T15:04:05.000Z07:00", stamp)
	if err != nil {
		return stamp
	}
	return t.Format("15:04:05.0")
}

func (v *view) name(ctx context.Context, id string) string {
	if name, ok := v.names[id]; ok {
		return name
	}
	names, err := v.demo.app.Usernames(ctx, []string{id})
	if err != nil || names[id] == "" {
		return id
	}
	v.names[id] = names[id]
	return names[id]
}

// Report is the result in words.
func (r *Result) Report(paint func(good bool, text string) string) string {
	var b strings.Builder
	verdict := func(good bool, text string) { fmt.Fprintf(&b, "  %s %s\n", paint(good, mark(good)), text) }
	fmt.Fprintf(&b, "\nIn %.0f s: %d transactions, %d row changes.\n", r.Duration, r.Transactions, r.Changes)
	fmt.Fprintf(&b, "There before: %d findings of the baseline.\n\n", r.Baseline)
	fmt.Fprintf(&b, "  %-24s %9s %9s %10s\n", "rule", "injected", "opened", "explained")
	for _, which := range rule.All {
		name := which.String()
		fmt.Fprintf(&b, "  %-24s %9d %9d %10d\n", name, r.Injected[name], r.Opened[name], r.Explained[name])
	}
	fmt.Fprintf(&b, "  (explained: looks like a failure in the tables and is none, such as a person who left)\n\n")
	verdict(r.Missed == 0, fmt.Sprintf("%d missed", r.Missed))
	verdict(r.FalseAlarms == 0, fmt.Sprintf("%d false alarms", r.FalseAlarms))
	verdict(r.Untrue == 0, fmt.Sprintf("%d explanations that are not so", r.Untrue))
	verdict(r.StateMatches, "the checker's state equals the database")
	verdict(r.Replay.Differences+r.Replay.Untold == 0, fmt.Sprintf("judged anew, the stream's %d changes give the same %d events: %d differences", r.Replay.Changes, r.Replay.Events, r.Replay.Differences))
	fmt.Fprintf(&b, "  a subscriber held the event after the commit: p50 %d ms, p99 %d ms, max %d ms (the grace of 3 s included)\n", r.Detect.P50, r.Detect.P99, r.Detect.Max)
	toldReport(r.Told, func(text string) { fmt.Fprintf(&b, "  %s\n", text) })
	if r.Repairs != nil {
		r.report(verdict, func(text string) { fmt.Fprintf(&b, "  %s\n", text) })
	}
	for _, e := range r.MissedWhat {
		fmt.Fprintf(&b, "  missed: %s quest %d user %s cause %s (%s), committed %s, xid %d\n", e.Rule, e.QuestID, e.UserID, e.Cause, e.Kind, e.CommittedAt.UTC().Format(time.RFC3339Nano), e.XID)
	}
	sighted := func(what string, all []sighting) {
		for i := range all {
			f := &all[i]
			fmt.Fprintf(&b, "  %s: %s quest %d user %s cause %s, committed %s, xid %d\n", what, f.Rule, f.QuestID, keyOf(f).UserID, f.Cause, event.Stamp(f.Transaction.Time), f.Transaction.ID)
		}
	}
	sighted("false alarm", r.FalseWhat)
	sighted("not so", r.UntrueWhat)
	for _, line := range r.Differences {
		fmt.Fprintf(&b, "  differs: %s\n", line)
	}
	return b.String()
}

func mark(good bool) string {
	if good {
		return "ok"
	}
	return "NO"
}
