package app

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/testkit"
)

// What judges the faults is judged here: a real stream is put wrong in one place
// after the other, and the ledger must notice each time.
func TestLedgerNoticesEveryFault(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.Stream.MaxRows = 5
	r := start(t, c, dsn)
	r.ready(t)
	book := keepLedger(t, dsn, "ledger_"+c.Postgres.Slot)
	load := startTraffic(t, dsn, 3)
	load.more(t, 25)
	load.stop()
	messages := r.verify(t).messages
	truth := book.read(t)
	if a := compareLedger(t, truth, messages); !a.tally.clean() || a.tally.committed < 25 || a.tally.committed != a.tally.streamed {
		t.Fatalf("the stream as it is: %+v %q", a.tally, a.says)
	}
	places := 0
	for i := range messages {
		var step stepRecord
		if decode(t, messages[i].Data, &step); len(step.Changes) == 0 || step.Source.Snapshot {
			continue
		}
		places++
		for name, spoilt := range spoilMessages(messages, i) {
			if a := compareLedger(t, truth, spoilt.messages); !spoilt.noticed(&a.tally, len(step.Changes)) {
				t.Errorf("message %d of %d changes, %s: %+v", messages[i].Seq, len(step.Changes), name, a.tally)
			}
		}
		for j := range step.Changes {
			for name, spoilt := range spoilChange(t, messages, i, j) {
				if a := compareLedger(t, truth, spoilt.messages); !spoilt.noticed(&a.tally, 1) {
					t.Errorf("message %d, change %d of %d, %s: %+v", messages[i].Seq, j+1, len(step.Changes), name, a.tally)
				}
			}
		}
	}
	if places < 20 {
		t.Errorf("only %d messages were put wrong", places)
	}
}

// spoilt is a stream that is wrong somewhere, and how to tell that it was noticed.
type spoilt struct {
	messages []bus.Message
	noticed  func(a *tally, rows int) bool
}

// spoilMessages puts whole messages wrong.
func spoilMessages(messages []bus.Message, i int) map[string]spoilt {
	twice := func(a *tally, rows int) bool { return a.duplicated == rows && a.lost+a.wrong+a.disorders == 0 }
	all := map[string]spoilt{
		"again at once":      {slices.Insert(slices.Clone(messages), i, messages[i]), twice},
		"again later":        {append(slices.Clone(messages), messages[i]), twice},
		"missing":            {slices.Delete(slices.Clone(messages), i, i+1), func(a *tally, rows int) bool { return a.lost == rows }},
		"after all others":   {append(slices.Delete(slices.Clone(messages), i, i+1), messages[i]), func(a *tally, _ int) bool { return !a.clean() }},
		"at another commit":  {with(messages, i, `"commit_lsn":`, `"commit_lsn":1`), func(a *tally, rows int) bool { return a.lost == rows && a.wrong >= rows }},
		"at the first place": {slices.Insert(slices.Delete(slices.Clone(messages), i, i+1), 0, messages[i]), func(a *tally, _ int) bool { return !a.clean() }},
	}
	if next := nextStep(messages, i); next == 0 || sameTransaction(messages[i], messages[next]) {
		delete(all, "after all others") // it may be the last of them
	}
	if firstStep(messages) == i {
		delete(all, "at the first place")
	}
	return all
}

// with is the stream with a text replaced in one message.
func with(messages []bus.Message, i int, text, by string) []bus.Message {
	all := slices.Clone(messages)
	all[i].Data = bytes.Replace(all[i].Data, []byte(text), []byte(by), 1)
	return all
}

func isStep(m bus.Message) bool {
	return !bytes.HasPrefix(m.Data, []byte(`{"control":`)) && !bytes.Contains(m.Data, []byte(`"snapshot":true`))
}

func nextStep(messages []bus.Message, i int) int {
	return max(0, slices.IndexFunc(messages[i+1:], isStep)+i+1)
}

func firstStep(messages []bus.Message) int { return slices.IndexFunc(messages, isStep) }

func sameTransaction(a, b bus.Message) bool { return commitOf(a) == commitOf(b) }

func commitOf(m bus.Message) string {
	_, rest, _ := strings.Cut(string(m.Data), `"commit_lsn":`)
	lsn, _, _ := strings.Cut(rest, ",")
	return lsn
}

// spoilChange puts one change of a message wrong.
func spoilChange(t *testing.T, messages []bus.Message, i, j int) map[string]spoilt {
	t.Helper()
	change := func(fn func(changes []changeRecord) []changeRecord) []bus.Message {
		var step stepRecord
		decode(t, messages[i].Data, &step)
		step.Changes = fn(step.Changes)
		data, err := json.Marshal(step)
		if err != nil {
			t.Fatal(err)
		}
		all := slices.Clone(messages)
		all[i].Data = data
		return all
	}
	wrong := func(a *tally, _ int) bool { return a.lost == 1 && a.wrong == 1 }
	all := map[string]spoilt{
		"missing": {change(func(c []changeRecord) []changeRecord { return slices.Delete(c, j, j+1) }), func(a *tally, _ int) bool { return a.lost == 1 }},
		"twice":   {change(func(c []changeRecord) []changeRecord { return slices.Insert(c, j, c[j]) }), func(a *tally, _ int) bool { return a.duplicated == 1 }},
		"another operation": {change(func(c []changeRecord) []changeRecord {
			c[j].Op = map[string]string{"c": "u", "u": "d", "d": "c"}[c[j].Op]
			return c
		}), wrong},
		"another value": {change(func(c []changeRecord) []changeRecord {
			row := &c[j].After
			if c[j].Op == "d" {
				row = &c[j].Before
			}
			*row = otherID(t, *row)
			return c
		}), wrong},
	}
	var step stepRecord
	decode(t, messages[i].Data, &step)
	if k := j + 1; k < len(step.Changes) && !bytes.Equal(step.Changes[j].After, step.Changes[k].After) {
		all["before the one before it"] = spoilt{change(func(c []changeRecord) []changeRecord {
			c[j].Order, c[k].Order = c[k].Order, c[j].Order
			return c
		}), func(a *tally, _ int) bool { return a.disorders == 1 }}
	}
	return all
}

// otherID is a row with one number changed.
func otherID(t *testing.T, row json.RawMessage) json.RawMessage {
	t.Helper()
	columns := map[string]any{}
	decode(t, row, &columns)
	columns["id"] = columns["id"].(float64) + 1e6
	data, err := json.Marshal(columns)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
