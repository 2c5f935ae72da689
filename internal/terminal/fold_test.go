package terminal_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/terminal"
)

func TestFold(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"short", "one two\n", "one two\n"},
		{"just fits", "aaaa bbbb cccc dddd\n", "aaaa bbbb cccc dddd\n"},
		{"long", "aaaa bbbb cccc dddd eeee\n", "aaaa bbbb cccc dddd\n    eeee\n"},
		{"its own indent", "  aaaa bbbb cccc dddd eeee", "  aaaa bbbb cccc\n      dddd eeee"},
		{"columns", "aa  bb  cc          dddd eeee\n", "aa  bb  cc\n    dddd eeee\n"},
		{"a long word", "a bbbbbbbbbbbbbbbbbbbbbbbb c\n", "a\n    bbbbbbbbbbbbbbbbbbbbbbbb\n    c\n"},
		{"runes", "äöüß äöüß äöüß äöüß\n", "äöüß äöüß äöüß äöüß\n"},
		{"colours", "\x1b[1;31maaaa\x1b[0m bbbb cccc dddd\n", "\x1b[1;31maaaa\x1b[0m bbbb cccc dddd\n"},
		{"lines", "aaaa\n\naaaa bbbb cccc dddd eeee\nffff\n", "aaaa\n\naaaa bbbb cccc dddd\n    eeee\nffff\n"},
		{"deep", strings.Repeat(" ", 18) + "aaaa bbbb\n", strings.Repeat(" ", 18) + "aaaa\n" + strings.Repeat(" ", 10) + "bbbb\n"},
	} {
		if got := terminal.Fold(c.text, 20); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := terminal.Fold(c.text, 0); got != c.text {
			t.Errorf("%s without a width: %q", c.name, got)
		}
	}
}

func TestFolderPutsPiecesOfLinesTogether(t *testing.T) {
	var out strings.Builder
	f := terminal.NewFolder(&out, func() int { return 20 })
	for _, piece := range []string{"aaaa bbbb ", "cccc dddd", " eeee\nff", "ff"} {
		if n, err := io.WriteString(f, piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := f.Close(); err != nil || out.String() != "aaaa bbbb cccc dddd\n    eeee\nffff" {
		t.Errorf("%q, %v", out.String(), err)
	}
	_, err := fmt.Fprintln(terminal.NewFolder(broken{}, func() int { return 0 }), "x")
	if err == nil {
		t.Error("what could not be written was")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
