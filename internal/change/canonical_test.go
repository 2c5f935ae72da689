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
	for i := range fast.Changes {
		c := &fast.Changes[i]
		known := columnsOf(c.Each)
		c.Forget()
		if walked := columnsOf(c.Each); !slices.Equal(known, walked) {
			t.Fatalf("columns are known as %q, and are %q in %q", known, walked, data)
		}
	}
	if !reflect.DeepEqual(slow, fast) {
		t.Fatalf("read (-scanner +canonical):\n%s\nin %q", cmp.Diff(slow, fast), data)
	}
	return true
}

// columnsOf lists columns and values, and the error at the end if there is one.
func columnsOf(each func(func(column, value []byte) error) error) (read []string) {
	err := each(func(column, value []byte) error {
		read = append(read, string(column), string(value))
		return nil
	})
	if err != nil {
		read = append(read, "error")
	}
	return read
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
		fast, slow := columnsOf(change.Row(data).Each), columnsOf(change.Row(data).EachScanned)
		if diff := cmp.Diff(slow, fast); diff != "" {
			t.Errorf("read (-scanner +each):\n%s", diff)
		}
	})
}

// TestKnownColumnsAreTheRows: what the decoder found is used for the row that it
// was found in, and for no other.
func TestKnownColumnsAreTheRows(t *testing.T) {
	var d change.Decoder
	var s change.Step
	if err := d.Step(approval(), &s); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Changes {
		if !c.Knows() {
			t.Fatalf("columns of %s are not known", c.After)
		}
		for _, row := range []change.Row{
			nil,
			{},
			c.After[:1], c.After[:len(c.After)-1], slices.Clone(c.After), c.Before, s.Changes[0].Before,
			change.Row(`{"id":5}`),
		} {
			changed := c
			changed.After = row
			if got, want := columnsOf(changed.Each), columnsOf(row.Each); changed.Knows() || !slices.Equal(got, want) {
				t.Errorf("columns of %q are %q, want %q", row, got, want)
			}
		}
		if c.Op == change.Update {
			c.Op, c.After = change.Delete, nil
			if got, want := columnsOf(c.Each), columnsOf(c.Before.Each); c.Knows() || !slices.Equal(got, want) {
				t.Errorf("columns of %q are %q, want %q", c.Before, got, want)
			}
		}
	}
}

// TestUnusualRowsAreWalked: wide rows, long ones, those of a step in another form.
func TestUnusualRowsAreWalked(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	for name, c := range map[string]struct {
		row, space string
		known      bool
	}{
		"one column":    {`{"id":7}`, "", true},
		"eight columns": {`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8}`, "", true},
		"nine columns":  {`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}`, "", false},
		"long":          {`{"a":"` + long + `","b":2}`, "", false},
		"long at first": {`{"a":"` + long + `","b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}`, "", false},
		"just fitting":  {`{"a":"` + long[:1<<16-20] + `","b":2}`, "", true},
		"no column":     {`{}`, "", false},
		"white space":   {`{"id":7}`, " ", false},
	} {
		var d change.Decoder
		var s change.Step
		if err := d.Step([]byte(c.space+replaced(t, `{"id":3,"quest_id":42,"status":"joined"}`, c.row)), &s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, want := columnsOf(s.Changes[1].Each), columnsOf(change.Row(c.row).EachScanned)
		if !slices.Equal(got, want) || s.Changes[1].Knows() != c.known {
			t.Errorf("%s: known %v, columns %.100q, want %.100q", name, s.Changes[1].Knows(), got, want)
		}
	}
}

// TestEightAtATime compares the functions that look at eight bytes with loops,
// for every byte at every place of a word.
func TestEightAtATime(t *testing.T) {
	for b := range 256 {
		for before := range 20 {
			for after := range 10 {
				text := append(bytes.Repeat([]byte("7"), before), byte(b))
				text = append(text, bytes.Repeat([]byte{byte(b), '"', '3'}, after)...)
				checkWords(t, text)
				checkWords(t, append([]byte("0"), text...))
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
