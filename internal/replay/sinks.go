package replay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/terminal"
)

// Counting plays to nobody.
type Counting struct{ last change.Seq }

// Begin does nothing.
func (*Counting) Begin(*Origin) error { return nil }

// Take does nothing.
func (c *Counting) Take(_ context.Context, i *Item) error {
	c.last = i.Seq
	return nil
}

// End does nothing.
func (c *Counting) End(context.Context, bool) (change.Seq, error) { return c.last, nil }

// Lines shows messages, a line of JSON each or as Line says.
type Lines struct {
	out *bufio.Writer
	// Line is what is shown of an item, nothing where it is empty; nil is JSON.
	Line func(ctx context.Context, i *Item) (string, error)
	// Prompt has each shown at once.
	Prompt bool

	last change.Seq
	json bytes.Buffer
}

// NewLines makes one that writes to out.
func NewLines(out io.Writer) *Lines { return &Lines{out: bufio.NewWriterSize(out, 1<<15)} }

// Begin does nothing.
func (*Lines) Begin(*Origin) error { return nil }

// Take shows an item.
func (l *Lines) Take(ctx context.Context, i *Item) error {
	err := l.show(ctx, i)
	if err == nil && l.Prompt {
		err = l.out.Flush()
	}
	if err != nil {
		return fmt.Errorf("show message %d: %w", i.Seq, err)
	}
	l.last = i.Seq
	return nil
}

func (l *Lines) show(ctx context.Context, i *Item) error {
	if l.Line != nil {
		text, err := l.Line(ctx, i)
		if err == nil {
			_, err = l.out.WriteString(text)
		}
		return err
	}
	l.json.Reset()
	if err := appendLine(&l.json, i); err != nil {
		return err
	}
	_, err := l.out.Write(append(terminal.JSON(l.json.Bytes()), '\n'))
	return err
}

// End shows what was not yet.
func (l *Lines) End(context.Context, bool) (change.Seq, error) {
	if err := l.out.Flush(); err != nil {
		return 0, fmt.Errorf("show messages: %w", err)
	}
	return l.last, nil
}

// Copy is a message that is published once more.
type Copy struct {
	Subject, ID string // the subject below the prefix
	Stream      string
	Seq         change.Seq
	Event       bool
	Data        []byte
}

// Publisher publishes copies in their order, and says how many of the first ones are kept
// for certain.
type Publisher interface {
	Publish(ctx context.Context, copies []Copy) (kept int, err error)
}

// Copies publishes messages once more, under the ids that they have.
type Copies struct {
	to     Publisher
	origin *Origin
	// Prompt has each published at once.
	Prompt bool

	waiting []Copy
	bytes   int
	kept    change.Seq
	failed  bool
}

// NewCopies makes one.
func NewCopies(to Publisher) *Copies { return &Copies{to: to} }

const (
	copiesAtOnce = 256
	copyBytes    = 4 << 20
)

// Begin notes where the messages come from.
func (c *Copies) Begin(o *Origin) error {
	c.origin = o
	return nil
}

// Take publishes a message, or keeps it until there are more.
func (c *Copies) Take(ctx context.Context, i *Item) error {
	data := bytes.Clone(i.Data)
	if i.Kind == KindEvents {
		data = marked(data, c.origin.Stream, i.Seq)
	}
	id := i.ID
	if id == "" {
		id = fmt.Sprintf("%s.%d", c.origin.Stream, i.Seq)
	}
	c.waiting = append(c.waiting, Copy{i.Subject, id, c.origin.Stream, i.Seq, i.Kind == KindEvents, data})
	if c.bytes += len(data); !c.Prompt && len(c.waiting) < copiesAtOnce && c.bytes < copyBytes {
		return nil
	}
	// What is under way when somebody breaks it off is waited for.
	return c.publish(context.WithoutCancel(ctx))
}

// marked is an event with the attribute that says of which one it is a copy.
func marked(data []byte, stream string, seq change.Seq) []byte {
	if len(data) < 2 || data[0] != '{' {
		return data
	}
	mark := fmt.Sprintf(`{"replayof":%s,`, change.AppendString(nil, fmt.Sprintf("%s/%d", stream, seq)))
	return append([]byte(mark), data[1:]...)
}

func (c *Copies) publish(ctx context.Context) error {
	kept, err := c.to.Publish(ctx, c.waiting)
	if kept > 0 {
		c.kept = c.waiting[kept-1].Seq
	}
	c.failed = err != nil
	clear(c.waiting)
	c.waiting, c.bytes = c.waiting[:0], 0
	return err
}

// End publishes what waits.
func (c *Copies) End(ctx context.Context, _ bool) (change.Seq, error) {
	if c.failed || len(c.waiting) == 0 {
		return c.kept, nil
	}
	err := c.publish(ctx)
	return c.kept, err
}
