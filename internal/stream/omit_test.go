package stream

import (
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

// A row above the limit loses its largest columns, by name, in both its forms; its
// keys stay.
func TestLargestColumnsAreLeftOut(t *testing.T) {
	row := func(title, status string) change.Row {
		r := change.AppendValue(nil, "id", []byte("7"))
		return change.CloseRow(change.AppendText(change.AppendText(r, "title", title), "status", status))
	}
	long := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		before, after change.Row
		omitted       []string
		left          string
	}{
		"fits":            {row("a", "b"), row("c", "d"), nil, `{"id":7,"title":"c","status":"d"}`},
		"one is large":    {row("a", "b"), row(long, "d"), []string{"title"}, `{"id":7,"status":"d"}`},
		"it was large":    {row(long, "b"), row("c", "d"), []string{"title"}, `{"id":7,"status":"d"}`},
		"both are large":  {nil, row(long, long+long), []string{"status", "title"}, `{"id":7}`},
		"a row that goes": {row("a", long), nil, []string{"status"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ch := change.Change{Op: change.Update, Entity: change.Quest, Table: "public.q", Before: c.before, After: c.after}
			omit(&ch, 2000)
			if !slices.Equal(ch.Omitted, c.omitted) || string(ch.After) != c.left {
				t.Errorf("omitted %q, left %s", ch.Omitted, ch.After)
			}
			if (ch.Before == nil) != (c.before == nil) || sizeOf(&ch) > 2000 {
				t.Errorf("before %s, %d bytes", ch.Before, sizeOf(&ch))
			}
		})
	}
}

// What sizeOf says is never less than what the wire form takes.
func TestSizeIsABound(t *testing.T) {
	const most = 1<<63 - 1
	ch := change.Change{
		Op: change.Update, Entity: change.Participant, Table: strings.Repeat("t\"", 60), Order: 1 << 30, LSN: most, Moved: true,
		Before: change.Row(`{"id":1}`), After: change.Row(`{"id":1}`),
		Unchanged: []string{strings.Repeat("\"", 63), "b"}, Omitted: []string{strings.Repeat("c", 63)},
	}
	s := change.Step{
		QuestID: most, Source: change.Source{DB: strings.Repeat("d", 63), Epoch: most},
		Transaction: change.Transaction{ID: most, CommitLSN: most, EndLSN: most, Time: most, Message: 1 << 30, Messages: 1 << 30}, Published: most,
	}
	for range 1000 {
		s.Changes = append(s.Changes, ch)
	}
	if got, bound := len(change.AppendStep(nil, &s)), 1000*sizeOf(&ch)+headroom; got > bound {
		t.Errorf("%d bytes, the bound is %d", got, bound)
	}
}
