package browser_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit/browser"
)

func TestShow(t *testing.T) {
	const bad = `<!DOCTYPE html><body><style>body { background: #fff } @media (prefers-color-scheme: dark) { p { color: #777 } }</style>
		<p style="width: 900px">wide</p><i style="color: #aaa">faint</i><img src="none.png">
		<script>console.log("x"); alert("stop"); missing()</script></body>`
	seen, err := browser.Show(t.Context(), bad, browser.Look{Width: 400}, browser.Look{Width: 1200, Dark: true})
	if err != nil {
		t.Fatal(err)
	}
	s := seen[0]
	said := strings.Join(s.Said, "; ")
	if !strings.Contains(s.Text, "wide") || s.Overflow < 400 || len(s.Faint) != 1 || !strings.HasSuffix(s.Faint[0], ": faint") || len(s.PNG) == 0 {
		t.Errorf("%q, %d, %q, %d bytes", s.Text, s.Overflow, s.Faint, len(s.PNG))
	}
	if len(s.Loaded) != 1 || !strings.HasSuffix(s.Loaded[0], "/none.png") {
		t.Errorf("loaded %q", s.Loaded)
	}
	for _, want := range []string{"console: log", "dialog: stop", "missing is not defined"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %q", want, said)
		}
	}
	s = seen[1]
	if s.Overflow > 0 || !slices.ContainsFunc(s.Faint, func(text string) bool { return strings.HasSuffix(text, ": wide") }) {
		t.Errorf("wide and dark: %d, %q", s.Overflow, s.Faint)
	}
}
