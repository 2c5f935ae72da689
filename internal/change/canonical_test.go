package change_test

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
)

// bothWays reads a step as canonical and as the scanner, and complains where
// the first takes what the second refuses or reads in another way.
func bothWays(t interface{ Fatalf(string, ...any) }, d *change.Decoder, data []byte) (canonical bool) {
	var fast, slow change.Step
	canonical = d.Canonical(data, &fast)
	err := new(change.Decoder).Scan(data, &slow)
	if !canonical {
		return false
	}
	if err != nil {
		t.Fatalf("canonical took what the scanner refuses: %v: %q", err, data)
	}
	if len(slow.Changes) == 0 {
		fast.Changes, slow.Changes = nil, nil
	}
	if !reflect.DeepEqual(slow, fast) {
		t.Fatalf("read (-scanner +canonical):\n%s\nin %q", cmp.Diff(slow, fast), data)
	}
	return true
}

// genUsual is a step such as a database gives: numbers of less than 19 digits,
// columns with names of ASCII.
func genUsual() *rapid.Generator[change.Step] {
	return rapid.Custom(func(t *rapid.T) change.Step {
		s := genStep().Draw(t, "step")
		tx := &s.Transaction
		tx.ID, tx.CommitLSN, tx.EndLSN = tx.ID>>6, tx.CommitLSN>>6, tx.EndLSN>>6
		s.QuestID, s.Published, tx.Time = s.QuestID&math.MaxInt64>>6, s.Published&math.MaxInt64>>6, tx.Time&math.MaxInt64>>6
		for i := range s.Changes {
			c := &s.Changes[i]
			c.LSN >>= 6
			for _, row := range []*change.Row{&c.Before, &c.After} {
				if *row != nil {
					*row = genRow(rapid.StringMatching(`[ -!#-\[\]-~]{1,20}`), 1).Draw(t, "row")
				}
			}
		}
		return s
	})
}

// TestOwnFormIsCanonical: what this program usually writes is never left to the
// scanner.
func TestOwnFormIsCanonical(t *testing.T) {
	var d change.Decoder
	rapid.Check(t, func(t *rapid.T) {
		s := genUsual().Draw(t, "step")
		if data := change.AppendStep(nil, &s); !bothWays(t, &d, data) {
			t.Fatalf("left to the scanner: %s", data)
		}
	})
	if !bothWays(t, &d, []byte(documented)) || !bothWays(t, &d, approval()) {
		t.Error("an example is left to the scanner")
	}
}

// TestCanonicalRefusesNoLess changes steps of our own form a little. One decoder
// reads them all, so that what it remembers of one must not tell in another.
func TestCanonicalRefusesNoLess(t *testing.T) {
	var d change.Decoder
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		s := genUsual().Draw(t, "step")
		data := change.AppendStep(nil, &s)
		for range rapid.IntRange(1, 2).Draw(t, "edits") {
			data = edit(t, data)
		}
		if bothWays(t, &d, data) {
			taken++
		}
	})
	if taken == 0 {
		t.Error("not one edited step was canonical")
	}
}

// TestEveryByteBothWays puts bytes that mean something into every place.
func TestEveryByteBothWays(t *testing.T) {
	var d change.Decoder
	for _, data := range [][]byte{[]byte(documented), approval()} {
		for i := range data {
			was := data[i]
			for _, b := range []byte("\x00\x1f !\"#,-./019:;AE[\\]`aeu{}~\x7f\x80\xc3\xff") {
				data[i] = b
				bothWays(t, &d, data)
			}
			data[i] = was
			bothWays(t, &d, data[:i])
		}
	}
}

// TestDepthBothWays: the limit of what may nest is the same.
func TestDepthBothWays(t *testing.T) {
	taken := 0
	for depth := 990; depth < 1010; depth++ {
		nest := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		if bothWays(t, new(change.Decoder), []byte(replaced(t, `"before":{"id":7`, `"before":{"id":`+nest))) {
			taken++
		}
	}
	if taken == 0 || taken == 20 {
		t.Errorf("%d of the 20 depths were taken", taken)
	}
}

// edit changes a text in one place, mostly with what JSON and the wire form know.
func edit(t *rapid.T, data []byte) []byte {
	from := rapid.IntRange(0, len(data)).Draw(t, "from")
	if value := bytes.IndexByte(data[from:], ':'); value >= 0 && rapid.Bool().Draw(t, "value") {
		from += value + 1
	}
	to := min(len(data), from+rapid.SampledFrom([]int{0, 1, 1, 1, 2, 30}).Draw(t, "length"))
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"", "0", "1", "9", "-", "x", "true"}),
		rapid.SampledFrom([]string{
			" ", "\n", ",", ":", "{", "}", "[", "]", `"`, `\`, `\u00e9`, "é", "\xc3", "\x00", "00", "-1", "1.5", "1e3", "null",
			"9223372036854775808", "18446744073709551616", "2147483648", `{}`, `[]`, `"x":1,`, `,"moved":true`, `,"moved":false`, `,"unchanged":["a"]`,
			`"op":"c",`, `,"end_lsn":5`, strings.Repeat("[", 1001) + strings.Repeat("]", 1001), strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		}),
		rapid.Map(rapid.IntRange(0, len(data)), func(i int) string { return string(data[i:min(len(data), i+30)]) }),
	).Draw(t, "piece")
	return slices.Concat(data[:from], []byte(piece), data[to:])
}

// TestDecodingAllocatesNothing in steady state, rows included.
func TestDecodingAllocatesNothing(t *testing.T) {
	foreign := strings.ReplaceAll(string(approval()), "Help with", `Помощь \"наша\" \u00e9`)
	spaced := strings.ReplaceAll(documented, `,"order"`, ` ,"order"`)
	for name, data := range map[string]string{"own": string(approval()), "foreign title": foreign, "white space": spaced} {
		var d change.Decoder
		var s change.Step
		text := []byte(data)
		got := testing.AllocsPerRun(100, func() {
			if err := d.Step(text, &s); err != nil {
				t.Fatal(err)
			}
			for i := range s.Changes {
				if _, err := readAsState(&s.Changes[i]); err != nil {
					t.Fatal(err)
				}
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations a step", name, got)
		}
	}
}

func FuzzRowBothWays(f *testing.F) {
	f.Add([]byte(`{"id":7,"title":"a \"b\" \u00e9\/","n":-1.5e3,"x":[null,{"y":true}],"id":8}`))
	f.Add([]byte(`{"id":7,"title":"abcdefgh" ,"n":12345678901234567890}`))
	f.Add([]byte(`{"id": 7,"n" :8, "m":9}`))
	f.Add([]byte(`{"status":"approved","reviewed_at":null,"a":01,}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		gather := func(each func(func(column, value []byte) error) error) (read []string, failed bool) {
			err := each(func(column, value []byte) error {
				read = append(read, string(column), string(value))
				return nil
			})
			return read, err != nil
		}
		fast, fastFailed := gather(change.Row(data).Each)
		slow, slowFailed := gather(change.Row(data).EachScanned)
		if diff := cmp.Diff(slow, fast); diff != "" || fastFailed != slowFailed {
			t.Errorf("failed %v, the scanner %v; read (-scanner +each):\n%s", fastFailed, slowFailed, diff)
		}
	})
}

// TestEightAtATime compares the functions that look at eight bytes with loops,
// for every byte at every place of a word.
func TestEightAtATime(t *testing.T) {
	for b := range 256 {
		for before := range 18 {
			for after := range 10 {
				text := append(bytes.Repeat([]byte("7"), before), byte(b))
				text = append(text, bytes.Repeat([]byte{byte(b), '"', '3'}, after)...)
				checkWords(t, text)
			}
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add([]byte("approved\"\x1f"))
	f.Add([]byte("0123456789012345678"))
	f.Fuzz(func(t *testing.T, text []byte) { checkWords(t, text) })
}

func checkWords(t *testing.T, text []byte) {
	t.Helper()
	first := func(in func(c byte) bool) int {
		for i, c := range text {
			if !in(c) {
				return i
			}
		}
		return len(text)
	}
	want := first(func(c byte) bool { return c >= ' ' && c < 0x80 && c != '"' && c != '\\' })
	if got := change.Plain(text, 0); got != want {
		t.Fatalf("plain text of %q ends at %d, want %d", text, got, want)
	}
	count := first(func(c byte) bool { return '0' <= c && c <= '9' })
	if got := change.Digits(text, 0); got != count {
		t.Fatalf("digits of %q end at %d, want %d", text, got, count)
	}
	n, err := strconv.ParseUint(string(text[:count]), 10, 64)
	fits := err == nil && n <= math.MaxInt64 && count <= 18 && (count == 1 || text[0] != '0')
	if got, end := change.Natural(text, 0); fits && (got != n || end != count) || !fits && end != change.Lost {
		t.Fatalf("%q is %d to %d, want %d to %d, fitting %v", text, got, end, n, count, fits)
	}
}
