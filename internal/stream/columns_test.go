package stream

import "testing"

// Altered columns are a reason for a baseline and not for a gap: what the slot has
// is streamed first.
func TestAlteredColumnsNeedABaseline(t *testing.T) {
	at := &tail{first: 1, last: 9, whole: 500}
	slot := Slot{Exists: true, Usable: true, Confirmed: 400, Publication: "p", Columns: "b", System: "s"}
	note := Note{Baseline: 2, Publication: "p", System: "s"}
	for columns, want := range map[string]plan{
		"":  {from: 500}, // a note of an older program
		"b": {from: 500},
		"a": {from: 500, baseline: "columns_changed"},
	} {
		note.Columns = columns
		if got := decide(at, slot, note, at.first, nil, 600); got != want {
			t.Errorf("columns %q: got %+v, want %+v", columns, got, want)
		}
	}
	note.Columns, note.Gap = "a", "log_unreadable"
	if got, want := decide(at, slot, note, at.first, nil, 600), (plan{gap: "log_unreadable", baseline: "log_unreadable"}); got != want {
		t.Errorf("with a gap: got %+v, want %+v", got, want)
	}
}
