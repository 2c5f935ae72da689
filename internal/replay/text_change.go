package replay

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/peerquest/questwatch/internal/change"
)

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
	text := called(t.ID, t.Epoch) + "  " + lsn(t.Commit) + "  " + utc(t.Time)
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
