package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/event"
)

// TestParse reads every event that there is a golden file of, writes it again, and
// looks at what a person is told of it.
func TestParse(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	var told strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, text); err != nil {
			t.Fatal(err)
		}
		e, err := event.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got, err := e.Encode("questwatch")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is written again as\n%s\nwant\n%s", file, got, want.Bytes())
		}
		told.WriteString(e.Subject("questwatch") + " " + e.Severity().String() + "\n  " +
			e.Sentence(func(string) string { return "Alice" }) + "\n")
	}
	const file = "testdata/sentences.txt"
	if *update {
		if err := os.WriteFile(file, []byte(told.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if told.String() != string(want) {
		t.Errorf("told is\n%s\nwant\n%s", told.String(), want)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":         `{`,
		"no id":           `{"type":"dev.questwatch.drift.opened.v1","data":{}}`,
		"no data":         `{"id":"1","type":"dev.questwatch.drift.opened.v1"}`,
		"another version": `{"id":"1","type":"dev.questwatch.drift.opened.v2","data":{}}`,
		"another kind":    `{"id":"1","type":"org.example.thing","data":{}}`,
		"quest is text":   `{"id":"1","type":"dev.questwatch.drift.opened.v1","subject":"quest/x","data":{}}`,
		"data is text":    `{"id":"1","type":"dev.questwatch.drift.opened.v1","data":"x"}`,
		"unknown rule":    `{"id":"1","type":"dev.questwatch.drift.opened.v1","data":{"rule":"x"}}`,
	} {
		if e, err := event.Parse([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", name, e)
		}
	}
	e, err := event.Parse([]byte(`{"id":"1","type":"dev.questwatch.weather.changed.v1","data":{"sun":true}}`))
	if raw, ok := e.Data.(json.RawMessage); err != nil || !ok || string(raw) != `{"sun":true}` {
		t.Errorf("a kind that is not known: %+v, %v", e, err)
	}
}
