package change_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

func decode(data string) error {
	var d change.Decoder
	return d.Step([]byte(data), &change.Step{})
}

// replaced is the documented step with one part of it replaced.
func replaced(t *testing.T, old, by string) string {
	t.Helper()
	if strings.Count(documented, old) == 0 {
		t.Fatalf("%q is not in the example", old)
	}
	return strings.Replace(documented, old, by, 1)
}

func TestStepRefusesWhatItCannotMean(t *testing.T) {
	for _, c := range []struct{ name, old, by string }{
		{"no quest", `"quest_id":42,`, ``},
		{"no transaction", `"transaction":`, `"was":`},
		{"no source", `"source":`, `"was":`},
		{"no changes", `"changes":`, `"was":`},
		{"no xid", `"id":754,`, ``},
		{"no commit LSN", `"commit_lsn":24023400,`, ``},
		{"no commit time", `"ts_ms":1782912152000,`, ``},
		{"no message", `"message":1,`, ``},
		{"no messages", `,"messages":1}`, `}`},
		{"message 0", `"message":1`, `"message":0`},
		{"message beyond messages", `"message":1`, `"message":2`},
		{"no epoch", `"epoch":1,`, ``},
		{"no snapshot", `,"snapshot":false`, ``},
		{"no op", `"op":"u",`, ``},
		{"unknown op", `"op":"u"`, `"op":"t"`},
		{"long op", `"op":"u"`, `"op":"uu"`},
		{"no entity", `"entity":"application",`, ``},
		{"unknown entity", `"entity":"application"`, `"entity":"user"`},
		{"update without after", `"after":{"id":7,"quest_id":42,"status":"approved"}`, `"after":null`},
		{"create with before", `"before":null`, `"before":{"id":3}`},
		{"create without after", `,"after":{"id":3,"quest_id":42,"status":"joined"}`, ``},
		{"delete with after", `"op":"u"`, `"op":"d"`},
		{"delete without before", `"op":"c"`, `"op":"d"`},
		{"read with before", `"op":"u"`, `"op":"r"`},
		{"row is an array", `"before":null`, `"before":[]`},
		{"row is cut", `"status":"approved"}`, `"status":"approved"`},
		{"null integer", `"quest_id":42,"tr`, `"quest_id":null,"tr`},
		{"fraction", `"quest_id":42,"tr`, `"quest_id":42.0,"tr`},
		{"exponent", `"quest_id":42,"tr`, `"quest_id":4e1,"tr`},
		{"leading zero", `"quest_id":42,"tr`, `"quest_id":042,"tr`},
		{"plus", `"quest_id":42,"tr`, `"quest_id":+42,"tr`},
		{"space after the sign", `"quest_id":42,"tr`, `"quest_id":- 42,"tr`},
		{"no digits", `"quest_id":42,"tr`, `"quest_id":-,"tr`},
		{"text for a number", `"quest_id":42,"tr`, `"quest_id":"42","tr`},
		{"beyond int64", `"quest_id":42,"tr`, `"quest_id":9223372036854775808,"tr`},
		{"below int64", `"quest_id":42,"tr`, `"quest_id":-9223372036854775809,"tr`},
		{"beyond uint64", `24023400`, `18446744073709551616`},
		{"far beyond uint64", `24023400`, strings.Repeat("9", 1000)},
		{"negative LSN", `24023400`, `-1`},
		{"count beyond int32", `"order":1`, `"order":2147483648`},
		{"not a boolean", `"snapshot":false`, `"snapshot":0`},
		{"control character", `"db":"peerquest"`, "\"db\":\"peer\x01quest\""},
		{"not UTF-8", `"db":"peerquest"`, "\"db\":\"peer\xffquest\""},
		{"not UTF-8 beside an escape", `"db":"peerquest"`, "\"db\":\"peer\\n\xffquest\""},
		{"not UTF-8 in a row", `"pending"`, "\"pend\xffing\""},
		{"bad escape", `"db":"peerquest"`, `"db":"peer\quest"`},
		{"bad hex escape", `"db":"peerquest"`, `"db":"\u00g0"`},
		{"cut hex escape", `"db":"peerquest"`, `"db":"\u00"`},
		{"bad escape in a row", `"pending"`, `"pend\xing"`},
		{"two commas", `,"source"`, `,,"source"`},
		{"comma at the end", `"snapshot":false}`, `"snapshot":false,}`},
		{"colon missing", `"quest_id":42,"tr`, `"quest_id" 42,"tr`},
		{"key without quotes", `"quest_id":42,"tr`, `quest_id:42,"tr`},
		{"NaN in a row", `"before":{"id":7`, `"before":{"id":NaN`},
		{"more after it", `"ts_ms":1782912152004}`, `"ts_ms":1782912152004}{}`},
		{"NUL after it", `"ts_ms":1782912152004}`, "\"ts_ms\":1782912152004}\x00"},
		{"quest twice", `{"quest_id":42,"tr`, `{"quest_id":42,"quest_id":42,"tr`},
		{"changes twice", `"changes":`, `"changes":[],"changes":`},
		{"source twice", `"source":`, `"source":{"db":"","epoch":1,"snapshot":true},"source":`},
		{"xid twice", `"id":754,`, `"id":754,"id":754,`},
		{"epoch twice", `"epoch":1,`, `"epoch":1,"epoch":2,`},
		{"op twice", `"op":"u",`, `"op":"u","op":"u",`},
		{"published twice", `,"ts_ms":1782912152004`, `,"ts_ms":1782912152004,"ts_ms":1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := replaced(t, c.old, c.by)
			if err := decode(data); !errors.Is(err, change.ErrMalformed) {
				t.Errorf("error %v, want malformed data: %s", err, data)
			}
		})
	}
}

func TestStepTakesWhatIsNew(t *testing.T) {
	for _, c := range []struct{ name, old, by string }{
		{"unknown keys", `"order":1`, `"order":1,"shard":{"a":[1,-2.5e+3,true,null,"\u00e9"]},"shard":0`},
		{"unknown key of the step", `{"quest_id":42,"tr`, `{"v":[[]],"quest_id":42,"tr`},
		{"escaped key", `"quest_id":42,"tr`, `"quest\u005fid":42,"tr`},
		{"no end LSN", `"end_lsn":24023448,`, ``},
		{"no time of publication", `,"ts_ms":1782912152004`, ``},
		{"least int64", `"quest_id":42,"tr`, `"quest_id":-9223372036854775808,"tr`},
		{"greatest int64", `"quest_id":42,"tr`, `"quest_id":9223372036854775807,"tr`},
		{"minus zero", `"quest_id":42,"tr`, `"quest_id":-0,"tr`},
		{"greatest uint64", `24023400`, `18446744073709551615`},
		{"greatest count", `"order":1`, `"order":2147483647`},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := []byte(replaced(t, c.old, c.by))
			if !json.Valid(data) {
				t.Fatalf("the test's own JSON is bad: %s", data)
			}
			var d change.Decoder
			var got change.Step
			if err := d.Step(data, &got); err != nil {
				t.Fatal(err)
			}
			if want := readWire(t, data); want.QuestID != got.QuestID || want.Transaction != got.Transaction {
				t.Errorf("read %v %+v, encoding/json %v %+v", got.QuestID, got.Transaction, want.QuestID, want.Transaction)
			}
		})
	}
}

func TestTruncatedAnywhere(t *testing.T) {
	for n := range len(documented) {
		if err := decode(documented[:n]); !errors.Is(err, change.ErrMalformed) {
			t.Errorf("error %v for the first %d bytes", err, n)
		}
	}
	record := controlRecord(t)
	var d change.Decoder
	for n := range len(record) {
		if _, err := d.Control(record[:n]); !errors.Is(err, change.ErrMalformed) {
			t.Errorf("error %v for the first %d bytes of a control record", err, n)
		}
	}
	row := change.Row(`{"id":7,"title":"a \"b\" \u00e9","n":-1.5e3,"x":[null,{"y":true}]}`)
	for n := range len(row) {
		if err := row[:n].Each(func(_, _ []byte) error { return nil }); err == nil {
			t.Errorf("no error for the first %d bytes of a row", n)
		}
	}
}

// TestFlippedBytes changes each byte of a step in several ways: what is still
// taken must be JSON.
func TestFlippedBytes(t *testing.T) {
	var d change.Decoder
	var s change.Step
	data := []byte(documented)
	for i := range data {
		for _, b := range []byte{0, ' ', '"', '\\', '0', '-', '{', '}', '[', ']', ',', ':', 'n', 0x80, 0xff, data[i] ^ 1} {
			was := data[i]
			data[i] = b
			if err := d.Step(data, &s); err == nil && !json.Valid(data) {
				t.Errorf("took what is not JSON: %s", data)
			}
			data[i] = was
		}
	}
}

func TestDeepNesting(t *testing.T) {
	nested := func(depth int) string {
		return strings.Repeat(`{"a":[`, depth/2) + strings.Repeat(`]}`, depth/2)
	}
	if err := decode(replaced(t, `"order":1`, `"order":1,"new":`+nested(900))); err != nil {
		t.Errorf("900 deep: %v", err)
	}
	for _, depth := range []int{1100, 10_000_000} {
		if err := decode(replaced(t, `"order":1`, `"order":1,"new":`+nested(depth))); !errors.Is(err, change.ErrMalformed) {
			t.Errorf("%d deep: error %v", depth, err)
		}
	}
	if err := decode(strings.Repeat("[", 10_000_000)); !errors.Is(err, change.ErrMalformed) {
		t.Errorf("brackets only: error %v", err)
	}
}

func controlRecord(t *testing.T) []byte {
	t.Helper()
	data, err := change.AppendControl(nil, &change.Control{
		Kind: change.TxEnd, Source: change.Source{DB: "peerquest", Epoch: 3},
		Transaction: &change.Transaction{ID: 9, CommitLSN: 10, EndLSN: 12, Time: 13, Message: 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestControlGolden(t *testing.T) {
	const want = `{"control":"tx_end","transaction":{"id":9,"commit_lsn":10,"end_lsn":12,"ts_ms":13,"message":4,"messages":0},` +
		`"source":{"connector":"questwatch","db":"peerquest","epoch":3,"snapshot":false}}`
	if got := controlRecord(t); string(got) != want {
		t.Errorf("encoded\n%s\nwant\n%s", got, want)
	}
}

func TestControlRefuses(t *testing.T) {
	const (
		source = `,"source":{"connector":"questwatch","db":"p","epoch":1,"snapshot":false}}`
		tx     = `,"transaction":{"id":9,"commit_lsn":10,"ts_ms":13,"message":4,"messages":0}`
	)
	for name, data := range map[string]string{
		"unknown kind":          `{"control":"melt"` + source,
		"no kind":               `{"lsn":1` + source,
		"no source":             `{"control":"progress","lsn":1}`,
		"no LSN":                `{"control":"progress","ts_ms":1` + source,
		"no transaction":        `{"control":"tx_end"` + source,
		"empty transaction":     `{"control":"tx_end","transaction":{}` + source,
		"null transaction":      `{"control":"tx_end","transaction":null` + source,
		"transaction twice":     `{"control":"tx_end"` + tx + tx + source,
		"LSN below zero":        `{"control":"progress","lsn":-1` + source,
		"entities not a list":   `{"control":"truncate","entities":"quest"` + tx + source,
		"timeline beyond int32": `{"control":"epoch","timeline":4294967296` + source,
		"more after it":         `{"control":"progress","lsn":1` + source + `{}`,
	} {
		var d change.Decoder
		if c, err := d.Control([]byte(data)); !errors.Is(err, change.ErrMalformed) {
			t.Errorf("%s: %+v, error %v", name, c, err)
		}
	}
}

func TestRecorded(t *testing.T) {
	tx := &change.Transaction{CommitLSN: 5, EndLSN: 6, Message: 1}
	for kind, want := range map[change.Kind]change.LSN{
		change.Progress: 7, change.BaselineEnd: 7, change.TxEnd: 6, change.BaselineBegin: 0, change.Truncate: 0,
		change.SchemaChanged: 0, change.Gap: 0, change.Epoch: 0, change.Message: 0,
	} {
		c := change.Control{Kind: kind, LSN: 7, Transaction: tx}
		if got := c.Recorded(); got != want {
			t.Errorf("%s records %s, want %s", kind, got, want)
		}
	}
	if got := (&change.Control{Kind: change.TxEnd}).Recorded(); got != 0 {
		t.Errorf("a tx_end without transaction records %s", got)
	}
}

func TestEachStopsAtAnError(t *testing.T) {
	stop, calls := errors.New("stop"), 0
	err := change.Row(`{"a":1,"b":2}`).Each(func(_, _ []byte) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
	if err := change.Row(nil).Each(func(_, _ []byte) error { return nil }); err == nil {
		t.Error("no error for no row")
	}
	if got := change.CloseRow(nil); !bytes.Equal(got, []byte("{}")) {
		t.Errorf("an empty row is %s", got)
	}
}
