package change_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
)

func FuzzStep(f *testing.F) {
	f.Add([]byte(documented))
	f.Add(bytes.ReplaceAll([]byte(documented), []byte(`"order"`), []byte(`"unchanged":["title","\ud83d\ude00"],"moved":true,"order"`)))
	f.Add([]byte(`{"quest_id":-0,"transaction":{"id":0,"commit_lsn":1,"ts_ms":-1,"message":2,"messages":0},` +
		`"source":{"db":"\ud800","epoch":1,"snapshot":true},"changes":[],"x":[1.5E-7,[],{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d change.Decoder
		bothWays(t, &d, data)
		var got change.Step
		if d.Step(data, &got) != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("took what is not JSON: %q", data)
		}
		// encoding/json takes keys in any case, so only the exact ones are compared.
		if want, exact := exactStep(t, data); exact {
			if diff := cmp.Diff(want, got, sameStep); diff != "" {
				t.Fatalf("read (-encoding/json +ours):\n%s", diff)
			}
		}
		again := change.AppendStep(nil, &got)
		var second change.Step
		if err := d.Step(again, &second); err != nil {
			t.Fatalf("%v in our own %s", err, again)
		}
		if diff := cmp.Diff(got, second, sameStep); diff != "" {
			t.Fatalf("encoded and read again:\n%s", diff)
		}
	})
}

// exactStep reads a step through encoding/json; false when that folds a key of
// another case into a documented one.
func exactStep(t *testing.T, data []byte) (change.Step, bool) {
	for _, key := range [...]string{
		"quest_id", "transaction", "source", "changes", "ts_ms", "id", "commit_lsn", "end_lsn", "message", "messages",
		"db", "epoch", "snapshot", "op", "entity", "table", "order", "lsn", "moved", "before", "after", "unchanged", "omitted",
		"connector",
	} {
		lower, exact := bytes.ToLower(data), data
		if bytes.Count(lower, []byte(key)) != bytes.Count(exact, []byte(key)) {
			return change.Step{}, false
		}
	}
	// Folding knows two letters beyond ASCII, and keys may be escaped.
	if bytes.ContainsAny(data, "\u017f\u212a\\") {
		return change.Step{}, false
	}
	var raw struct {
		Connector json.RawMessage `json:"connector"`
		Source    struct {
			Connector *string `json:"connector"`
		} `json:"source"`
	}
	if json.Unmarshal(data, &raw) != nil {
		return change.Step{}, false // a connector that is no text is none of ours to judge
	}
	return readWire(t, data), true
}

func FuzzControl(f *testing.F) {
	f.Add([]byte(`{"control":"progress","source":{"db":"p","epoch":1,"snapshot":false},"lsn":5,"ts_ms":6}`))
	f.Add([]byte(`{"control":"truncate","entities":["quest"],"transaction":{"id":1,"commit_lsn":2,"ts_ms":3,"message":1,"messages":0},` +
		`"source":{"db":"p","epoch":1,"snapshot":false}}`))
	f.Add([]byte(`{"control":"message","prefix":"a","content":"\u0000\ud800","transaction":{"id":1,"commit_lsn":2,"ts_ms":3,"message":1,"messages":1},` +
		`"source":{"db":"p","epoch":1,"snapshot":false}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d change.Decoder
		c, err := d.Control(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("took what is not JSON: %q", data)
		}
		again, err := change.AppendControl(nil, c)
		if err != nil {
			t.Fatalf("encode again: %v", err)
		}
		second, err := d.Control(again)
		if err != nil {
			t.Fatalf("%v in our own %s", err, again)
		}
		if diff := cmp.Diff(c, second, sameStep); diff != "" {
			t.Fatalf("encoded and read again:\n%s", diff)
		}
		_ = c.Recorded()
	})
}

func FuzzRowEach(f *testing.F) {
	f.Add([]byte(`{"id":7,"title":"a \"b\" \u00e9\/","n":-1.5e3,"x":[null,{"y":true}],"id":8}`))
	f.Add([]byte(" {\t}\r\n"))
	f.Add([]byte(`{"a":01}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]any{}
		err := change.Row(data).Each(func(column, value []byte) error {
			var v any
			if err := json.Unmarshal(value, &v); err != nil {
				if number := new(json.Number); json.Unmarshal(value, number) == nil {
					v = value // a number too large for a float
				} else {
					t.Fatalf("value %q: %v", value, err)
				}
			}
			got[string(column)] = v
			return nil
		})
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("took what is not JSON: %q", data)
		}
		want := map[string]any{}
		if json.Unmarshal(data, &want) == nil {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("read (-encoding/json +ours):\n%s", diff)
			}
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{`"a\u00e9\n"`, `"\ud83d\ude00\ud800"`, `7`, `-0`, `007`, `+5`, `1e3`, ` 5 `, `true`, `null`, ``, `"`, `"\`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := change.Text(data); err == nil {
			var want string
			if err := json.Unmarshal(data, &want); err != nil || got != want {
				t.Errorf("text of %q is %q, encoding/json says %q, %v", data, got, want, err)
			}
		}
		if got, err := change.Int(data); err == nil {
			var want int64
			if err := json.Unmarshal(data, &want); err != nil || got != want {
				t.Errorf("integer %q is %d, encoding/json says %d, %v", data, got, want, err)
			}
		} else if n, err := strconv.ParseInt(string(data), 10, 64); err == nil && json.Valid(data) {
			t.Errorf("integer %d of %q was refused", n, data)
		}
		if got, err := change.Bool(data); err == nil {
			var want bool
			if err := json.Unmarshal(data, &want); err != nil || got != want {
				t.Errorf("boolean %q is %v, encoding/json says %v, %v", data, got, want, err)
			}
		}
	})
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "é\u2028\u2029😀", "\xff\xc3", "a\xed\xa0\x80b", "<&>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		data := change.AppendString([]byte("x"), text)[1:]
		std, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var got, want string
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%q became %q: %v", text, data, err)
		}
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		if ours, err := change.Text(data); err != nil || got != want || ours != want {
			t.Errorf("%q became %q, read %q and %q (%v), want %q", text, data, got, ours, err, want)
		}
	})
}

func FuzzLSN(f *testing.F) {
	for _, seed := range []string{"16/B374D848", "0/0", "FFFFFFFF/FFFFFFFF", "100000000/0", "1/2/3", "-1/0", "0x1/2", "", "/"} {
		f.Add(seed, uint64(len(seed)))
	}
	f.Fuzz(func(t *testing.T, text string, n uint64) {
		if got, err := change.ParseLSN(change.LSN(n).String()); err != nil || got != change.LSN(n) {
			t.Errorf("%d printed as %s is read as %d, %v", n, change.LSN(n), got, err)
		}
		l, err := change.ParseLSN(text)
		if err != nil {
			return
		}
		if again, err := change.ParseLSN(l.String()); err != nil || again != l {
			t.Errorf("%q is %s, read again as %s, %v", text, l, again, err)
		}
	})
}

// FuzzReport: any role of the database may send one.
func FuzzReport(f *testing.F) {
	f.Add(`{"quest_id":1,"application_id":2,"user_id":"ann","error":"ValueError"}`)
	f.Add(`{"quest_id":-1,"application_id":0,"user_id":42}`)
	f.Add(`{"quest_id":1,"application_id":2,"user_id":" ","error":"a\u0000b"}`)
	f.Fuzz(func(t *testing.T, content string) {
		r, err := change.ParseReport(content)
		if err != nil {
			if r != (change.Report{}) || len(content) > 20 && strings.Contains(err.Error(), content) {
				t.Fatalf("%+v with the error %v", r, err)
			}
			return
		}
		if !json.Valid([]byte(content)) || len(content) > change.ReportLimit || r.UserID == "" || strings.Trim(r.Error, letters) != "" {
			t.Fatalf("believed %q: %+v", content, r)
		}
	})
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
