package event

import (
	"github.com/peerquest/questwatch/internal/change"
)

// Continuity is the data of the stream group: what happened to the stream itself.
type Continuity struct {
	Epoch    uint64        `json:"epoch"`
	Reason   string        `json:"reason,omitempty"`
	From     change.LSN    `json:"from,omitempty"`
	To       change.LSN    `json:"to,omitempty"`
	Entities []string      `json:"entities,omitempty"`
	Columns  []string      `json:"columns,omitempty"`
	Missing  []string      `json:"missing,omitempty"`
	Retyped  []string      `json:"retyped,omitempty"`
	Time     change.Millis `json:"ts_ms,omitempty"`
	Position Position      `json:"position"`
}

// OfControl is the event of a control record, and false for a record that has
// none. now is stream time: the event is never before it, nor before the record's
// own time or its transaction's.
func OfControl(c *change.Control, now change.Millis, at Position) (Event, bool) {
	what, detail := "", ""
	switch c.Kind {
	case change.Gap:
		what, detail = "gap", c.Reason
	case change.Epoch:
		what, detail = "epoch", c.Reason
	case change.Truncate:
		what, detail = "truncated", "truncate"
	case change.SchemaChanged:
		what, detail = "schema_changed", "columns"
	case change.Progress, change.BaselineBegin, change.BaselineEnd, change.TxEnd, change.Message:
		return Event{}, false
	}
	t := max(c.Time, now)
	if c.Transaction != nil {
		t = max(t, c.Transaction.Time)
	}
	return Event{
		ID: hash("stream."+what, at.Sequence, c.Source.Epoch), Group: "stream", What: what, Detail: detail, Time: t,
		Data: Continuity{
			Epoch: c.Source.Epoch, Reason: c.Reason, From: c.From, To: c.To, Entities: c.Entities,
			Columns: c.Columns, Missing: c.Missing, Retyped: c.Retyped, Time: t, Position: at,
		},
	}, true
}

// hash makes an id out of what makes an event one.
func hash(kind string, numbers ...uint64) string {
	return hashed(kind, "%d", numbers)
}
