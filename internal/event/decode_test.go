package event_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/event"
)

// What is read back is what was encoded: encoding it again gives the same.
func TestDecodeGoldenEvents(t *testing.T) {
	read := func(file string) (raw []byte, data any) {
		raw, err := os.ReadFile(filepath.Join("testdata", file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var env struct{ Data any }
		if err := json.Unmarshal(raw, &env); err != nil {
			t.Fatal(err)
		}
		return raw, env.Data
	}
	same := func(file string, got, want any) {
		t.Helper()
		encoded, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var back any
		if err := json.Unmarshal(encoded, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, back); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
	for _, file := range []string{"opened_pair", "opened_quest", "resolved_pair", "resolved_gone"} {
		raw, want := read(file)
		f, err := event.FindingIn(raw)
		if err != nil {
			t.Fatal(err)
		}
		same(file, f, want)
		kept, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = event.KeptFinding(kept); err != nil {
			t.Fatal(err)
		}
		same(file, f, want)
	}
	for _, file := range []string{"gap", "truncated", "schema_changed", "epoch"} {
		raw, want := read(file)
		c, err := event.ContinuityIn(raw)
		if err != nil {
			t.Fatal(err)
		}
		same(file, c, want)
	}
}

func TestDecodeRefusesWhatIsNoEvent(t *testing.T) {
	for _, data := range []string{"", "{", "[]", "{}", `{"data":{}}`, `{"data":{"finding":"a","rule":"nonsense"}}`, `{"data":[]}`} {
		if f, err := event.FindingIn([]byte(data)); err == nil {
			t.Errorf("%s is finding %+v", data, f)
		}
		if f, err := event.KeptFinding([]byte(data)); err == nil {
			t.Errorf("%s is kept finding %+v", data, f)
		}
		if c, err := event.ContinuityIn([]byte(data)); err == nil {
			t.Errorf("%s is %+v", data, c)
		}
	}
}
