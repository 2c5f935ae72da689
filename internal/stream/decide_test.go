package stream

import (
	"context"
	"fmt"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

func TestDecide(t *testing.T) {
	slot := Slot{Exists: true, Usable: true, Confirmed: 100}
	whole := tail{first: 1, last: 50, epoch: 3, whole: 120}
	noted := Note{Baseline: 10, Epoch: 3, System: "here"}
	lost := Slot{Exists: true, Confirmed: 100}
	for name, c := range map[string]struct {
		tail tail
		slot Slot
		note Note
		want plan
	}{
		"goes on":                     {whole, slot, noted, plan{from: 120}},
		"goes on at the slot's place": {whole, Slot{Exists: true, Usable: true, Confirmed: 120}, noted, plan{from: 120}},
		"first start":                 {tail{first: 1}, Slot{}, Note{}, plan{baseline: "start"}},
		"first baseline was cut":      {tail{first: 1, last: 9, epoch: 1}, Slot{}, Note{Epoch: 1, System: "here"}, plan{baseline: "no_baseline"}},
		"baseline was cut":            {whole, slot, Note{Epoch: 3, System: "here"}, plan{from: 120, baseline: "no_baseline"}},
		"baseline has expired":        {tail{first: 11, last: 50, whole: 120}, slot, noted, plan{from: 120, baseline: "no_baseline"}},
		"stream was purged":           {tail{first: 51, last: 50}, slot, noted, plan{from: 100, baseline: "no_baseline"}},
		"stream was made anew":        {tail{first: 1}, slot, Note{Epoch: 3, System: "here"}, plan{from: 100, gap: "stream_behind", baseline: "stream_behind"}},
		"stream lost its end":         {tail{first: 1, last: 50, whole: 90}, slot, noted, plan{from: 100, gap: "stream_behind", baseline: "stream_behind"}},
		"slot is missing":             {whole, Slot{}, noted, plan{gap: "slot_missing", baseline: "slot_missing"}},
		"slot is missing after a cut": {whole, Slot{}, Note{Epoch: 3, System: "here"}, plan{gap: "slot_missing", baseline: "slot_missing"}},
		"slot is lost":                {whole, lost, noted, plan{gap: "slot_lost", baseline: "slot_lost"}},
		"set-up was lost":             {whole, slot, Note{Epoch: 3, System: "here", Gap: "log_unreadable"}, plan{gap: "log_unreadable", baseline: "log_unreadable"}},
		"publication has changed": {
			whole,
			Slot{Exists: true, Usable: true, Confirmed: 100, Publication: "2"},
			Note{Baseline: 10, Epoch: 3, System: "here", Publication: "1"},
			plan{gap: "publication_changed", baseline: "publication_changed"},
		},
		"other cluster": {whole, slot, Note{Baseline: 10, Epoch: 3, System: "there"}, plan{gap: "other_system", baseline: "other_system"}},
		"log went back": {tail{first: 1, last: 50, whole: 1001}, slot, noted, plan{gap: "log_behind", baseline: "log_behind"}},
		"log went back into a transaction": {
			tail{first: 1, last: 50, whole: 1000, partial: partial{commit: 1000, messages: 1, held: true}},
			slot, noted,
			plan{gap: "log_behind", baseline: "log_behind"},
		},
		"note is gone": {whole, slot, Note{}, plan{from: 120, baseline: "no_baseline"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.slot.System = "here"
			if got := decide(&c.tail, c.slot, c.note, c.tail.first, nil, 1000); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// write fills a stream in short: e epoch, g gap, p LSN progress, b LSN and B LSN a
// baseline's ends, r a row of it; s COMMIT MESSAGE MESSAGES END ORDER a step;
// c, t, x, m a control record of a transaction: schema_changed, truncate, tx_end,
// message; ? something that is not ours.
func write(t *testing.T, m *memory, epoch uint64, lines ...string) {
	t.Helper()
	for _, line := range lines {
		var what string
		var lsn, message, messages, end, order int
		if n, _ := fmt.Sscan(line, &what, &lsn, &message, &messages, &end, &order); n == 0 {
			t.Fatalf("line %q", line)
		}
		tx := change.Transaction{CommitLSN: change.LSN(lsn), Message: message, Messages: messages, EndLSN: change.LSN(end)}
		source := change.Source{DB: "db", Epoch: epoch, Snapshot: what == "r"}
		kind := map[string]change.Kind{
			"e": change.Epoch, "g": change.Gap, "p": change.Progress, "b": change.BaselineBegin, "B": change.BaselineEnd,
			"c": change.SchemaChanged, "t": change.Truncate, "x": change.TxEnd, "m": change.Message,
		}[what]
		var data []byte
		switch {
		case what == "?":
			data = []byte("hello")
		case kind == "":
			row := change.CloseRow(change.AppendValue(nil, "id", []byte("1")))
			data = change.AppendStep(nil, &change.Step{QuestID: 1, Transaction: tx, Source: source, Changes: []change.Change{{
				Op: change.Create, Entity: change.Quest, Table: "q", Order: order, After: row,
			}}})
		default:
			c := &change.Control{Kind: kind, Source: source, LSN: change.LSN(lsn)}
			if kind == change.SchemaChanged || kind == change.Truncate || kind == change.TxEnd || kind == change.Message {
				c.Transaction, c.LSN = &tx, 0
			}
			var err error
			if data, err = change.AppendControl(nil, c); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := m.Publish(t.Context(), "", data); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadTail(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		purge bool
		more  []string
		want  tail
	}{
		"empty":                          {want: tail{first: 1}},
		"progress":                       {lines: []string{"e", "p 70"}, want: tail{first: 1, last: 2, epoch: 2, whole: 70}},
		"baseline":                       {lines: []string{"e", "b 60", "r 59 1 0", "B 60"}, want: tail{first: 1, last: 4, epoch: 2, whole: 60}},
		"transaction":                    {lines: []string{"p 70", "s 80 1 2 85 1", "s 80 2 2 85 2"}, want: tail{first: 1, last: 3, epoch: 2, whole: 85}},
		"large transaction":              {lines: []string{"p 70", "s 80 1 0 0 9", "x 80 2 0 85"}, want: tail{first: 1, last: 3, epoch: 2, whole: 85}},
		"purged":                         {lines: []string{"p 70", "p 71"}, purge: true, want: tail{first: 3, last: 2}},
		"epoch behind a purge":           {lines: []string{"p 70", "p 71"}, purge: true, more: []string{"e"}, want: tail{first: 3, last: 3, epoch: 2}},
		"epoch":                          {lines: []string{"p 70", "e"}, want: tail{first: 1, last: 2, epoch: 2, whole: 70}},
		"epoch and gap":                  {lines: []string{"p 70", "e", "g"}, want: tail{first: 1, last: 3, epoch: 2, whole: 70}},
		"baseline cut":                   {lines: []string{"p 70", "e", "b 90", "r 89 1 0", "r 89 2 0"}, want: tail{first: 1, last: 5, epoch: 2, whole: 70}},
		"first baseline cut":             {lines: []string{"e", "b 90", "r 89 1 0", "r 89 2 0"}, want: tail{first: 1, last: 4, epoch: 2}},
		"held cut":                       {lines: []string{"p 70", "s 80 1 3 85 1", "s 80 2 3 85 2"}, want: tail{first: 1, last: 3, epoch: 2, whole: 70, partial: partial{commit: 80, messages: 2, held: true}}},
		"held cut, then an epoch":        {lines: []string{"p 70", "s 80 1 3 85 1", "e"}, want: tail{first: 1, last: 3, epoch: 2, whole: 70, partial: partial{commit: 80, messages: 1, held: true}}},
		"large cut":                      {lines: []string{"p 70", "s 80 1 0 0 9", "s 80 2 0 0 17"}, want: tail{first: 1, last: 3, epoch: 2, whole: 70, partial: partial{commit: 80, messages: 2, order: 17}}},
		"large cut behind notes":         {lines: []string{"p 70", "s 80 1 0 0 9", "t 80 2 0", "c 80 3 0", "t 80 4 0"}, want: tail{first: 1, last: 5, epoch: 2, whole: 70, partial: partial{commit: 80, messages: 4, order: 9, notes: 2, schemas: 1}}},
		"large cut with notes only":      {lines: []string{"p 70", "t 80 1 0", "m 80 2 0"}, want: tail{first: 1, last: 3, epoch: 2, whole: 70, partial: partial{commit: 80, messages: 2, notes: 2}}},
		"large cut, epochs in between":   {lines: []string{"p 70", "s 80 1 0 0 9", "e", "t 80 2 0", "e", "c 80 3 0"}, want: tail{first: 1, last: 6, epoch: 2, whole: 70, partial: partial{commit: 80, messages: 3, order: 9, notes: 1, schemas: 1}}},
		"message that stands alone":      {lines: []string{"s 70 1 1 75 1", "m 80 1 1"}, want: tail{first: 1, last: 2, epoch: 2, whole: 75, partial: partial{commit: 80, messages: 1, held: true}}},
		"purged inside a transaction":    {lines: []string{"p 70", "s 80 1 0 0 9"}, purge: true, more: []string{"s 80 2 0 0 12"}, want: tail{first: 3, last: 3, epoch: 2, partial: partial{commit: 80, messages: 2, order: 12}}},
		"cut baseline behind a cut":      {lines: []string{"p 70", "s 80 1 0 0 9", "e", "g", "b 90", "r 89 1 0"}, want: tail{first: 1, last: 6, epoch: 2, whole: 70, partial: partial{commit: 80, messages: 1, order: 9}}},
		"somebody else's":                {lines: []string{"s 70 1 1 75 1", "s 80 1 2 85 1", "?", "?"}, want: tail{first: 1, last: 4, epoch: 2, whole: 75, partial: partial{commit: 80, messages: 1, held: true}}},
		"transaction whole, then a mark": {lines: []string{"s 80 1 1 85 1", "p 90"}, want: tail{first: 1, last: 2, epoch: 2, whole: 90}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			write(t, m, 2, c.lines...)
			if c.purge {
				m.purge()
			}
			write(t, m, 2, c.more...)
			got, err := readTail(context.Background(), m)
			got.seeking = false
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}
