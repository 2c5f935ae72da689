package replay

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/terminal"
)

// Timeline says for people what messages of the stream of changes say.
type Timeline struct {
	names   *people.Book
	color   bool
	text    bytes.Buffer // of one line
	printer *printer     // into it
}

// NewTimeline makes one; color marks what is what.
func NewTimeline(names *people.Book, color bool) *Timeline {
	t := &Timeline{names: names, color: color}
	t.printer = &printer{Writer: bufio.NewWriter(&t.text), e: &Evidence{Names: map[string]string{}}}
	return t
}

// Line is what is shown of an item, with its line's end; nothing for a mark of progress.
func (t *Timeline) Line(ctx context.Context, i *Item) (string, error) {
	if i.Control != nil && i.Control.Kind == change.Progress {
		return "", nil
	}
	t.text.Reset()
	p := t.printer
	clear(p.e.Names)
	head := fmt.Sprintf("%s  message %d", i.At.Time().Format("2006-01-02 15:04:05.000"), i.Seq)
	if i.Transaction != 0 {
		head += fmt.Sprintf("  transaction %d", i.Transaction)
	}
	if i.LSN != 0 {
		head += "  " + i.LSN.String()
	}
	if i.Control != nil {
		t.line(p, head+"  "+recorded(i.Control), yellow)
		err := p.Flush()
		return t.text.String(), err
	}
	what := fmt.Sprintf("  quest %d", i.Step.QuestID)
	if i.Step.Source.Snapshot {
		what += "  (baseline)"
	}
	t.line(p, head+what, faint)
	if err := t.changes(ctx, p, i); err != nil {
		return "", err
	}
	err := p.Flush()
	return t.text.String(), err
}

func (t *Timeline) changes(ctx context.Context, p *printer, i *Item) error {
	rows, err := i.rows()
	if err != nil {
		return err
	}
	for n := range rows {
		c, err := rows[n].describe()
		if err != nil {
			return fmt.Errorf("message %d: %w", i.Seq, err)
		}
		for k := range c.Columns {
			if c.Columns[k].role == ofPerson {
				t.look(ctx, p.e, asText(c.Columns[k].Before), asText(c.Columns[k].After))
			}
		}
		p.line("    %s  %s", c.name(), strings.TrimRight(c.verb()+"  "+p.columns(c), " "))
	}
	if more := len(i.Step.Changes) - len(rows); more > 0 {
		p.line("    and %s in the quest", count(more, "other change", "other changes"))
	}
	return nil
}

func (t *Timeline) look(ctx context.Context, e *Evidence, ids ...*string) {
	for _, id := range ids {
		if id != nil && *id != "" {
			if name := t.names.Name(ctx, *id); name != "" {
				e.Names[*id] = name
			}
		}
	}
}

const (
	faint   = "\x1b[2m"
	yellow  = "\x1b[33m"
	plainly = "\x1b[0m"
)

func (t *Timeline) line(p *printer, text, color string) {
	if !t.color {
		p.line("%s", text)
		return
	}
	_, _ = p.WriteString(color + terminal.Clean(text) + plainly + "\n")
}

// recorded says what a control record says.
func recorded(c *change.Control) string {
	text := strings.ReplaceAll(string(c.Kind), "_", " ")
	switch c.Kind {
	case change.Truncate:
		text = "TRUNCATE of " + strings.Join(c.Entities, " and ")
	case change.SchemaChanged:
		text = "the columns of " + strings.Join(c.Entities, " and ") + " are others"
	case change.Gap:
		text = fmt.Sprintf("GAP from %s to %s (%s)", c.From, c.To, cmp.Or(c.Reason, "unknown"))
	case change.Epoch:
		text = fmt.Sprintf("epoch %d begins (%s)", c.Source.Epoch, cmp.Or(c.Reason, "a writer"))
	case change.TxEnd:
		text = "the transaction ends"
	case change.BaselineBegin, change.BaselineEnd, change.Progress:
	case change.Message:
		text = "message of the application, " + c.Prefix
		if r, _ := repairOf(c); r != nil {
			text = r.String()
		}
	}
	return text
}
