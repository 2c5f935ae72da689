package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/terminal"
)

func statusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running instance is doing",
		Long: `Status shows how far the stream is behind the database, what Postgres keeps for it, what
is open, how repairs stand, when the last checkpoint and comparison were, and which
channels of alerts take nothing.

The instance is found through its data directory (--data), or its NATS server is named
(--nats, --nats-context); of several the one that streams answers.

Exit status: 0 nothing open at warning or above, 1 something is, 2 wrong usage, 3 not
ready, no instance, or another failure.`,
		Example: `  questwatch status
  questwatch status --watch --data /var/lib/questwatch
  questwatch status --output json | jq .behind_seconds`,
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show it anew every two seconds, until Ctrl-C")
	return reports(cmd, ofInstance, func(c *call, _ []string) error {
		if watch && c.asJSON() {
			return usageError{error: errors.New("--watch is for people: it goes with --output text only")}
		}
		ask := func() (*app.Status, error) { return app.AskStatus(c.Context(), &c.config, c.logger) }
		if watch {
			return watchStatus(c.Context(), c.OutOrStdout(), ask)
		}
		status, err := ask()
		if err == nil {
			err = c.show(status, func() string { return statusText(status, nil, time.Now()) })
		}
		if err != nil {
			return err
		}
		return standing(status)
	})
}

// standing is the exit status that says how things stand.
func standing(s *app.Status) error {
	switch {
	case !s.Ready:
		return statusError(exitFailure)
	case s.Severe[rule.Warning.String()]+s.Severe[rule.Critical.String()] > 0:
		return statusError(exitFindings)
	}
	return nil
}

const (
	statusEvery  = 2 * time.Second
	statusMargin = 12 // of a line's name
)

// watchStatus shows the status anew, on a terminal in place of the one before.
func watchStatus(ctx context.Context, w io.Writer, ask func() (*app.Status, error)) error {
	inPlace := onTerminal(w)
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	var last *app.Status
	for {
		status, err := ask()
		if err != nil {
			return err
		}
		text := terminal.Fold(statusText(status, last, time.Now()), widthOf(w))
		if inPlace {
			text = "\x1b[H\x1b[J" + text
		}
		if _, err := io.WriteString(w, text); err != nil {
			return fmt.Errorf("print the status: %w", err)
		}
		last = status
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// statusText is a status for people; with an earlier one, of statusEvery ago, rates too.
func statusText(s, before *app.Status, now time.Time) string {
	var lines statusLines
	lines.stream(s, before, now)
	lines.findings(s)
	lines.upkeep(s, now)
	for i, text := range channelLines(s.Channels, now) {
		lines.add([]string{"alerts", ""}[min(i, 1)], "%s", text)
	}
	for i := range s.Silences {
		lines.add("silence", "%s", silenceLine(&s.Silences[i]))
	}
	for _, a := range s.Alarms {
		lines.add("alarm", "%s, %s since %s", a.Reason, a.Severity, a.Since.Time().UTC().Format(time.DateTime))
	}
	return lines.String()
}

// statusLines are lines that each say what they are about, unless it is the same as above.
type statusLines struct{ strings.Builder }

func (l *statusLines) add(what, format string, args ...any) {
	fmt.Fprintf(l, "%-*s%s\n", statusMargin, what, terminal.Clean(fmt.Sprintf(format, args...)))
}

func (l *statusLines) stream(s, before *app.Status, now time.Time) {
	ready, rate := "ready", ""
	if !s.Ready {
		ready = "not ready"
	}
	l.add("instance", "%s, %s since %s, %s", ready, s.State, when(s.Since, now), s.Instance)
	for _, reason := range s.Reasons {
		l.add("", "- %s", reason)
	}
	l.add("database", "%s, slot %s%s", s.Database, s.Slot, walOf(s))
	if before != nil && s.Rows >= before.Rows {
		rate = fmt.Sprintf(", %.0f a second", float64(s.Rows-before.Rows)/statusEvery.Seconds())
	}
	l.add("stream", "%.1f s behind; %d rows in %d transactions since the start%s", s.Behind, s.Rows, s.Transactions, rate)
	for _, one := range s.Streams {
		l.add("", "%s: %d messages, %s", one.Name, one.Messages, mib(int64(one.Bytes)))
	}
}

func (l *statusLines) findings(s *app.Status) {
	total, byRule := findingsOf(s)
	l.add("findings", "%s", total)
	for _, rules := range breakLines(byRule, ", ", columns-statusMargin) {
		l.add("", "%s", rules)
	}
	r := s.Repair
	if r == nil {
		return
	}
	stopped := ""
	if r.Stopped != "" {
		stopped = "; stopped: " + r.Stopped
	}
	if r.Blocked != "" {
		stopped += "; not possible: " + r.Blocked
	}
	l.add("repair", "%s; automatically: %d applied, %d skipped, %d failed, %d waiting%s", r.Mode, r.Applied, r.Skipped, r.Failed, r.Waiting, stopped)
}

func (l *statusLines) upkeep(s *app.Status, now time.Time) {
	if c := s.Checkpoint; c != nil {
		l.add("checkpoint", "at message %d, %s, %s", c.Sequence, when(c.Stored, now), mib(c.Bytes))
	} else {
		l.add("checkpoint", "none yet")
	}
	l.add("compared", "%s", compared(s.Verified, now))
	l.add("audit", "%s", audited(s.Audit, now))
}

func walOf(s *app.Status) string {
	if s.Kept == nil || s.Unconfirmed == nil {
		return ""
	}
	text := fmt.Sprintf(": %s of log kept, %s not confirmed", mib(*s.Kept), mib(*s.Unconfirmed))
	if s.Safe != nil {
		text += fmt.Sprintf(", %s left", mib(*s.Safe))
	}
	return text
}

// findingsOf is what is open: in all, and by rule.
func findingsOf(s *app.Status) (total string, byRule []string) {
	n := 0
	for _, name := range slices.Sorted(maps.Keys(s.Open)) {
		if open := s.Open[name]; open != 0 {
			n += open
			byRule = append(byRule, fmt.Sprintf("%s %d", name, open))
		}
	}
	if n == 0 {
		return "none open", nil
	}
	return fmt.Sprintf("%d open (%d critical, %d warning)", n, s.Severe[rule.Critical.String()], s.Severe[rule.Warning.String()]), byRule
}

func compared(v *app.Verification, now time.Time) string {
	switch {
	case v == nil:
		return "not yet"
	case v.Error != "":
		return when(v.At, now) + ": " + v.Error
	case v.Mismatched > 0:
		return fmt.Sprintf("%s: %d quests differ from the database", when(v.At, now), v.Mismatched)
	}
	return fmt.Sprintf("%s: the state of %d quests equals the database", when(v.At, now), v.Quests)
}

func audited(s *app.AuditStatus, now time.Time) string {
	if s == nil {
		return "none: nothing is watched"
	}
	text := "none yet"
	if a := s.Last; a != nil {
		text = fmt.Sprintf("%s: %d findings", when(a.Began.Time().Format(time.RFC3339), now), a.Findings)
		if c := a.Change; c != nil {
			text += fmt.Sprintf(", %d new, %d gone", c.New, c.Gone)
		}
		if a.Mismatched > 0 {
			text += fmt.Sprintf(", %d judged otherwise by the checker", a.Mismatched)
		}
	}
	if s.Error != "" {
		text += "; the newest one failed: " + s.Error
	}
	switch {
	case s.Blocked != "":
		return text + "; none can be planned now: " + s.Blocked
	case s.Next == "":
		return text + "; none planned"
	}
	return text + "; next at " + strings.NewReplacer("T", " ", "Z", "").Replace(s.Next)
}

// channelLines say how the channels of alerts stand, the bad news first.
func channelLines(all []alert.ChannelStatus, now time.Time) (lines []string) {
	if all == nil { // an older instance says nothing of them
		return nil
	}
	var fine []string
	for _, c := range all {
		if c.Failing.IsZero() {
			fine = append(fine, c.Channel)
			continue
		}
		waits := fmt.Sprintf("%d wait", c.Waiting)
		if c.Waiting >= alert.MaxWaiting {
			waits = fmt.Sprintf("%d and maybe more wait", c.Waiting)
		}
		lines = append(lines, fmt.Sprintf("%s TAKES NOTHING since %s, %s; %d tries, the newest: %s",
			c.Channel, when(c.Failing.Format(time.RFC3339), now), waits, c.Tries, c.Error))
	}
	switch {
	case len(all) == 0:
		return []string{"no channel is set up"}
	case len(fine) > 0:
		lines = append(lines, strings.Join(fine, ", ")+": nothing is refused")
	}
	return lines
}

// when is a moment and how long ago it was.
func when(stamp string, now time.Time) string {
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return stamp
	}
	return fmt.Sprintf("%s (%s ago)", at.UTC().Format(time.DateTime), max(0, now.Sub(at)).Round(time.Second))
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
