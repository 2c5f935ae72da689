package change_test

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
)

// documented is the example of the wire form in the design, byte for byte but
// for the line breaks.
const documented = `{"quest_id":42,` +
	`"transaction":{"id":754,"commit_lsn":24023400,"end_lsn":24023448,"ts_ms":1782912152000,"message":1,"messages":1},` +
	`"source":{"connector":"questwatch","db":"peerquest","epoch":1,"snapshot":false},` +
	`"changes":[` +
	`{"op":"u","entity":"application","table":"public.applications_application","order":1,"lsn":24023128,` +
	`"before":{"id":7,"quest_id":42,"status":"pending"},"after":{"id":7,"quest_id":42,"status":"approved"}},` +
	`{"op":"c","entity":"participant","table":"public.quests_questparticipant","order":2,"lsn":24023264,` +
	`"before":null,"after":{"id":3,"quest_id":42,"status":"joined"}}],` +
	`"ts_ms":1782912152004}`

func documentedStep() change.Step {
	return change.Step{
		QuestID: 42,
		Transaction: change.Transaction{
			ID: 754, CommitLSN: 24023400, EndLSN: 24023448, Time: 1782912152000, Message: 1, Messages: 1,
		},
		Source: change.Source{DB: "peerquest", Epoch: 1},
		Changes: []change.Change{
			{
				Op: change.Update, Entity: change.Application, Table: "public.applications_application", Order: 1, LSN: 24023128,
				Before: change.Row(`{"id":7,"quest_id":42,"status":"pending"}`),
				After:  change.Row(`{"id":7,"quest_id":42,"status":"approved"}`),
			},
			{
				Op: change.Create, Entity: change.Participant, Table: "public.quests_questparticipant", Order: 2, LSN: 24023264,
				After: change.Row(`{"id":3,"quest_id":42,"status":"joined"}`),
			},
		},
		Published: 1782912152004,
	}
}

func TestDocumentedExample(t *testing.T) {
	want := documentedStep()
	if got := string(change.AppendStep(nil, &want)); got != documented {
		t.Errorf("encoded\n%s\nwant\n%s", got, documented)
	}
	var d change.Decoder
	var got change.Step
	if err := d.Step([]byte(documented), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameStep); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

// wireStep is the documented wire form as encoding/json reads it. It shares no
// code with the package.
type wireStep struct {
	QuestID     int64           `json:"quest_id"`
	Transaction wireTransaction `json:"transaction"`
	Source      wireSource      `json:"source"`
	Changes     []wireChange    `json:"changes"`
	TSMS        int64           `json:"ts_ms"`
}

type wireTransaction struct {
	ID        uint64 `json:"id"`
	CommitLSN uint64 `json:"commit_lsn"`
	EndLSN    uint64 `json:"end_lsn"`
	TSMS      int64  `json:"ts_ms"`
	Message   int    `json:"message"`
	Messages  int    `json:"messages"`
}

type wireSource struct {
	Connector string `json:"connector"`
	DB        string `json:"db"`
	Epoch     uint64 `json:"epoch"`
	Snapshot  bool   `json:"snapshot"`
}

type wireChange struct {
	Op        string          `json:"op"`
	Entity    string          `json:"entity"`
	Table     string          `json:"table"`
	Order     int             `json:"order"`
	LSN       uint64          `json:"lsn"`
	Moved     bool            `json:"moved"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
	Unchanged []string        `json:"unchanged"`
	Omitted   []string        `json:"omitted"`
}

func (t wireTransaction) transaction() change.Transaction {
	return change.Transaction{
		ID: t.ID, CommitLSN: change.LSN(t.CommitLSN), EndLSN: change.LSN(t.EndLSN), Time: change.Millis(t.TSMS),
		Message: t.Message, Messages: t.Messages,
	}
}

// step is what the wire form means.
func (w *wireStep) step() change.Step {
	s := change.Step{
		QuestID: w.QuestID, Transaction: w.Transaction.transaction(),
		Source:    change.Source{DB: w.Source.DB, Epoch: w.Source.Epoch, Snapshot: w.Source.Snapshot},
		Published: change.Millis(w.TSMS),
	}
	for i := range w.Changes {
		c := &w.Changes[i]
		e, _ := change.ParseEntity(c.Entity)
		s.Changes = append(s.Changes, change.Change{
			Op: change.Op(c.Op[0]), Entity: e, Table: c.Table, Order: c.Order, LSN: change.LSN(c.LSN), Moved: c.Moved,
			Before: wireRow(c.Before), After: wireRow(c.After), Unchanged: c.Unchanged, Omitted: c.Omitted,
		})
	}
	return s
}

func wireRow(r json.RawMessage) change.Row {
	if r == nil || string(r) == "null" {
		return nil
	}
	return change.Row(r)
}

func readWire(t interface{ Fatalf(string, ...any) }, data []byte) change.Step {
	var w wireStep
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatalf("encoding/json: %v in %s", err, data)
	}
	return w.step()
}

var sameStep = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(change.Change{})}

func TestStepRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genStep().Draw(t, "step")
		data := change.AppendStep(nil, &want)
		if !json.Valid(data) {
			t.Fatalf("not JSON: %s", data)
		}
		if diff := cmp.Diff(want, readWire(t, data), sameStep); diff != "" {
			t.Fatalf("encoding/json reads (-want +got):\n%s", diff)
		}
		var d change.Decoder
		got := change.Step{Changes: []change.Change{{Table: "left over", Moved: true}}}
		if err := d.Step(data, &got); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		if diff := cmp.Diff(want, got, sameStep); diff != "" {
			t.Fatalf("decoded (-want +got):\n%s", diff)
		}
		if again := change.AppendStep([]byte("x"), &got); string(again[1:]) != string(data) {
			t.Fatalf("encoded again as %s, was %s", again[1:], data)
		}
		var spaced bytes.Buffer
		if err := json.Indent(&spaced, data, "\r", "\t"); err != nil {
			t.Fatalf("indent: %v", err)
		}
		if err := d.Step(spaced.Bytes(), &got); err != nil {
			t.Fatalf("with white space: %v in %s", err, spaced.Bytes())
		}
	})
}

func TestControlRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genControl().Draw(t, "control")
		data, err := change.AppendControl([]byte("x"), &want)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		data = data[1:]
		if !json.Valid(data) || !change.IsControl(data) {
			t.Fatalf("not a control record: %s", data)
		}
		var d change.Decoder
		got, err := d.Control(data)
		if err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		if diff := cmp.Diff(&want, got, sameStep); diff != "" {
			t.Fatalf("decoded (-want +got):\n%s", diff)
		}
	})
}

var (
	anyText  = rapid.String()
	anyLSN   = rapid.Map(rapid.Uint64(), func(n uint64) change.LSN { return change.LSN(n) })
	anyTime  = rapid.Map(rapid.Int64(), func(n int64) change.Millis { return change.Millis(n) })
	anyNames = rapid.SliceOfN(anyText, 0, 3)
)

func genTransaction() *rapid.Generator[change.Transaction] {
	return rapid.Custom(func(t *rapid.T) change.Transaction {
		tx := change.Transaction{
			ID: rapid.Uint64().Draw(t, "xid"), CommitLSN: anyLSN.Draw(t, "commit"), EndLSN: anyLSN.Draw(t, "end"),
			Time: anyTime.Draw(t, "time"), Message: rapid.IntRange(1, math.MaxInt32).Draw(t, "message"),
		}
		if rapid.Bool().Draw(t, "counted") {
			tx.Messages = rapid.IntRange(tx.Message, math.MaxInt32).Draw(t, "messages")
		}
		return tx
	})
}

func genSource() *rapid.Generator[change.Source] {
	return rapid.Custom(func(t *rapid.T) change.Source {
		return change.Source{
			DB: anyText.Draw(t, "db"), Epoch: rapid.Uint64().Draw(t, "epoch"), Snapshot: rapid.Bool().Draw(t, "snapshot"),
		}
	})
}

// genRow builds rows with the package's own functions and with encoding/json.
func genRow(columns *rapid.Generator[string], least int) *rapid.Generator[change.Row] {
	value := rapid.OneOf(
		rapid.Just(any(nil)), rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(anyText, func(s string) any { return s }),
		rapid.Map(anyNames, func(s []string) any { return map[string]any{"nested": s} }),
	)
	return rapid.Custom(func(t *rapid.T) change.Row {
		var row change.Row
		for range rapid.IntRange(least, 4).Draw(t, "columns") {
			column, v := columns.Draw(t, "column"), value.Draw(t, "value")
			if s, ok := v.(string); ok {
				row = change.AppendText(row, column, s)
				continue
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("marshal: %v", err)
			}
			row = change.AppendValue(row, column, text)
		}
		return change.CloseRow(row)
	})
}

func genChange() *rapid.Generator[change.Change] {
	return rapid.Custom(func(t *rapid.T) change.Change {
		c := change.Change{
			Op:     rapid.SampledFrom([]change.Op{change.Create, change.Update, change.Delete, change.Read}).Draw(t, "op"),
			Entity: rapid.SampledFrom(change.Entities[:]).Draw(t, "entity"), Table: anyText.Draw(t, "table"),
			Order: rapid.IntRange(0, math.MaxInt32).Draw(t, "order"), LSN: anyLSN.Draw(t, "lsn"),
			Moved: rapid.Bool().Draw(t, "moved"), Unchanged: anyNames.Draw(t, "unchanged"), Omitted: anyNames.Draw(t, "omitted"),
		}
		if c.Op == change.Delete || c.Op == change.Update && rapid.Bool().Draw(t, "has before") {
			c.Before = genRow(anyText, 0).Draw(t, "before")
		}
		if c.Op != change.Delete {
			c.After = genRow(anyText, 0).Draw(t, "after")
		}
		return c
	})
}

func genStep() *rapid.Generator[change.Step] {
	return rapid.Custom(func(t *rapid.T) change.Step {
		return change.Step{
			QuestID: rapid.Int64().Draw(t, "quest"), Transaction: genTransaction().Draw(t, "transaction"),
			Source: genSource().Draw(t, "source"), Changes: rapid.SliceOfN(genChange(), 0, 4).Draw(t, "changes"),
			Published: anyTime.Draw(t, "published"),
		}
	})
}

func genControl() *rapid.Generator[change.Control] {
	kinds := []change.Kind{
		change.Progress, change.BaselineBegin, change.BaselineEnd, change.TxEnd, change.Truncate,
		change.SchemaChanged, change.Gap, change.Epoch, change.Message,
	}
	return rapid.Custom(func(t *rapid.T) change.Control {
		tx := genTransaction().Draw(t, "transaction")
		return change.Control{
			Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Source: genSource().Draw(t, "source"), Transaction: &tx,
			LSN: max(anyLSN.Draw(t, "lsn"), 1), Time: anyTime.Draw(t, "time"),
			Rows:     rapid.MapOfN(anyText, rapid.Int64(), 0, 3).Draw(t, "rows"),
			Entities: anyNames.Draw(t, "entities"), Columns: anyNames.Draw(t, "columns"), Missing: anyNames.Draw(t, "missing"),
			From: anyLSN.Draw(t, "from"), To: anyLSN.Draw(t, "to"), Reason: anyText.Draw(t, "reason"),
			System: anyText.Draw(t, "system"), Timeline: rapid.Uint32().Draw(t, "timeline"), Instance: anyText.Draw(t, "instance"),
			Prefix: anyText.Draw(t, "prefix"), Content: anyText.Draw(t, "content"),
		}
	})
}
