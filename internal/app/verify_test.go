package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

var errCaughtUp = errors.New("caught up")

// verify ends a scenario: the program has taken in everything, its findings are
// what the tables' rows violate, the stream holds exactly what happened, and the
// state is that of the tables. Nobody may write any more. Run has ended when it
// returns.
func (r *running) verify(t *testing.T) *streamed {
	t.Helper()
	r.ready(t)
	r.settle(t)
	r.verifyFindings(t)
	r.verifyState(t)
	r.halt(t)
	return verifyStream(t, r.Bus(), r.dsn)
}

// verifyState compares the state of the checker with the tables, and counts the
// quests that differ or could not be compared.
func (r *running) verifyState(t *testing.T) int {
	t.Helper()
	var result *verify.Result
	testkit.Eventually(t, 30*time.Second, func() (err error) { // it cannot be while the stream is read anew
		result, err = r.Verify(t.Context())
		return err
	})
	if !result.Equal() {
		t.Error(result)
	}
	return result.Mismatched + result.Undecided
}

// streamed is what a CDC stream says, read without any of the program's own
// decoders.
type streamed struct {
	t        failer
	messages []bus.Message               // all that it was read from
	rows     map[string]map[int64]string // by entity and id, in a canonical form
	restated map[string]map[int64]bool   // by the baseline that is being read; nil outside of one
	known    bool                        // rows are whole: a baseline has ended, and no gap came since

	seq                    change.Seq
	epoch, commit, message uint64 // of the newest position
	open                   bool   // the transaction at commit is not complete
	promised               int    // messages of that transaction
	// changes of that transaction: messages group them by quest, and a row that
	// changes quest may come before it goes.
	changes  []changeRecord
	marked   uint64 // LSN of the newest record of progress
	time     int64
	recorded uint64

	controls     []controlRecord
	transactions int
	faults       int
}

type txRecord struct {
	ID        uint64 `json:"id"`
	CommitLSN uint64 `json:"commit_lsn"`
	EndLSN    uint64 `json:"end_lsn"`
	Message   uint64 `json:"message"`
	Messages  int    `json:"messages"`
}

type sourceRecord struct {
	Epoch    uint64 `json:"epoch"`
	Snapshot bool   `json:"snapshot"`
}

type controlRecord struct {
	Control     string       `json:"control"`
	Source      sourceRecord `json:"source"`
	Transaction *txRecord    `json:"transaction"`
	LSN         uint64       `json:"lsn"`
	Time        int64        `json:"ts_ms"`
	Entities    []string     `json:"entities"`
	Reason      string       `json:"reason"`
	Prefix      string       `json:"prefix"`
	Content     string       `json:"content"`
	Instance    string       `json:"instance"`
	From        uint64       `json:"from"`
	To          uint64       `json:"to"`
}

type stepRecord struct {
	QuestID     int64          `json:"quest_id"`
	Transaction txRecord       `json:"transaction"`
	Source      sourceRecord   `json:"source"`
	Changes     []changeRecord `json:"changes"`
}

type changeRecord struct {
	Op        string          `json:"op"`
	Entity    string          `json:"entity"`
	Order     int             `json:"order"`
	LSN       uint64          `json:"lsn"`
	Moved     bool            `json:"moved"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
	Unchanged []string        `json:"unchanged"`
	Omitted   []string        `json:"omitted"`
}

// failer is the part of a test that is told of faults.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// verifyStream reads the whole CDC stream and fails the test unless it is in
// order, whole, without anything twice, and amounts to the tables.
func verifyStream(t *testing.T, b *bus.Conn, dsn string) *streamed {
	t.Helper()
	s := readStream(t, readCDC(t, b))
	if diff := cmp.Diff(tableRows(t, dsn), s.rows); diff != "" {
		t.Errorf("tables (-) and stream (+) differ:\n%.4000s", diff)
	}
	return s
}

func readCDC(t *testing.T, b *bus.Conn) (all []bus.Message) {
	t.Helper()
	err := b.ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
		m.Data = bytes.Clone(m.Data)
		all = append(all, m)
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return all
}

// readStream plays a stream's messages.
func readStream(t failer, messages []bus.Message) *streamed {
	t.Helper()
	s := &streamed{t: t, messages: messages, rows: map[string]map[int64]string{}}
	for _, e := range change.Entities {
		s.rows[e.String()] = map[int64]string{}
	}
	for _, m := range messages {
		s.seq = m.Seq
		s.take(m)
	}
	if s.open {
		s.fault("the stream ends inside the transaction of %d", s.commit)
	}
	if !s.known {
		s.fault("the stream holds no whole baseline")
	}
	return s
}

func (s *streamed) fault(format string, args ...any) {
	s.t.Helper()
	if s.faults++; s.faults <= 10 {
		s.t.Errorf("message %d: %s", s.seq, fmt.Sprintf(format, args...))
	}
}

func (s *streamed) take(m bus.Message) {
	s.t.Helper()
	if !bytes.HasPrefix(m.Data, []byte(`{"control":`)) {
		var step stepRecord
		decode(s.t, m.Data, &step)
		s.step(&step)
		return
	}
	var c controlRecord
	decode(s.t, m.Data, &c)
	s.controls = append(s.controls, c)
	s.control(&c)
}

func decode(t failer, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("decode %s: %v", data, err)
	}
}

// at checks that a message follows the one before.
func (s *streamed) at(epoch uint64, tx *txRecord, snapshot bool) {
	s.t.Helper()
	if epoch < s.epoch {
		s.fault("epoch %d follows %d", epoch, s.epoch)
	}
	// The order of commits holds over epochs too: nothing is streamed twice.
	if tx.CommitLSN < s.commit || tx.CommitLSN == s.commit && tx.Message <= s.message {
		s.fault("transaction %d message %d follows %d message %d", tx.CommitLSN, tx.Message, s.commit, s.message)
	}
	if tx.CommitLSN < s.marked && !snapshot {
		s.fault("transaction %d follows progress up to %d", tx.CommitLSN, s.marked)
	}
	if tx.CommitLSN != s.commit {
		if s.open {
			s.fault("transaction %d begins before %d is complete", tx.CommitLSN, s.commit)
		}
		s.transactions++
		s.message, s.promised, s.changes = 0, tx.Messages, nil
	}
	if tx.Message != s.message+1 {
		s.fault("message %d of transaction %d follows %d", tx.Message, tx.CommitLSN, s.message)
	}
	if tx.Messages != s.promised {
		s.fault("transaction %d has %d and %d messages", tx.CommitLSN, tx.Messages, s.promised)
	}
	if tx.EndLSN != 0 && tx.EndLSN <= tx.CommitLSN {
		s.fault("transaction %d ends at %d", tx.CommitLSN, tx.EndLSN)
	}
	s.epoch, s.commit, s.message = epoch, tx.CommitLSN, tx.Message
}

func (s *streamed) step(step *stepRecord) {
	s.t.Helper()
	tx := &step.Transaction
	s.at(step.Source.Epoch, tx, step.Source.Snapshot)
	if step.Source.Snapshot != (s.restated != nil) {
		s.fault("a row of a baseline outside of one, or the reverse")
	}
	for i := range step.Changes {
		c := &step.Changes[i]
		s.belongs(step.QuestID, c.Entity, c.Before)
		s.belongs(step.QuestID, c.Entity, c.After)
	}
	s.changes = append(s.changes, step.Changes...)
	if step.Source.Snapshot {
		return
	}
	s.open = tx.Messages == 0 || int(tx.Message) < tx.Messages
	if !s.open {
		s.end(tx.EndLSN)
	}
}

// end closes a transaction.
func (s *streamed) end(lsn uint64) {
	s.t.Helper()
	s.open = false
	s.replay()
	s.record(lsn)
}

// replay applies the changes of a transaction or a baseline in their order.
func (s *streamed) replay() {
	s.t.Helper()
	slices.SortStableFunc(s.changes, func(a, b changeRecord) int { return a.Order - b.Order })
	for i := range s.changes {
		if s.changes[i].Order != i+1 {
			s.fault("change %d of transaction %d has number %d", i+1, s.commit, s.changes[i].Order)
		}
		s.row(&s.changes[i])
	}
	s.changes = nil
}

func (s *streamed) record(lsn uint64) {
	s.t.Helper()
	if lsn < s.recorded {
		s.fault("position %d is recorded after %d", lsn, s.recorded)
	}
	s.recorded = lsn
}

func (s *streamed) row(c *changeRecord) {
	s.t.Helper()
	table := s.rows[c.Entity]
	before, after := rowID(s.t, c.Before), rowID(s.t, c.After)
	was, there := table[before]
	if s.known && (there != (c.Op != "c") || there && was != canonical(s.t, c.Before, "", nil)) {
		s.fault("%s of %s %d: it is %q and before is %s", c.Op, c.Entity, max(before, after), was, c.Before)
	}
	if _, there := table[after]; s.known && there && c.Op == "c" {
		s.fault("%s %d is created twice", c.Entity, after)
	}
	switch c.Op {
	case "r":
		if s.restated[c.Entity][after] {
			s.fault("%s %d is restated twice", c.Entity, after)
		}
		s.restated[c.Entity][after] = true
		table[after] = canonical(s.t, c.After, "", nil)
	case "c", "u":
		table[after] = canonical(s.t, c.After, was, append(c.Unchanged, c.Omitted...))
	case "d":
		delete(table, before)
	default:
		s.fault("unknown op %q", c.Op)
	}
}

func rowID(t failer, row json.RawMessage) int64 {
	t.Helper()
	var key struct {
		ID int64 `json:"id"`
	}
	if len(row) > 0 {
		decode(t, row, &key)
	}
	return key.ID
}

// belongs checks that a row is of the quest.
func (s *streamed) belongs(quest int64, entity string, row json.RawMessage) {
	s.t.Helper()
	if s.rows[entity] == nil {
		s.fault("unknown entity %q", entity)
	}
	if len(row) == 0 || string(row) == "null" {
		return
	}
	column, columns := "quest_id", map[string]any{}
	if entity == "quest" {
		column = "id"
	}
	decode(s.t, row, &columns)
	if columns[column] != float64(quest) {
		s.fault("%s in a step of quest %d: %s", entity, quest, row)
	}
}

// canonical sorts a row's columns; absent ones are taken from what was before.
func canonical(t failer, row json.RawMessage, was string, absent []string) string {
	t.Helper()
	columns := map[string]any{}
	if len(row) > 0 {
		decode(t, row, &columns)
	}
	if len(absent) > 0 && was != "" {
		old := map[string]any{}
		decode(t, []byte(was), &old)
		for _, name := range absent {
			columns[name] = old[name]
		}
	}
	text, err := json.Marshal(columns)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(text)
}

func (s *streamed) control(c *controlRecord) {
	s.t.Helper()
	if c.Transaction != nil {
		s.at(c.Source.Epoch, c.Transaction, false)
		if c.Transaction.Messages == 0 {
			s.open = true
		}
	} else {
		if s.open && c.Control != "epoch" && c.Control != "gap" {
			s.fault("%s inside transaction %d", c.Control, s.commit)
		}
		if c.Source.Epoch < s.epoch {
			s.fault("epoch %d follows %d", c.Source.Epoch, s.epoch)
		}
		s.epoch = c.Source.Epoch
	}
	switch c.Control {
	case "progress":
		if c.Time < s.time {
			s.fault("time goes back from %d to %d", s.time, c.Time)
		}
		s.time, s.marked = c.Time, c.LSN
		s.record(c.LSN)
	case "gap": // what comes next may be of another cluster
		s.changes = nil
		s.known, s.open, s.commit, s.message, s.marked, s.recorded = false, false, 0, 0, 0, 0
	case "baseline_begin":
		s.restated = map[string]map[int64]bool{"quest": {}, "application": {}, "participant": {}}
		s.known, s.changes = false, nil
	case "baseline_end":
		s.replay()
		for entity, table := range s.rows {
			for id := range table {
				if !s.restated[entity][id] {
					delete(table, id)
				}
			}
		}
		s.restated, s.known = nil, true
		s.record(c.LSN)
	case "truncate":
		for _, e := range c.Entities {
			clear(s.rows[e])
		}
	case "tx_end":
		s.end(c.Transaction.EndLSN)
	case "epoch", "message", "schema_changed":
		if c.Control == "message" && c.Transaction.Messages == 1 {
			s.open = false
		}
	default:
		s.fault("unknown record %q", c.Control)
	}
}

// count counts the control records of a kind.
func (s *streamed) count(kind string) (n int) {
	for _, c := range s.controls {
		if c.Control == kind {
			n++
		}
	}
	return n
}
