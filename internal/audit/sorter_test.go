package audit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSorter compares with an ordinary stable sort, at every limit.
func TestSorter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSorter(rapid.IntRange(1, 2000).Draw(t, "limit"))
		defer s.close()
		type item struct {
			key  key
			text string
		}
		var want []item
		for i := range rapid.IntRange(0, 100).Draw(t, "n") {
			it := item{key{rapid.Int64Range(-2, 2).Draw(t, "a"), rapid.Int64().Draw(t, "b")}, fmt.Sprint(i, strings.Repeat("x", i))}
			want = append(want, it)
			if err := s.add(it.key, []byte(it.text)); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortStableFunc(want, func(a, b item) int { return a.key.compare(b.key) })
		for range 2 { // it can be read more than once
			i := 0
			if err := s.each(func(payload []byte) error {
				if i >= len(want) || string(payload) != want[i].text {
					t.Fatalf("entry %d is %q", i, payload)
				}
				i++
				return nil
			}); err != nil || i != len(want) {
				t.Fatalf("%d entries, want %d: %v", i, len(want), err)
			}
		}
	})
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain é €": "plain é €", "\x1b[2J": `\x1b[2J`, "a\nb\tc": `a\x0ab\x09c`, "\u009b31m": `\x9b31m`, "\u202eabc": `\u202eabc`, "\u200b": `\u200b`,
		"\xff": "\uFFFD",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) is %q, want %q", in, got, want)
		}
	}
}

func FuzzSplitParts(f *testing.F) {
	f.Add(joinParts([]byte("{}"), []byte("[]")))
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, b, err := splitParts(payload)
		if err == nil && len(a)+len(b) >= len(payload) {
			t.Errorf("%d and %d bytes of %d", len(a), len(b), len(payload))
		}
	})
}
