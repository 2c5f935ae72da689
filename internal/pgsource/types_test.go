package pgsource

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/pgjson"
	"github.com/peerquest/questwatch/internal/testkit"
)

// allColumns is a source of the scenario's database that streams every column.
func allColumns(t *testing.T) (s *Source, dsn string) {
	t.Helper()
	dsn = testkit.Database(t, testkit.LoadAudit001)
	config := settings(t, dsn)
	config.AllColumns = true
	return open(t, config), dsn
}

// after is a column's value in a row.
func after(t *testing.T, sig *change.Signal, name string) (text string) {
	t.Helper()
	if err := sig.Change.After.Each(func(column, value []byte) error {
		if string(column) == name {
			text = string(value)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return text
}

// changes takes the next n changes of rows off a stream.
func changes(t *testing.T, st *Stream, n int) (all []change.Signal) {
	t.Helper()
	for len(all) < n {
		var sig change.Signal
		if err := st.Receive(&sig); err != nil {
			t.Fatal(err)
		}
		if sig.Kind == change.Changed {
			all = append(all, sig)
		}
	}
	return all
}

// Types that are made while the stream runs are looked up.
func TestTypesMadeWhileStreaming(t *testing.T) {
	t.Parallel()
	s, dsn := allColumns(t)
	st, err := s.Start(t.Context(), setUp(t, s), 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	run(t, dsn, `UPDATE quests_quest SET title = 'before' WHERE id = 1`)
	changes(t, st, 1)
	run(
		t, dsn,
		`CREATE TYPE rank AS (level int, since date); CREATE DOMAIN ranks AS rank[]; CREATE TYPE hue AS ENUM ('red')`,
		`ALTER TABLE quests_quest ADD a ranks, ADD b hue[], ADD c rank DEFAULT '(7,2025-01-01)'`,
		`UPDATE quests_quest SET a = ARRAY['(1,2025-07-01)', NULL]::rank[], b = '{red}' WHERE id = 1`,
		`CREATE DOMAIN score AS numeric; ALTER TABLE quests_quest ALTER b TYPE score USING 1.50`,
		`UPDATE quests_quest SET title = 'last' WHERE id = 1`,
	)
	got := changes(t, st, 2)
	want := []string{`[{"level":1,"since":"2025-07-01"},null]`, `["red"]`, `{"level":7,"since":"2025-01-01"}`, "1.50"}
	have := []string{after(t, &got[0], "a"), after(t, &got[0], "b"), after(t, &got[0], "c"), after(t, &got[1], "b")}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
}

// A type that was dropped, or whose attributes are others, before the log was
// read: the catalog does not tell what it was, and the values are texts.
func TestTypesGoneSinceWritten(t *testing.T) {
	t.Parallel()
	s, dsn := allColumns(t)
	from := setUp(t, s)
	run(
		t, dsn,
		`CREATE TYPE rank AS (level int, since date); CREATE TABLE ledger (a int, b text); ALTER TABLE quests_quest ADD a rank, ADD b rank[], ADD c ledger`,
		`UPDATE quests_quest SET a = '(1,2025-07-01)', b = '{"(1,)"}', c = '(1,x)' WHERE id = 1`,
		`ALTER TABLE quests_quest DROP a, DROP b; DROP TYPE rank; ALTER TABLE ledger DROP COLUMN b`,
		`UPDATE quests_quest SET title = 'last' WHERE id = 1`,
	)
	txs := transactions(t, s, from, 2)
	first, last := &txs[0][len(txs[0])-1], &txs[1][len(txs[1])-1]
	want := []string{`"(1,2025-07-01)"`, `"{\"(1,)\"}"`, `"(1,x)"`, `{"a":1}`}
	have := []string{after(t, first, "a"), after(t, first, "b"), after(t, first, "c"), after(t, last, "c")}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
}

// Not being able to ask is the connection's fault, and not the stream's.
func TestTypesCannotBeLookedUp(t *testing.T) {
	d := testDecoder(t)
	d.names.all = true
	fails := errors.New("connection refused")
	asked := 0
	d.types.ask = func(oids []uint32) (map[uint32]*pgjson.Type, error) {
		asked++
		return nil, fails
	}
	for _, m := range seeds(t) {
		if m[0] == 'B' {
			_ = d.decode(1, m)
			continue
		}
		if m[0] != 'R' {
			continue
		}
		// The title becomes a column of a type that nobody knows.
		made := strings.Replace(string(m), "title\x00\x00\x00\x04\x13", "title\x00\x00\x01\x04\x13", 1)
		err := d.decode(1, []byte(made))
		if made == string(m) {
			continue
		}
		if !errors.Is(err, fails) || errors.Is(err, change.ErrMalformed) || errors.Is(err, change.ErrUnreadable) {
			t.Errorf("error %v", err)
		}
		break
	}
	if asked == 0 {
		t.Error("nobody was asked")
	}
}

func TestTypesAreRememberedWithinBounds(t *testing.T) {
	asked := 0
	ts := types{ask: func(oids []uint32) (map[uint32]*pgjson.Type, error) {
		asked++
		found := map[uint32]*pgjson.Type{}
		for _, oid := range oids {
			found[oid] = pgjson.Text
		}
		return found, nil
	}}
	assign := func(oid uint32) {
		if err := ts.assign([]column{{oid: oid, streamed: true}, {oid: 23, streamed: true}, {oid: 77777}}); err != nil {
			t.Fatal(err)
		}
	}
	assign(20000)
	assign(20000)
	if asked != 1 || len(ts.known) != 1 {
		t.Errorf("asked %d times, %d known", asked, len(ts.known))
	}
	for oid := range uint32(3 * maxTypes) {
		assign(20000 + oid)
	}
	if len(ts.known) > maxTypes+2 {
		t.Errorf("%d types are remembered", len(ts.known))
	}
}
