package terminal_test

import (
	"encoding/json"
	"testing"

	"github.com/peerquest/questwatch/internal/terminal"
)

var cases = map[string]string{
	"Paint the fence":        "Paint the fence",
	"Zaun streichen: ÄÖß 塗装": "Zaun streichen: ÄÖß 塗装",
	"a\x1b[31mred\x1b[0m":    `a\x1b[31mred\x1b[0m`,
	"two\nlines\ttab\r":      `two\x0alines\x09tab\x0d`,
	"c1 \u009b2J":            `c1 \x9b2J`,
	"left\u202eright":        `left\u202eright`,
	"zero\u200bwidth":        `zero\u200bwidth`,
	"tag \U000e0041":         `tag \ue0041`,
	"bad \xff byte":          "bad \ufffd byte",
	"no-break\u00a0space":    `no-break\xa0space`,
}

func TestClean(t *testing.T) {
	for text, want := range cases {
		if got := terminal.Clean(text); got != want {
			t.Errorf("Clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestJSONMeansTheSame(t *testing.T) {
	for text := range cases {
		line, err := json.Marshal(map[string]string{text: text})
		if err != nil {
			t.Fatal(err)
		}
		clean := terminal.JSON(line)
		if string(clean) != terminal.Clean(string(clean)) {
			t.Errorf("%q is not clean", clean)
		}
		var was, is map[string]string
		if json.Unmarshal(line, &was) != nil || json.Unmarshal(clean, &is) != nil || len(is) != 1 {
			t.Fatalf("%s is no JSON", clean)
		}
		for k, v := range was {
			if is[k] != v {
				t.Errorf("%q became %q", v, is[k])
			}
		}
	}
}
