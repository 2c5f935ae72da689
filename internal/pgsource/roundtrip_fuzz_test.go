package pgsource

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/peerquest/questwatch/internal/change"
)

// The messages of pgoutput, written here from its documentation.

func text(s string) []byte { return append([]byte(s), 0) }

var questTypes = map[string]uint32{
	"id": 20, "title": 25, "status": 1043, "is_deleted": 16, "assigned_to_id": 2950, "updated_at": 1184, "completed_at": 1184,
}

// announced tells of the quests' table with its streamed columns.
func announced(columns []string) []byte {
	m := append([]byte{'R', 0, 0, 0, 7}, text("public")...)
	m = append(append(m, text("quests_quest")...), 'f')
	m = binary.BigEndian.AppendUint16(m, uint16(len(columns)))
	for _, c := range columns {
		m = append(append(m, 1), text(c)...)
		m = binary.BigEndian.AppendUint32(m, questTypes[c])
		m = binary.BigEndian.AppendUint32(m, 0xffffffff)
	}
	return m
}

// written is a row: a column's text, or nil for null; "title" may be left out as
// unchanged.
func written(columns []string, row map[string]*string, unchanged bool) []byte {
	m := binary.BigEndian.AppendUint16(nil, uint16(len(columns)))
	for _, c := range columns {
		switch value := row[c]; {
		case c == "title" && unchanged:
			m = append(m, 'u')
		case value == nil:
			m = append(m, 'n')
		default:
			m = binary.BigEndian.AppendUint32(append(m, 't'), uint32(len(*value)))
			m = append(m, *value...)
		}
	}
	return m
}

// FuzzRowRoundTrip: what is encoded comes back with every value as it was, and cut
// short anywhere it is an error.
func FuzzRowRoundTrip(f *testing.F) {
	f.Add(int64(1), "Title", "open", true, uint64(0), false, "U")
	f.Add(int64(-1<<63), "\"\\\n\x01é\u2028😀", "", false, ^uint64(0), true, "U")
	f.Add(int64(0), strings.Repeat("x", 3000), "in-progress", false, uint64(7), false, "I")
	f.Add(int64(42), "", "completed", true, uint64(1)<<63, false, "D")
	f.Fuzz(func(t *testing.T, id int64, title, status string, deleted bool, person uint64, unchanged bool, kind string) {
		if !utf8.ValidString(title) || !utf8.ValidString(status) || strings.Contains(title+status, "\x00") {
			return // no text of Postgres
		}
		schema := change.PeerQuest()
		columns := schema.Columns(change.Quest)
		value := func(s string) *string { return &s }
		row := map[string]*string{
			"id": value(fmt.Sprint(id)), "title": &title, "status": &status, "is_deleted": value(fmt.Sprint(deleted)[:1]),
		}
		want := map[string]any{}
		for _, c := range columns {
			want[c] = nil
		}
		want["id"], want["title"], want["status"], want["is_deleted"] = json.Number(fmt.Sprint(id)), title, status, deleted
		if person != 0 {
			uuid := fmt.Sprintf("%08x-%04x-4111-8111-%012x", uint32(person), uint16(person>>32), person>>16)
			row["assigned_to_id"], want["assigned_to_id"] = &uuid, uuid
		}
		message := append([]byte(kind), 0, 0, 0, 7)
		switch kind {
		case "I":
			message = append(append(message, 'N'), written(columns, row, false)...)
		case "U":
			message = append(append(message, 'O'), written(columns, row, false)...)
			message = append(append(message, 'N'), written(columns, row, unchanged)...)
		case "D":
			message = append(append(message, 'O'), written(columns, row, false)...)
		default:
			return
		}
		d := inTransaction(t, columns)
		if err := d.decode(1, message); err != nil {
			t.Fatalf("%x: %v", message, err)
		}
		if len(d.ready) != 1 || d.ready[0].QuestID != id {
			t.Fatalf("%d signals: %+v", len(d.ready), d.ready)
		}
		c := d.ready[0].Change
		if kind != "I" {
			same(t, c.Before, want)
		}
		if kind == "U" && unchanged {
			delete(want, "title")
			if len(c.Unchanged) != 1 || c.Unchanged[0] != "title" {
				t.Errorf("unchanged: %q", c.Unchanged)
			}
		}
		if kind != "D" {
			same(t, c.After, want)
		}
		for _, n := range []int{len(message) - 1, len(message) / 2, 5, 1} {
			if err := inTransaction(t, columns).decode(1, message[:n]); !errors.Is(err, change.ErrMalformed) && !errors.Is(err, change.ErrUnreadable) {
				t.Errorf("cut to %d of %d bytes: %v", n, len(message), err)
			}
		}
	})
}

// inTransaction is a decoder that knows the table.
func inTransaction(t *testing.T, columns []string) *decoder {
	t.Helper()
	d := testDecoder(t)
	for _, m := range [][]byte{append([]byte{'B'}, make([]byte, 20)...), announced(columns)} {
		if err := d.decode(1, m); err != nil {
			t.Fatal(err)
		}
	}
	d.ready = nil
	return d
}

// same compares a row with what it should be.
func same(t *testing.T, row change.Row, want map[string]any) {
	t.Helper()
	got := map[string]any{}
	decoder := json.NewDecoder(strings.NewReader(string(row)))
	decoder.UseNumber()
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("%s: %v", row, err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("row %v, want %v", got, want)
	}
}
