package pgsource

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

// captured is a file of real messages, one in hex per line, and how they come.
const captured = "testdata/messages.txt"

// script makes one message of each kind at least.
var script = []string{
	`BEGIN; UPDATE quests_quest SET title = 'näw' WHERE id = 1; INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		VALUES ('pending', '2025-07-01 12:00+00', '11111111-1111-4111-8111-111111111111', 1); COMMIT`,
	`DELETE FROM quests_questparticipant WHERE quest_id = 17`,
	`UPDATE applications_application SET quest_id = 2 WHERE id = 1`,
	`SELECT pg_logical_emit_message(true, 'questwatch.approval_failed', '{"quest_id":1}')`,
	`SELECT pg_logical_emit_message(false, 'questwatch.approval_failed', 'now')`,
	`TRUNCATE quests_questparticipant, applications_application CASCADE`,
}

// raw streams the script's messages without decoding them.
func raw(t *testing.T) [][]byte {
	t.Helper()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	s := open(t, settings(t, dsn))
	from := setUp(t, s)
	run(t, dsn, script...)
	st, err := s.Start(t.Context(), from, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var all [][]byte
	for commits := 0; commits < 5; {
		kind, body, err := st.frames.next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == 'd' && body[0] == 'w' {
			all = append(all, append([]byte(nil), body[25:]...))
			if body[25] == 'C' {
				commits++
			}
		}
	}
	return all
}

// seeds are the captured messages. With QUESTWATCH_CAPTURE set they are captured
// anew.
func seeds(tb testing.TB) [][]byte {
	tb.Helper()
	all, err := readCaptured()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// readCaptured reads the file once: fuzzing asks for it very often.
var readCaptured = sync.OnceValues(func() (all [][]byte, err error) {
	text, err := os.ReadFile(captured)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var data []byte
		if _, err := fmt.Sscanf(line, "%x", &data); err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
})

func testDecoder(tb testing.TB) *decoder {
	tb.Helper()
	schema := change.PeerQuest()
	n, err := namesOf(&schema)
	if err != nil {
		tb.Fatal(err)
	}
	return newDecoder(&n, func(xid uint32) uint64 { return uint64(xid) })
}

// The captured messages are what a server sends today.
func TestCapturedMessagesAreReal(t *testing.T) {
	t.Parallel()
	messages := raw(t)
	if os.Getenv("QUESTWATCH_CAPTURE") != "" {
		var text strings.Builder
		for _, m := range messages {
			fmt.Fprintf(&text, "%x\n", m)
		}
		if err := os.MkdirAll(filepath.Dir(captured), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(captured, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kinds := func(messages [][]byte) (s string) {
		for _, m := range messages {
			s += string(m[0])
		}
		return s
	}
	if got, want := kinds(messages), kinds(seeds(t)); got != want {
		t.Errorf("the server sends %s, captured are %s", got, want)
	}
	d := testDecoder(t)
	for _, m := range messages {
		if err := d.decode(1, m); err != nil {
			t.Errorf("%x: %v", m, err)
		}
	}
}

// Every message cut short anywhere, and every one with something added, is an
// error.
func TestWrongLengthIsAnError(t *testing.T) {
	for i, m := range seeds(t) {
		for n := range m {
			if err := upTo(t, i).decode(1, m[:n]); !errors.Is(err, change.ErrMalformed) && !errors.Is(err, change.ErrUnreadable) {
				t.Errorf("message %d %q cut to %d of %d bytes: %v", i, m[0], n, len(m), err)
			}
		}
		if err := upTo(t, i).decode(1, append(m[:len(m):len(m)], 0)); !errors.Is(err, change.ErrMalformed) && !errors.Is(err, change.ErrUnreadable) {
			t.Errorf("message %d %q with a byte more: %v", i, m[0], err)
		}
	}
}

// upTo is a decoder that has read the seeds before one.
func upTo(tb testing.TB, n int) *decoder {
	tb.Helper()
	d := testDecoder(tb)
	for _, m := range seeds(tb)[:n] {
		if err := d.decode(1, m); err != nil {
			tb.Fatal(err)
		}
	}
	d.ready = nil
	return d
}

func FuzzDecode(f *testing.F) {
	all := seeds(f)
	for i, m := range all {
		f.Add(m, uint8(i))
	}
	for _, text := range []string{"", "B", "T\xff\xff\xff\xff\x00", "R\x00\x00\x00\x01\x00x\x00f\xff\xff", "M\x01\x00\x00\x00\x00\x00\x00\x00\x00x\x00\xff\xff\xff\xff"} {
		f.Add([]byte(text), uint8(3))
	}
	for i, m := range all {
		for _, old := range []string{"1", "f", "2025-07-01 ", "11111111-"} { // values that are none of their type
			f.Add([]byte(strings.Replace(string(m), "\x00"+old, "\x00"+strings.Repeat("\"", len(old)), 1)), uint8(i))
			f.Add([]byte(strings.ReplaceAll(string(m), old, strings.Repeat("\"", len(old)))), uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		d := upTo(t, int(n)%len(all))
		known := len(d.relations)
		if err := d.decode(1, data); err != nil {
			if !errors.Is(err, change.ErrMalformed) && !errors.Is(err, change.ErrUnreadable) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if len(d.relations) > known+1 {
			t.Errorf("%d relations of one message", len(d.relations)-known)
		}
		for _, sig := range d.ready {
			checkSignal(t, &sig)
		}
	})
}

// checkSignal checks that what was accepted is whole.
func checkSignal(t *testing.T, sig *change.Signal) {
	t.Helper()
	if sig.Kind != change.Changed {
		return
	}
	c := &sig.Change
	if (c.After == nil) != (c.Op == change.Delete) || (c.Before == nil) != (c.Op == change.Create) {
		t.Errorf("%s has before %s and after %s", c.Op, c.Before, c.After)
	}
	for _, row := range []change.Row{c.Before, c.After} {
		if row == nil {
			continue
		}
		count := 0
		_ = row.Each(func([]byte, []byte) error {
			count++
			return nil
		})
		if !json.Valid(row) {
			t.Errorf("row is not JSON: %s", row)
		} else if count == 0 {
			t.Errorf("row without columns: %s", row)
		}
	}
}
