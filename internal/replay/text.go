package replay

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/terminal"
)

// WriteJSON writes the evidence as one line.
func (e *Evidence) WriteJSON(w io.Writer) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode evidence: %w", err)
	}
	if _, err := w.Write(append(terminal.JSON(line), '\n')); err != nil {
		return fmt.Errorf("write evidence: %w", err)
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
		p.line("%s  %s  %s  %s; no longer in the stream", called(id, f.Transaction.Epoch), lsn, moment(at), mark)
	}
	if t := f.Transaction; h.BeganGone {
		gone(t.ID, t.CommitLSN, t.Time, began(t.ID == 0))
	}
	if t := f.ResolvedBy; h.EndedGone && t != nil {
		gone(t.ID, t.CommitLSN, t.Time, ended)
	}
}

const ended = "<- ended it"

func began(baseline bool) string {
	if baseline {
		return "<- showed the violation"
	}
	return "<- began the violation"
}

func called(id, epoch uint64) string {
	if id == 0 {
		return fmt.Sprintf("baseline of epoch %d", epoch)
	}
	return fmt.Sprintf("transaction %d", id)
}

func (p *printer) transaction(t *Transaction) {
	text := called(t.ID, t.Epoch) + "  " + lsn(t.Commit) + "  " + moment(t.Time)
	if t.Began {
		text += "  " + began(t.Baseline)
	}
	if t.Ended {
		text += "  " + ended
	}
	p.line("%s", text)
	wide := 0
	for _, c := range t.Changes {
		wide = max(wide, len(c.name()))
	}
	if t.More > 0 {
		p.line("    after %s like these:", count(t.More, "other", "others"))
	}
	for _, c := range t.Changes {
		p.line("    %-*s  %s", wide, c.name(), strings.TrimRight(c.verb()+"  "+p.columns(c), " "))
	}
	if t.Others > 0 && t.Baseline {
		p.line("    and %s of the quest", count(t.Others, "other row", "other rows"))
	} else if t.Others > 0 {
		p.line("    and %s in the quest", count(t.Others, "other change", "other changes"))
	}
	if t.Repair != nil {
		p.line("    %s", t.Repair)
	}
}

func (r *Repair) String() string {
	text := fmt.Sprintf("a repair (%s), entry %d of the journal", r.Action, r.Entry)
	if r.Undoes != 0 {
		text = fmt.Sprintf("undid the repair of entry %d, entry %d of the journal", r.Undoes, r.Entry)
	}
	if r.Automatic {
		return text + ", automatic"
	}
	return text + ", for " + r.Actor
}

func lsn(p *Position) string {
	if p == nil {
		return "0/0"
	}
	return p.Text
}

func (c *Change) name() string { return fmt.Sprintf("%s %d", c.Entity, c.ID) }

func (c *Change) verb() string {
	op := change.Op(c.Op[0])
	switch {
	case c.Gone:
		return "was gone at the baseline"
	case c.Moved && op == change.Delete:
		return "moved away"
	case c.Moved:
		return "moved here"
	case op == change.Create:
		return "created"
	case op == change.Delete:
		return "deleted"
	case op == change.Read:
		return "was there at the baseline"
	case c.unknown:
		return "updated; before unknown, now"
	}
	return "updated"
}

// columns are what changed, and of a row that came or went what rules look at.
func (p *printer) columns(c *Change) string {
	var parts []string
	for i := range c.Columns {
		o := &c.Columns[i]
		switch {
		case o.Before != nil && o.After != nil || c.Op == change.Update.String() && !c.unknown:
			parts = append(parts, fmt.Sprintf("%s %s -> %s", o.Column, p.value(o, o.Before), p.value(o, o.After)))
		case o.role == noRole, o.role == ofDeletion && string(either(o.After, o.Before)) == "false":
		default:
			parts = append(parts, o.Column+" "+p.value(o, either(o.After, o.Before)))
		}
	}
	if len(parts) == 0 && c.Op == change.Update.String() {
		parts = append(parts, "no streamed column is another")
	}
	if len(c.Unchanged) > 0 {
		parts = append(parts, "not sent, unchanged: "+strings.Join(c.Unchanged, " "))
	}
	if len(c.Omitted) > 0 {
		parts = append(parts, "left out for size: "+strings.Join(c.Omitted, " "))
	}
	return strings.Join(parts, ", ")
}

func either(a, b json.RawMessage) json.RawMessage {
	if a != nil {
		return a
	}
	return b
}

// valueShown is how many characters of a value are printed.
const valueShown = 60

// value is a value as people read it: words as they are, other texts in quotes.
func (p *printer) value(o *Column, value json.RawMessage) string {
	if value == nil {
		return "nothing"
	}
	text := asText(value)
	switch {
	case text == nil || change.Null(value):
		return string(value)
	case o.role == ofPerson:
		return p.e.person(*text)
	}
	shown, more := []rune(*text), o.Cut
	if len(shown) > valueShown {
		shown, more = shown[:valueShown], true
	}
	out := string(shown)
	if value[0] == '"' && (out == "" || strings.ContainsFunc(out, odd)) {
		out = strconv.Quote(out)
	}
	if more {
		out += "…"
	}
	return out
}

// odd is a character that words, numbers and times do not have.
func odd(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.:+", r)
}

func (p *printer) incident(i *Incident) {
	var text string
	switch i.Kind {
	case "gap":
		text = fmt.Sprintf("gap %s to %s  %s  changes in between are not in the stream (%s)", lsn(i.From), lsn(i.To), moment(i.Time), i.Reason)
	case "truncated":
		text = fmt.Sprintf("transaction %d  %s  %s  TRUNCATE: all rows of %s went", i.Transaction, lsn(i.Commit), moment(i.Time), strings.Join(i.Entities, " and "))
	case "schema_changed":
		text = fmt.Sprintf("transaction %d  %s  %s  the columns of %s became others", i.Transaction, lsn(i.Commit), moment(i.Time), strings.Join(i.Entities, " and "))
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
