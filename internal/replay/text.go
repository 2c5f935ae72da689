package replay

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/terminal"
)

// WriteJSON writes the evidence as one line.
func (e *Evidence) WriteJSON(w io.Writer) error { return writeJSON(w, e, "evidence") }

func writeJSON(w io.Writer, v any, what string) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", what, err)
	}
	if _, err := w.Write(append(terminal.JSON(line), '\n')); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

// WriteText writes the evidence for people. Times are UTC.
func (e *Evidence) WriteText(w io.Writer) error {
	p := &printer{Writer: bufio.NewWriter(w), e: e}
	p.head()
	p.line("")
	p.body()
	p.line("")
	p.life()
	if err := p.Flush(); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

// printer keeps the writer's errors for Flush.
type printer struct {
	*bufio.Writer
	e *Evidence
}

// line prints a line that is harmless whatever is in it.
func (p *printer) line(format string, args ...any) {
	_, _ = p.WriteString(terminal.Clean(fmt.Sprintf(format, args...)))
	_ = p.WriteByte('\n')
}

func (p *printer) head() {
	f := &p.e.Finding
	p.line("finding %s: %s (%s), %s, %s", f.Finding, f.Rule, f.Cause, f.Severity, p.e.State)
	if f.QuestTitle == "" {
		p.line("quest %d", f.QuestID)
	} else {
		p.line("quest %d %q", f.QuestID, f.QuestTitle)
	}
	if f.UserID != nil {
		if name := p.e.Names[*f.UserID]; name != "" {
			p.line("user %s, %s", name, *f.UserID)
		} else {
			p.line("user %s", *f.UserID)
		}
	}
	p.line("")
	p.line("%s", p.e.Why)
}

// body prints transactions and incidents in the order of the stream.
func (p *printer) body() {
	p.history()
	type item struct {
		at    change.Seq
		print func()
	}
	var items []item
	for _, t := range p.e.Transactions {
		items = append(items, item{t.Sequence, func() { p.transaction(t) }})
	}
	for _, i := range p.e.Incidents {
		items = append(items, item{i.Sequence, func() { p.incident(i) }})
	}
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(a.at, b.at) })
	for _, i := range items {
		i.print()
	}
	if n := p.e.LeftOut; n > 0 {
		p.line("%s left out; --limit keeps more of the newest", count(n, "transaction is", "transactions are"))
	}
}

// history says what is missing.
func (p *printer) history() {
	h, f := &p.e.History, &p.e.Finding
	switch {
	case h.Replaced:
		p.line("The stream is another one than the finding came from: what led to it is gone.")
	case h.Cut && h.Since != "":
		p.line("The stream goes back to %s; what came before has been discarded.", spaced(h.Since))
	case h.Cut:
		p.line("The stream goes back to its message %d; what came before has been discarded.", h.First)
	}
	gone := func(id uint64, lsn change.LSN, at change.Millis, mark string) {
		p.line("%s  %s  %s  %s; no longer in the stream", called(id, f.Transaction.Epoch), lsn, utc(at), mark)
	}
	if t := f.Transaction; h.BeganGone {
		gone(t.ID, t.CommitLSN, t.Time, began(t.ID == 0))
	}
	if t := f.ResolvedBy; h.EndedGone && t != nil {
		gone(t.ID, t.CommitLSN, t.Time, ended)
	}
}

func (p *printer) incident(i *Incident) {
	var text string
	switch i.Kind {
	case "gap":
		text = fmt.Sprintf("gap %s to %s  %s  changes in between are not in the stream (%s)", lsn(i.From), lsn(i.To), utc(i.Time), i.Reason)
	case "truncated":
		text = fmt.Sprintf("transaction %d  %s  %s  TRUNCATE: all rows of %s went", i.Transaction, lsn(i.Commit), utc(i.Time), strings.Join(i.Entities, " and "))
	case "schema_changed":
		text = fmt.Sprintf("transaction %d  %s  %s  the columns of %s became others", i.Transaction, lsn(i.Commit), utc(i.Time), strings.Join(i.Entities, " and "))
		if len(i.Missing) > 0 {
			text += "; missing: " + strings.Join(i.Missing, ", ")
		}
		if len(i.Retyped) > 0 {
			text += "; of another type: " + strings.Join(i.Retyped, ", ")
		}
	}
	if i.Began {
		text += "  " + began(false)
	}
	if i.Ended {
		text += "  " + ended
	}
	p.line("%s", text)
}

// life prints when what happened to the finding.
func (p *printer) life() {
	f := &p.e.Finding
	text := "suspected " + spaced(f.SuspectedAt)
	if g := grace(f.GraceMS); g != "" {
		text += ", grace " + g
	} else {
		text += ", no grace"
	}
	text += ", opened " + after(f.SuspectedAt, f.OpenedAt)
	if p.e.State == Open {
		p.line("%s; still open", text)
		return
	}
	text += "; resolved " + after(f.OpenedAt, f.ResolvedAt)
	if t := f.ResolvedBy; t != nil {
		text += " by " + called(t.ID, t.Epoch)
	}
	p.line("%s (%s)", text, reason(f))
}

func reason(f *event.Finding) string {
	switch f.Reason {
	case drift.CauseChanged:
		return "a graver cause took its place, as a finding of its own"
	case drift.Restated:
		if f.ResolvedBy != nil && f.ResolvedBy.ID != 0 {
			return "a table was emptied"
		}
		return "which does not show it any more"
	case drift.QuestGone:
		return "the quest was deleted"
	case drift.Healed:
	}
	return string(f.Reason)
}

// spaced is a stamp of an event as people read it.
func spaced(stamp string) string {
	return strings.Replace(strings.TrimSuffix(stamp, "Z"), "T", " ", 1) + " UTC"
}

// after is a stamp without its day if that is the other's too.
func after(other, stamp string) string {
	day, clock, ok := strings.Cut(stamp, "T")
	if ok && strings.HasPrefix(other, day+"T") {
		return strings.TrimSuffix(clock, "Z")
	}
	return spaced(stamp)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
