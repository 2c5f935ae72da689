// Package tail shows consistency events as they come, a line each, to a person or to a
// program.
//
// Guarantees. What matches is shown in the order of the stream, each event once, and the
// stream is read on where a lost connection broke off. What an event says is shown
// harmless: it can neither move the cursor nor forge a line. An event that cannot be
// read is shown by its subject, not passed over.
package tail

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/terminal"
)

// Stored is a stored event.
type Stored struct {
	Subject string
	Data    []byte
}

// Events are the stored events.
type Events interface {
	// Follow gives the events on subjects below the namespace's that match any of the
	// filters, oldest first. Begin is where to start: the zero time is now. With end it
	// returns at what was the newest event at the call, else when ctx ends.
	Follow(ctx context.Context, filters []string, begin time.Time, end bool, fn func(Stored) error) error
}

// Filter says what is shown; what is zero does not matter.
type Filter struct {
	Group    string
	Rule     rule.Rule
	Severity rule.Severity
	Quest    int64
	// User is a person's id.
	User string
}

// Options say what is shown and how.
type Options struct {
	Filter
	// Since is where to begin; the zero time is now. With End it is over at what is
	// stored now.
	Since time.Time
	End   bool
	// JSON prints the events themselves, Color marks severities.
	JSON, Color bool
}

// Tail shows events.
type Tail struct {
	events Events
	people *people.Book
	logger *slog.Logger
}

// New makes a Tail.
func New(events Events, book *people.Book, logger *slog.Logger) *Tail {
	return &Tail{events: events, people: book, logger: logger}
}

// Run shows events until ctx ends, or with End until all are shown.
func (t *Tail) Run(ctx context.Context, w io.Writer, o *Options) error {
	return t.events.Follow(ctx, o.subjects(), o.Since, o.End, func(s Stored) error {
		line, ok := t.line(ctx, s, o)
		if !ok {
			return nil
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write event: %w", err)
		}
		return nil
	})
}

// Line is an event as Run shows it to people.
func (t *Tail) Line(ctx context.Context, s Stored, color bool) string {
	line, _ := t.line(ctx, s, &Options{Color: color})
	return string(line)
}

// subjects are what the server can select by.
func (f *Filter) subjects() []string {
	group, quest := "*", "*"
	if f.Group != "" {
		group = f.Group
	}
	if f.Quest != 0 {
		quest = fmt.Sprint(f.Quest)
	}
	return []string{group + ".*.*." + quest}
}

func (f *Filter) matches(e *event.Event) bool {
	return (f.Rule == 0 || e.Rule() == f.Rule.String()) && e.Severity() >= f.Severity && (f.User == "" || e.UserID() == f.User)
}

// all reports whether whatever is on the subjects is shown.
func (f *Filter) all() bool { return f.Rule == 0 && f.Severity == 0 && f.User == "" }

// line is what is shown of an event, if it is.
func (t *Tail) line(ctx context.Context, s Stored, o *Options) ([]byte, bool) {
	e, err := event.Parse(s.Data)
	switch {
	case err != nil && !o.all():
		t.logger.Warn("an event that cannot be read may match", "subject", terminal.Clean(s.Subject), "err", err)
		return nil, false
	case err == nil && !o.matches(&e):
		return nil, false
	case o.JSON:
		return terminal.JSON(s.Data), true
	case err != nil:
		return []byte(terminal.Clean(s.Subject + " cannot be read: " + err.Error())), true
	}
	severity := e.Severity()
	mark, unmark := "", ""
	if o.Color {
		mark, unmark = colors[severity], "\x1b[0m"
	}
	sentence := e.Sentence(t.people.Call(ctx))
	text := fmt.Sprintf("%s  %s%-8s%s  %-18s  %s", e.Time.Time().UTC().Format("2006-01-02 15:04:05.000"), mark, severity, unmark,
		e.Group+"."+e.What, terminal.Clean(sentence))
	if id := e.FindingID(); id != "" {
		text += "  finding " + terminal.Clean(id)
	}
	return []byte(text), true
}

var colors = map[rule.Severity]string{rule.Info: "\x1b[2m", rule.Warning: "\x1b[33m", rule.Critical: "\x1b[1;31m"}
