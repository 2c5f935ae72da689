package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
)

// The ledger is what the database itself says was committed: triggers write each
// change of a row into a table of their own, in the same transaction, and a
// replication slot of its own says in which order the transactions committed.
// None of the program's code takes part in it.
const ledgerSetup = `
CREATE TABLE ledger (n bigserial, xid bigint DEFAULT pg_current_xact_id()::text::bigint, entity text, was text, now text);
CREATE FUNCTION keep_ledger() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$ BEGIN
	INSERT INTO ledger (entity, was, now) VALUES (TG_ARGV[0],
		CASE WHEN TG_OP <> 'INSERT' THEN to_json(OLD)::text END, CASE WHEN TG_OP <> 'DELETE' THEN to_json(NEW)::text END);
	RETURN NULL;
END $$;
CREATE TRIGGER ledger AFTER INSERT OR UPDATE OR DELETE ON quests_quest FOR EACH ROW EXECUTE FUNCTION keep_ledger('quest');
CREATE TRIGGER ledger AFTER INSERT OR UPDATE OR DELETE ON applications_application FOR EACH ROW EXECUTE FUNCTION keep_ledger('application');
CREATE TRIGGER ledger AFTER INSERT OR UPDATE OR DELETE ON quests_questparticipant FOR EACH ROW EXECUTE FUNCTION keep_ledger('participant');
CREATE PUBLICATION ledger FOR TABLE ledger`

// ledgerCommits reads the commits out of raw pgoutput: a byte C, one of flags, the
// commit's LSN and the LSN of its end.
const ledgerCommits = `SELECT xid::text::bigint, ('x' || encode(substr(data, 3, 8), 'hex'))::bit(64)::bigint,
	('x' || encode(substr(data, 11, 8), 'hex'))::bit(64)::bigint
	FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'ledger')
	WHERE get_byte(data, 0) = 67`

// committed is a transaction of the ledger.
type committed struct {
	xid         int64
	commit, end uint64
	rows        []string // one for each change, in their order
}

// ledger belongs to one database.
type ledger struct{ dsn, slot string }

// keepLedger begins a ledger; what was written before is not in it.
func keepLedger(t *testing.T, dsn, slot string) ledger {
	t.Helper()
	exec1(t, dsn, ledgerSetup)
	var lsn string
	query(t, dsn, fmt.Sprintf("SELECT lsn::text FROM pg_create_logical_replication_slot('%s', 'pgoutput')", slot), &lsn)
	return ledger{dsn, slot}
}

// read returns all transactions in the order of their commits. Nobody may write
// meanwhile.
func (l ledger) read(t *testing.T) []committed {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), ledgerCommits, l.slot)
	if err != nil {
		t.Fatal(err)
	}
	var all []committed
	var one committed
	if _, err := pgx.ForEachRow(rows, []any{&one.xid, &one.commit, &one.end}, func() error {
		all = append(all, one)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	changes := l.changes(t, conn)
	for i := range all {
		all[i].rows = changes[all[i].xid]
		delete(changes, all[i].xid)
	}
	if len(changes) > 0 {
		t.Fatalf("the ledger has %d transactions whose commit it did not see", len(changes))
	}
	return all
}

// changes reads what each transaction changed.
func (l ledger) changes(t *testing.T, conn *pgx.Conn) map[int64][]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT xid, entity, coalesce(was, ''), coalesce(now, '') FROM ledger ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	var xid int64
	var entity, was, now string
	schema, all := change.PeerQuest(), map[int64][]string{}
	columns := map[string][]string{}
	for _, e := range change.Entities {
		columns[e.String()] = schema.Columns(e)
	}
	if _, err := pgx.ForEachRow(rows, []any{&xid, &entity, &was, &now}, func() error {
		before, after := only(t, was, columns[entity]), only(t, now, columns[entity])
		if was != "" && now != "" && questOf(t, entity, before) != questOf(t, entity, after) {
			// A row that goes to another quest leaves one and comes to the other.
			all[xid] = append(all[xid], told("d", entity, before, "null"), told("c", entity, "null", after))
			return nil
		}
		op := map[[2]bool]string{{false, true}: "c", {true, true}: "u", {true, false}: "d"}[[2]bool{was != "", now != ""}]
		all[xid] = append(all[xid], told(op, entity, before, after))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// only is a row's streamed columns, in their canonical form.
func only(t failer, row string, columns []string) string {
	t.Helper()
	if row == "" {
		return "null"
	}
	all, kept := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	decode(t, []byte(row), &all)
	for _, name := range columns {
		kept[name] = all[name]
	}
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return canonical(t, text, "", nil)
}

func questOf(t failer, entity, row string) (id int64) {
	t.Helper()
	var key struct {
		ID    int64 `json:"id"`
		Quest int64 `json:"quest_id"`
	}
	decode(t, []byte(row), &key)
	if entity == "quest" {
		return key.ID
	}
	return key.Quest
}

func told(op, entity, before, after string) string {
	return op + " " + entity + " " + before + " " + after
}

// tally is what comparing a stream with the ledger comes to, in rows.
type tally struct {
	committed, streamed         int
	lost, duplicated, disorders int
	wrong                       int // in the stream and in no transaction, or with other values
	declared                    int // missing, and the stream says so
}

// add counts another tally so many times; -1 takes it away.
func (a tally) add(b tally, times int) tally {
	return tally{
		a.committed + times*b.committed, a.streamed + times*b.streamed, a.lost + times*b.lost, a.duplicated + times*b.duplicated,
		a.disorders + times*b.disorders, a.wrong + times*b.wrong, a.declared + times*b.declared,
	}
}

func (a tally) clean() bool { return a.lost+a.duplicated+a.disorders+a.wrong == 0 }

// heard is a transaction of the stream.
type heard struct {
	end     uint64
	message uint64 // the newest
	changes []changeRecord
}

// audit compares a stream with the ledger, transaction by transaction and change
// by change.
type audit struct {
	t      failer
	tally  tally
	says   []string // the first few faults
	place  map[uint64]int
	newest int    // place of the newest transaction
	latest uint64 // commit of the latest message
	heard  map[uint64]*heard
	holes  [][2]uint64 // what the stream declares to be missing
	begin  uint64      // where the first baseline was taken
}

func compareLedger(t failer, truth []committed, messages []bus.Message) *audit {
	t.Helper()
	a := &audit{t: t, place: map[uint64]int{}, newest: -1, heard: map[uint64]*heard{}}
	for i := range truth {
		a.place[truth[i].commit] = i
	}
	for _, m := range messages {
		a.message(m)
	}
	for i := range truth {
		a.transaction(&truth[i])
	}
	for commit, h := range a.heard {
		if _, there := a.place[commit]; !there {
			a.tally.streamed += len(h.changes)
			a.fault(&a.tally.wrong, len(h.changes), "the transaction at %d was never committed", commit)
		}
	}
	return a
}

func (a *audit) fault(count *int, n int, format string, args ...any) {
	if *count += n; n > 0 && len(a.says) < 10 {
		a.says = append(a.says, fmt.Sprintf(format, args...))
	}
}

func (a *audit) message(m bus.Message) {
	if bytes.HasPrefix(m.Data, []byte(`{"control":`)) {
		var c controlRecord
		decode(a.t, m.Data, &c)
		switch {
		case c.Control == "gap":
			a.holes = append(a.holes, [2]uint64{c.From, c.To})
		case c.Control == "baseline_end" && a.begin == 0:
			a.begin = c.LSN
		case c.Transaction != nil:
			a.follows(m.Seq, c.Transaction, 0)
		}
		return
	}
	var step stepRecord
	decode(a.t, m.Data, &step)
	if step.Source.Snapshot {
		return
	}
	if h := a.follows(m.Seq, &step.Transaction, len(step.Changes)); h != nil {
		h.changes = append(h.changes, step.Changes...)
	}
}

// follows takes in a message's place; nil where the stream had it before.
func (a *audit) follows(seq bus.Seq, tx *txRecord, rows int) *heard {
	h, latest := a.heard[tx.CommitLSN], a.latest
	a.latest = tx.CommitLSN
	switch {
	case h == nil:
		h = &heard{}
		if rows > 0 {
			a.heard[tx.CommitLSN] = h
		}
		if place, there := a.place[tx.CommitLSN]; there {
			if place < a.newest {
				a.fault(&a.tally.disorders, max(rows, 1), "message %d: the transaction at %d comes late", seq, tx.CommitLSN)
			}
			a.newest = max(a.newest, place)
		}
	case tx.Message <= h.message:
		a.tally.streamed += rows
		a.fault(&a.tally.duplicated, rows, "message %d: message %d of the transaction at %d comes again", seq, tx.Message, tx.CommitLSN)
		return nil
	case latest != tx.CommitLSN:
		a.fault(&a.tally.disorders, max(rows, 1), "message %d: the transaction at %d goes on behind others", seq, tx.CommitLSN)
	}
	h.message, h.end = tx.Message, max(h.end, tx.EndLSN)
	return h
}

// transaction compares one.
func (a *audit) transaction(c *committed) {
	h := a.heard[c.commit]
	declared := slices.ContainsFunc(a.holes, func(hole [2]uint64) bool { return c.end > hole[0] && c.end <= hole[1] })
	switch {
	case h == nil && c.end <= a.begin: // it is in the first baseline
		return
	case h == nil && declared:
		a.tally.committed += len(c.rows)
		a.tally.declared += len(c.rows)
		return
	case h == nil:
		h = &heard{end: c.end}
	}
	rows := a.rows(h.changes)
	a.tally.committed += len(c.rows)
	a.tally.streamed += len(rows)
	if cut := declared && h.end == 0; h.end != c.end && !cut { // cut: the stream lost its tx_end alone
		a.fault(&a.tally.wrong, 1, "the transaction at %d ends at %d, in the stream at %d", c.commit, c.end, h.end)
	}
	missing := len(c.rows) - len(rows)
	switch {
	case slices.Equal(c.rows, rows):
	case declared && missing > 0 && within(rows, c.rows): // the stream lost its end in the middle of it
		a.tally.declared += missing
	default:
		a.differ(c, rows)
	}
}

// within reports whether some rows are, in their order, among others.
func within(some, all []string) bool {
	for _, row := range all {
		if len(some) > 0 && some[0] == row {
			some = some[1:]
		}
	}
	return len(some) == 0
}

// rows are changes as the ledger tells them.
func (a *audit) rows(changes []changeRecord) []string {
	slices.SortStableFunc(changes, func(x, y changeRecord) int { return cmp.Compare(x.Order, y.Order) })
	list := make([]string, len(changes))
	for i := range changes {
		c := &changes[i]
		before := canonical(a.t, c.Before, "", nil)
		after := canonical(a.t, c.After, before, append(c.Unchanged, c.Omitted...))
		list[i] = told(c.Op, c.Entity, before, after)
	}
	return list
}

// differ counts what makes a transaction's changes others than the ledger's.
func (a *audit) differ(c *committed, rows []string) {
	balance, known := map[string]int{}, map[string]bool{}
	for _, row := range c.rows {
		balance[row]++
		known[row] = true
	}
	for _, row := range rows {
		balance[row]--
	}
	same := true
	for _, row := range slices.Sorted(maps.Keys(balance)) {
		n := balance[row]
		same = same && n == 0
		switch {
		case n > 0:
			a.fault(&a.tally.lost, n, "the transaction at %d lacks %s", c.commit, row)
		case n < 0 && known[row]:
			a.fault(&a.tally.duplicated, -n, "the transaction at %d has %s too often", c.commit, row)
		case n < 0:
			a.fault(&a.tally.wrong, -n, "the transaction at %d never had %s", c.commit, row)
		}
	}
	if same {
		a.fault(&a.tally.disorders, 1, "the transaction at %d has its changes in another order:\n%q\nwant\n%q", c.commit, rows, c.rows)
	}
}
