package pgjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// made are types that are made of others.
var made = Build([]Definition{
	{OID: 1007, Category: "b", Element: 23, Delimiter: ","},
	{OID: 1009, Category: "b", Element: 25, Delimiter: ","},
	{OID: 1020, Category: "b", Element: 603, Delimiter: ";"},
	{OID: 603, Category: "b"},
	{OID: 20001, Category: "c", Names: []string{"a", `b"`}, Types: []int64{23, 25}},
	{OID: 20002, Category: "b", Element: 20001, Delimiter: ","},
	{OID: 20003, Category: "d", Base: 20004},
	{OID: 20004, Category: "d", Base: 1007},
	{OID: 20005, Category: "c", Names: []string{"of"}, Types: []int64{99999}},
	{OID: 20006, Category: "d", Base: 20006},
})

func typeOf(t testing.TB, oid uint32) *Type {
	t.Helper()
	if b := Builtin(oid); b != nil {
		return b
	}
	if made[oid] == nil {
		t.Fatalf("no type %d", oid)
	}
	return made[oid]
}

// The values of real servers are compared where the log is read. Here are the
// texts that no server should send.
func TestValues(t *testing.T) {
	for _, c := range []struct {
		oid        uint32
		text, want string // "" is an error
	}{
		{23, "12", "12"},
		{23, "-0", "-0"},
		{23, "", ""},
		{23, "-", ""},
		{23, "01", ""},
		{23, "1.0", ""},
		{23, "NULL", ""},
		{1700, "1.50e-7", "1.50e-7"},
		{1700, "Infinity", `"Infinity"`},
		{1700, "inf", ""},
		{1700, "1.", ""},
		{1700, "1e", ""},
		{1700, ".5", ""},
		{1700, "1e+", ""},
		{1700, "00.5", ""},
		{16, "t", "true"},
		{16, "true", ""},
		{16, "", ""},
		{114, "{", ""},
		{114, "", ""},
		{1184, "2025-07-01 13:22:32.5+00", `"2025-07-01T13:22:32.5+00:00"`},
		{1184, "2025-07-01\n13", ""},
		{1184, `2025"`, ""},
		{25, "a\xffb", `"a` + "\ufffd" + `b"`},
		{25, "\xe2\x82", `"` + "\ufffd\ufffd" + `"`},
		{1007, "{1,NULL}", "[1,null]"},
		{1007, "[0:1]={1,2}", "[1,2]"},
		// What does not fit is a text.
		{1007, "{1,x}", `"{1,x}"`},
		{1007, "{1", `"{1"`},
		{1007, "{1,}", `"{1,}"`},
		{1007, "{1}}", `"{1}}"`},
		{1007, "{1 ,2", `"{1 ,2"`},
		{1007, "{1{2}}", `"{1{2}}"`},
		{1007, "[0:1]", `"[0:1]"`},
		{1007, "{{{{{{{1}}}}}}}", `"{{{{{{{1}}}}}}}"`},
		{1007, "", `""`},
		{1009, `{"a`, `"{\"a"`},
		{1009, `{"a\`, `"{\"a\\"`},
		{1009, `{"a"b}`, `"{\"a\"b}"`},
		{1009, `{a"b}`, `"{a\"b}"`},
		{1009, `{"a","\"\\",NULL,"NULL"}`, `["a","\"\\",null,"NULL"]`},
		{20001, `(1,"a ""b"" \\")`, `{"a":1,"b\"":"a \"b\" \\"}`},
		{20001, `(,)`, `{"a":null,"b\"":null}`},
		{20001, `(1)`, `"(1)"`},
		{20001, `(1,2,3)`, `"(1,2,3)"`},
		{20001, `(x,2)`, `"(x,2)"`},
		{20001, `(1,2`, `"(1,2"`},
		{20001, ``, `""`},
		{20002, `{"(1,\"x \\\\ y\")","(x,y)"}`, `[{"a":1,"b\"":"x \\ y"},"(x,y)"]`},
		{20003, "{1}", "[1]"},
		{20005, "(x)", `{"of":"x"}`},
		{20006, "x", `"x"`},
		{30, "1 2", `["1","2"]`},
		{22, "1 x", `"1 x"`},
	} {
		got, err := typeOf(t, c.oid).Append([]byte("kept "), []byte(c.text))
		if (err != nil) != (c.want == "") {
			t.Errorf("%d %q: error %v", c.oid, c.text, err)
		} else if err == nil && string(got) != "kept "+c.want {
			t.Errorf("%d %q: got %s, want %s", c.oid, c.text, got, c.want)
		}
	}
}

// Postgres takes json that nests deeper than readers of JSON do: the row must
// not become one that nobody can read.
func TestDeepJSONIsAText(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"[":[`, n/2) + strings.Repeat("]}", n/2) }
	for n, isText := range map[int]bool{2: false, maxDepth: false, maxDepth + 2: true, 20000: true} {
		got, err := typeOf(t, 3802).Append(nil, []byte(nested(n)))
		if err != nil {
			t.Fatal(err)
		}
		var text string
		if err := json.Unmarshal(got, &text); (err == nil) != isText || isText && text != nested(n) {
			t.Errorf("%d levels: %.40s", n, got)
		}
	}
}

func TestImpose(t *testing.T) {
	for range 20 { // the order of a map
		params := map[string]string{"timezone": "Asia/Kathmandu", "DATESTYLE": "German", "application_name": "x"}
		Impose(params)
		want := map[string]string{"application_name": "x"}
		for name, value := range Settings {
			want[name] = value
		}
		if diff := cmp.Diff(want, params); diff != "" {
			t.Fatal(diff)
		}
	}
}

// FuzzAppend: whatever the text, the result is JSON or an error.
func FuzzAppend(f *testing.F) {
	for _, text := range []string{`{1,NULL}`, `[0:1]={1,2}`, `(1,"a ""b"" \\")`, `{"(1,\"x\")"}`, "NaN", "-1.5e+7", "t", "2025-07-01 13:22:32+00 BC", "{", `{"a`, "(,", "1 2"} {
		f.Add(text)
	}
	oids := []uint32{16, 22, 23, 25, 30, 114, 1184, 1700, 1007, 1009, 1020, 20001, 20002, 20003, 20005}
	f.Fuzz(func(t *testing.T, text string) {
		for _, oid := range oids {
			got, err := typeOf(t, oid).Append(nil, []byte(text))
			if err == nil && !json.Valid(got) {
				t.Errorf("%d %q: %q", oid, text, got)
			}
		}
	})
}

var values = []struct {
	name string
	oid  uint32
	text string
}{
	{"bigint", 20, "1234567890"},
	{"numeric", 1700, "12345.6789"},
	{"boolean", 16, "t"},
	{"uuid", 2950, "11111111-1111-4111-8111-111111111111"},
	{"timestamptz", 1184, "2025-07-01 13:22:32.123456+00"},
	{"text", 25, "A title of a quest, with \"quotes\" and ünïcode"},
	{"jsonb", 3802, `{"a": [1, 2, {"b": null}], "text": "quest"}`},
	{"int array", 1007, "{1,2,3,4,NULL}"},
	{"text array", 1009, `{plain,"quoted \"text\"",NULL}`},
	{"composite", 20001, `(1,"a ""b""")`},
}

func BenchmarkAppend(b *testing.B) {
	for _, v := range values {
		b.Run(v.name, func(b *testing.B) {
			as, text, dst := typeOf(b, v.oid), []byte(v.text), make([]byte, 0, 256)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := as.Append(dst, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestScalarsAllocateNothing(t *testing.T) {
	for _, v := range values[:6] {
		as, text, dst := typeOf(t, v.oid), []byte(v.text), make([]byte, 0, 256)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := as.Append(dst, text); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %.0f allocations a value", v.name, n)
		}
	}
}
