package terminal

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Folder is a writer that breaks long lines between words, for a terminal: what a line
// goes on with is indented. A word that is too long for a line stays whole.
type Folder struct {
	out   io.Writer
	width func() int
	rest  string // of a line whose end has yet to come
}

// NewFolder makes a Folder for a terminal of a width that is asked for again and again,
// as people change it; lines are left alone where it is 0.
func NewFolder(out io.Writer, width func() int) *Folder { return &Folder{out: out, width: width} }

// Write passes whole lines on.
func (f *Folder) Write(p []byte) (int, error) {
	whole, rest, found := cutLast(f.rest+string(p), "\n")
	if f.rest = rest; !found {
		return len(p), nil
	}
	return len(p), f.pass(whole + "\n")
}

// Close passes on what has no end of a line.
func (f *Folder) Close() error {
	rest := f.rest
	f.rest = ""
	return f.pass(rest)
}

func (f *Folder) pass(text string) error {
	if _, err := io.WriteString(f.out, Fold(text, f.width())); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+len(separator):], true
}

// hanging is by how much more than the line's own the rest of a line is indented.
const hanging = 4

// narrowest is the width below which nothing is folded: it would be words alone.
const narrowest = 2 * hanging

// Fold breaks the lines of a text that are longer than width, colours aside.
func Fold(text string, width int) string {
	if width < narrowest {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		fold(&b, line, width)
	}
	return b.String()
}

// colours are the escape sequences that take no room.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

func room(text string) int { return utf8.RuneCountInString(colours.ReplaceAllString(text, "")) }

// pieces are the words of a line, each with the blanks before it.
var pieces = regexp.MustCompile(` *[^ ]+`)

func fold(b *strings.Builder, line string, width int) {
	body := strings.TrimRight(line, "\n")
	if room(body) <= width {
		b.WriteString(line)
		return
	}
	indent := strings.Repeat(" ", min(len(body)-len(strings.TrimLeft(body, " "))+hanging, width/2))
	taken := 0
	for _, piece := range pieces.FindAllString(body, -1) {
		n := room(piece)
		if taken > 0 && taken+n > width {
			piece = indent + strings.TrimLeft(piece, " ")
			n = room(piece)
			b.WriteByte('\n')
			taken = 0
		}
		b.WriteString(piece)
		taken += n
	}
	b.WriteString(line[len(body):])
}
